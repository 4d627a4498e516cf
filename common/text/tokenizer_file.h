/* A look at the bytes of a sentencepiece model before the library sees them. Internal. */
#ifndef RT_TEXT_TOKENIZER_FILE_H
#define RT_TEXT_TOKENIZER_FILE_H

#include "common/base/status.h"

/* RT_CORRUPT when the protobuf framing is broken or a normalisation table points outside itself;
 * the library trusts both. */
RT_MUST_USE rt_status tokenizer_file_check(const char *bytes, size_t n, rt_error *err);

#endif
