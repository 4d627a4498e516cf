/* What is in a GGUF file, whatever model it holds. */
#ifndef RT_CLI_GGUF_REPORT_H
#define RT_CLI_GGUF_REPORT_H

#include <jansson.h>

#include "common/ckpt/gguf.h"

/* Keys with their values (arrays by length) and tensors by kind; with `tensors` each tensor. */
void gguf_report_print(const char *path, const gguf *file, bool tensors);
/* Returns new, or NULL on out of memory. */
json_t *gguf_report_json(const gguf *file, bool tensors);

#endif
