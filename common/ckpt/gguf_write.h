/* Writing a GGUF file: keys one after another, tensors described, then the data streamed.
 *
 *     gguf_writer *w = NULL;
 *     if ((st = gguf_writer_new(&w, err)) != RT_OK) goto out;
 *     gguf_add_text(w, "general.architecture", "llama");
 *     gguf_add_u32(w, "llama.block_count", 4);
 *     gguf_add_array(w, "tokenizer.ggml.scores", GGUF_F32, 2);
 *     gguf_item_f32(w, -1.0f);
 *     gguf_item_f32(w, -2.0f);
 *     gguf_add_tensor(w, &(gguf_source){.name = "token_embd.weight", ...});
 *     st = gguf_writer_save(w, "student.gguf", sha256, err);
 *     gguf_writer_free(w);
 *
 * The adders cannot fail alone: the first trouble is kept and told by gguf_writer_save().
 */
#ifndef RT_CKPT_GGUF_WRITE_H
#define RT_CKPT_GGUF_WRITE_H

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/ckpt/gguf_format.h"

typedef struct gguf_writer gguf_writer;

/* Returns new; gguf_writer_free(). */
RT_MUST_USE rt_status gguf_writer_new(gguf_writer **out, rt_error *err);
void gguf_writer_free(gguf_writer *w);

void gguf_add_text(gguf_writer *w, const char *key, const char *text);
void gguf_add_u32(gguf_writer *w, const char *key, uint64_t value); /* beyond 32 bits: trouble */
void gguf_add_f32(gguf_writer *w, const char *key, float value);
void gguf_add_bool(gguf_writer *w, const char *key, bool value);
/* Exactly n items of that type must follow. */
void gguf_add_array(gguf_writer *w, const char *key, gguf_value_type type, uint64_t n);
void gguf_item_text(gguf_writer *w, const char *text, size_t n);
void gguf_item_f32(gguf_writer *w, float value);
void gguf_item_i32(gguf_writer *w, int32_t value);
void gguf_item_u8s(gguf_writer *w, const void *bytes, size_t n); /* n items at once */

/* A tensor whose numbers come in pieces: read() puts elements first .. first + n into out. `name`
 * is copied; `context` must live until the file is saved. Rows must be whole blocks of `type`. */
typedef struct gguf_source {
    const char *name;
    gguf_tensor_type type;
    size_t n_dims;
    size_t shape[GGUF_DIMS_MAX]; /* rows first */
    void (*read)(const void *context, size_t i_tensor, size_t first, size_t n, float *out);
    const void *context;
    size_t i_tensor;
} gguf_source;
void gguf_add_tensor(gguf_writer *w, const gguf_source *source);

/* Write atomically; memory stays bounded whatever the size of the tensors. RT_INVALID for trouble
 * of an adder, and names a tensor with a number that its type cannot hold (not finite, or beyond
 * 65504 for f16). sha256 may be NULL. The bytes are a pure function of what was added. */
RT_MUST_USE rt_status gguf_writer_save(gguf_writer *w, const char *path,
                                       char sha256[RT_SHA256_HEX_SIZE], rt_error *err);

#endif
