/* Bytes as text: base64 with padding (RFC 4648, section 4), without line ends. */
#ifndef RT_BASE_BASE64_H
#define RT_BASE_BASE64_H

#include "common/base/bytes.h"

/* Both append to *out. */
RT_MUST_USE rt_status rt_base64_encode(const void *bytes, size_t n, rt_buf *out, rt_error *err);
/* RT_CORRUPT, and nothing appended, for anything that rt_base64_encode() does not write. */
RT_MUST_USE rt_status rt_base64_decode(const char *text, size_t n, rt_buf *out, rt_error *err);

#endif
