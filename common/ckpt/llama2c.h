/* Models in the file layout of llama2.c (`*.bin` and `tokenizer.bin`), read where they lie.
 *
 *     version 0   i32 dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len
 *                 (vocab_size below 0: the head has a matrix of its own)
 *                 embedding · of all layers: norm 1, q, k, v, o, norm 2, gate, down, up · norm ·
 *                 cosines and sines of the positions, which are not used · head
 *     version 1   "24ka" i32 1, the seven numbers, u8 tied, zeros up to byte 256
 *                 of all layers: norm 1, norm 2 · norm · embedding · of all layers: q, k, v, o,
 *                 gate, down, up · head
 *
 * All float32, little-endian. llama2.c turns neighbouring pairs of rows of q and k; the rows come
 * out in Hugging Face's layout. A sequence ends there at token 1, which also begins one: eos_id is
 * 1 for that reason.
 *
 *     llama2c *file = NULL;
 *     if ((st = llama2c_open("stories15M.bin", &file, err)) != RT_OK) goto out;
 *     weight_source source = llama2c_source(file);
 *
 * Source: export.py, run.c and tokenizer.py of karpathy/llama2.c.
 */
#ifndef RT_CKPT_LLAMA2C_H
#define RT_CKPT_LLAMA2C_H

#include "common/ckpt/weight_source.h"
#include "common/text/piece_list.h"

typedef struct llama2c llama2c;

/* Map a file and check that its sizes make a model and its length fits them. RT_CORRUPT names what
 * was found and what was expected; RT_UNSUPPORTED for the quantised version 2. Returns new;
 * llama2c_close(). */
RT_MUST_USE rt_status llama2c_open(const char *path, llama2c **out, rt_error *err);
void llama2c_close(llama2c *file);
/* All three valid as long as `file`. */
const model_config *llama2c_config(const llama2c *file);
const param_table *llama2c_table(const llama2c *file);
weight_source llama2c_source(const llama2c *file);

/* The same checks on bytes in memory, and all weights read once; for fuzzing. */
RT_MUST_USE rt_status llama2c_check_bytes(const void *bytes, size_t n_bytes, rt_error *err);

/* tokenizer.bin: u32 longest piece, then for each piece f32 score, i32 length, text. The number of
 * pieces is not in it and must be the model's n_vocab. Ids as llama2.c fixes them: 0 unknown, 1
 * begins and ends, 2 ends, 3 to 258 bytes. `name` is for messages. Into an empty list. */
RT_MUST_USE rt_status llama2c_tokenizer_parse(const char *name, const void *bytes, size_t n_bytes,
                                              size_t n_vocab, piece_list *out, rt_error *err);
RT_MUST_USE rt_status llama2c_tokenizer_read(const char *path, size_t n_vocab, piece_list *out,
                                             rt_error *err);

#endif
