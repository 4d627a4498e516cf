/* Amounts of bytes as people write them. */
#ifndef RT_CLI_SIZES_H
#define RT_CLI_SIZES_H

#include "common/base/status.h"

/* "5GB", "500MB", "64KiB", "1000": decimal units by 1000, binary ones (KiB, MiB, GiB, TiB) by 1024,
 * any case, a space before the unit allowed. RT_INVALID for anything else. */
RT_MUST_USE rt_status size_parse(const char *text, uint64_t *out, rt_error *err);
/* "1.5 GiB" for people: three digits, binary units. */
void size_print(double n_bytes, char out[24]);

#endif
