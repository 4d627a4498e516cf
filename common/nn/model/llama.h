/* Where Llama's parameters stand in the table; shared by its training and decoding. */
#ifndef RT_NN_MODEL_LLAMA_H
#define RT_NN_MODEL_LLAMA_H

#include "common/nn/model/model_state.h"

/* In table order: q, k, v lie side by side, and so do gate and up. */
typedef enum llama_layer_param {
    LLAMA_NORM_1,
    LLAMA_Q,
    LLAMA_K,
    LLAMA_V,
    LLAMA_O,
    LLAMA_NORM_2,
    LLAMA_GATE,
    LLAMA_UP,
    LLAMA_DOWN,
    LLAMA_LAYER_PARAMS,
} llama_layer_param;

/* Index in the table; layer n_layers, LLAMA_NORM_1 is the final norm. */
size_t llama_param(size_t i_layer, llama_layer_param which);
head_shape llama_shape(const model_config *config);
/* With a factorised embedding: [d_model, d_embed] behind it and [d_embed, d_model] before the head,
 * the last entries of the table. */
size_t llama_embed_proj(const model_config *config);
size_t llama_head_proj(const model_config *config);

/* Decoding, in llama_decode.c: see struct arch. */
rt_status llama_decoder_new(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest,
                            decoder **out, rt_error *err);
void llama_decoder_begin(decoder *d, const size_t *capacities, size_t n_seqs);
void llama_decoder_free(decoder *d);
rt_status llama_prefill(decoder *d, size_t n, const uint32_t *i_seqs,
                        const generate_prompt *prompts, float *hidden, rt_error *err);
void llama_copy(decoder *d, size_t to, size_t from, size_t n);
void llama_fork(decoder *d, size_t to, size_t from, size_t n_same);
rt_status llama_step(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids,
                     float *hidden, rt_error *err);

#endif
