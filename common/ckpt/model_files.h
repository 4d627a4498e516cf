/* A model of any layout that is known, opened where it lies: its shape, its weights a piece at a
 * time, its tokenizer. What it is, is found out from its bytes.
 *
 *     model_files *m = NULL;
 *     if ((st = model_files_open("stories15M.bin", MODEL_FORMAT_AUTO, &m, err)) != RT_OK) goto out;
 *     weight_source source = model_files_source(m);
 *     if ((st = model_files_tokenizer(m, "tokenizer.bin", &sentencepiece, err)) != RT_OK) goto out;
 *     model_files_close(m);
 */
#ifndef RT_CKPT_MODEL_FILES_H
#define RT_CKPT_MODEL_FILES_H

#include "common/base/bytes.h"
#include "common/ckpt/weight_source.h"

typedef enum model_format {
    MODEL_FORMAT_AUTO,
    MODEL_FORMAT_HF,      /* a folder with config.json and safetensors */
    MODEL_FORMAT_GGUF,    /* a file that begins with GGUF */
    MODEL_FORMAT_LLAMA2C, /* *.bin */
} model_format;

/* "hf", "gguf", "llama2c". */
const char *model_format_name(model_format format);
/* RT_INVALID names what is known. "auto" is MODEL_FORMAT_AUTO. */
RT_MUST_USE rt_status model_format_parse(const char *text, model_format *out, rt_error *err);

/* What a path holds by its first bytes; MODEL_FORMAT_LLAMA2C when nothing else fits. */
model_format model_format_find(const char *path);

typedef struct model_files model_files;

/* Returns new; model_files_close(). Fails as the reader of the layout does. */
RT_MUST_USE rt_status model_files_open(const char *path, model_format as, model_files **out,
                                       rt_error *err);
void model_files_close(model_files *m);

/* Valid as long as `m`. */
model_format model_files_format(const model_files *m);
const model_config *model_files_config(const model_files *m);
const param_table *model_files_table(const model_files *m);
weight_source model_files_source(const model_files *m);

/* The tokenizer as the bytes of a sentencepiece model, appended to *out: from `path`, which may be
 * a sentencepiece model or llama2.c's tokenizer.bin, or with NULL from within the file (GGUF) or
 * from beside the weights. RT_NOTFOUND says where it was looked for; RT_CORRUPT when it has more
 * pieces than the model has rows. */
RT_MUST_USE rt_status model_files_tokenizer(const model_files *m, const char *path, rt_buf *out,
                                            rt_error *err);

/* retort.json of a student that the model carries, appended to *out; nothing when it is none. */
RT_MUST_USE rt_status model_files_task(const model_files *m, rt_buf *out, rt_error *err);

#endif
