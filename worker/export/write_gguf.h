/* A model as one GGUF file, with its tokenizer, its task and a chat template inside. */
#ifndef RT_WORKER_EXPORT_WRITE_GGUF_H
#define RT_WORKER_EXPORT_WRITE_GGUF_H

#include "common/ckpt/gguf_model.h"

/* Borrows everything. */
typedef struct gguf_parts {
    const char *path;
    const char *name; /* general.name; NULL: from the path */
    const model_config *config;
    const weight_source *source;
    const rt_buf *tokenizer; /* bytes of a sentencepiece model */
    const rt_buf *task;      /* text of retort.json; NULL or empty: no student */
    gguf_tensor_type type;
} gguf_parts;

/* An existing file at `path` is replaced when it is a GGUF file, else RT_EXISTS. Fails as
 * gguf_model_write() does. */
RT_MUST_USE rt_status write_gguf(const gguf_parts *parts, char sha256[RT_SHA256_HEX_SIZE],
                                 rt_error *err);

/* Whether a file may be written there: nothing stands there, or a GGUF file. */
RT_MUST_USE rt_status write_gguf_check(const char *path, rt_error *err);

#endif
