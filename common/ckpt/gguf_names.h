/* Names of tensors in Hugging Face's files and in GGUF, one table for each architecture. */
#ifndef RT_CKPT_GGUF_NAMES_H
#define RT_CKPT_GGUF_NAMES_H

#include "common/ckpt/gguf_format.h"

/* Which rows the rotary positions turn: they lie as halves here, as neighbours in GGUF. */
typedef enum gguf_rows { GGUF_ROWS_PLAIN, GGUF_ROWS_ROTARY } gguf_rows;

/* GGUF's name of the tensor `name` of an architecture ("llama", "t5"), ended, into
 * out[GGUF_NAME_MAX + 1]. False when the architecture or the name is not known. */
bool gguf_name_of(const char *architecture, const char *name, char *out, gguf_rows *rows);

#endif
