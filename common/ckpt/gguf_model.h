/* A whole model in one GGUF file, as llama.cpp loads it: shape, tokenizer, weights.
 *
 *     gguf_model_options how = {.type = GGUF_TENSOR_Q8_0, .name = "gsm8k"};
 *     st = gguf_model_write("student.gguf", &config, &source, &pieces, &how, sha256, err);
 *
 *     gguf_model *m = NULL;
 *     if ((st = gguf_model_open("student.gguf", &m, err)) != RT_OK) goto out;
 *     weight_source source = gguf_model_source(m);
 *
 * Matrices are stored as `type`; norms and vectors always as f32, and a matrix whose rows are no
 * multiple of 32 as f16 in a q8_0 file, as llama.cpp's own converter does it. A unigram tokenizer is
 * written as "t5", which is the unigram tokenizer of llama.cpp whatever the architecture; a bpe one
 * as "llama".
 */
#ifndef RT_CKPT_GGUF_MODEL_H
#define RT_CKPT_GGUF_MODEL_H

#include "common/base/hash.h"
#include "common/ckpt/gguf.h"
#include "common/ckpt/weight_source.h"
#include "common/text/piece_list.h"

#define GGUF_KEY_TASK "retort.task" /* the text of a student's retort.json */

typedef struct gguf_model_options {
    gguf_tensor_type type;     /* F32, F16, BF16 or Q8_0 */
    const char *name;          /* general.name */
    const char *chat_template; /* Jinja; NULL: none */
    const char *task;          /* NULL: none */
} gguf_model_options;

/* "f32", "f16", "bf16", "q8_0"; RT_INVALID otherwise. */
RT_MUST_USE rt_status gguf_type_parse(const char *text, gguf_tensor_type *out, rt_error *err);

/* Atomically, with memory bounded by the vocabulary. More pieces than rows is RT_INVALID; fewer are
 * filled up with unused ones. A number that the type cannot hold is RT_INVALID and names its tensor.
 * sha256 may be NULL. */
RT_MUST_USE rt_status gguf_model_write(const char *path, const model_config *config,
                                       const weight_source *source, const piece_list *pieces,
                                       const gguf_model_options *options,
                                       char sha256[RT_SHA256_HEX_SIZE], rt_error *err);

typedef struct gguf_model gguf_model;

/* RT_UNSUPPORTED names an architecture, a kind of tensor, a scaling of positions or a tensor that is
 * not known; RT_CORRUPT what is missing or has another shape than the keys say. Returns new;
 * gguf_model_close(). */
RT_MUST_USE rt_status gguf_model_open(const char *path, gguf_model **out, rt_error *err);
void gguf_model_close(gguf_model *m);
/* Valid as long as `m`. */
const gguf *gguf_model_file(const gguf_model *m);
const model_config *gguf_model_config(const gguf_model *m);
const param_table *gguf_model_table(const gguf_model *m);
weight_source gguf_model_source(const gguf_model *m);

/* The tokenizer of any file, whatever else is in it, into an empty list. RT_NOTFOUND when there is
 * none, RT_UNSUPPORTED for one that is no sentencepiece ("gpt2", "bert"). */
RT_MUST_USE rt_status gguf_pieces_read(const char *name, const gguf *file, piece_list *out,
                                       rt_error *err);

#endif
