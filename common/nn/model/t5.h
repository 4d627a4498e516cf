/* Where T5's parameters stand in the table; shared by its training and decoding. */
#ifndef RT_NN_MODEL_T5_H
#define RT_NN_MODEL_T5_H

#include "common/nn/model/model_state.h"

typedef enum t5_stack { T5_ENCODER, T5_DECODER } t5_stack;

/* In table order: q, k, v lie side by side, and so do cross k and cross v, gate and up. */
typedef enum t5_layer_param {
    T5_NORM_1,
    T5_Q,
    T5_K,
    T5_V,
    T5_O,
    T5_NORM_CROSS, /* to T5_CROSS_O: decoder only */
    T5_CROSS_Q,
    T5_CROSS_K,
    T5_CROSS_V,
    T5_CROSS_O,
    T5_NORM_2,
    T5_WI,
    T5_WI_1, /* gated only; T5_WI is then the gate */
    T5_WO,
    T5_LAYER_PARAMS,
} t5_layer_param;

/* Whether a layer of this stack has it. */
bool t5_has_param(const model_config *config, t5_stack stack, t5_layer_param which);
/* Index in the table; one layer beyond the last, T5_NORM_1 is the stack's final norm. */
size_t t5_param(const model_config *config, t5_stack stack, size_t i_layer, t5_layer_param which);
/* The stack's table of position biases [rel_buckets, n_heads]. */
size_t t5_bias_param(t5_stack stack);
size_t t5_head_param(const model_config *config);
size_t t5_n_layers(const model_config *config, t5_stack stack);
head_shape t5_shape(const model_config *config);
/* Factor of the decoder's output before the head: d_model^-1/2 when the head is tied, else 1. */
float t5_head_scale(const model_config *config);

/* What struct arch asks about parameters, in t5_params.c. */
rt_status t5_list_params(const model_config *config, param_table *table, rt_error *err);
float t5_init_deviation(const model_config *config, const param *p);

/* The encoder over input's source axis, after its final norm: [n_source_tokens, d_model]. */
tensor *t5_encode(model *m, const model_input *input);

/* Decoding, in t5_decode.c: see struct arch. */
rt_status t5_decoder_new(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest, decoder **out,
                         rt_error *err);
void t5_decoder_begin(decoder *d, const size_t *capacities, size_t n_seqs);
void t5_decoder_free(decoder *d);
rt_status t5_prefill(decoder *d, size_t n, const uint32_t *i_seqs, const generate_prompt *prompts,
                     float *hidden, rt_error *err);
void t5_copy(decoder *d, size_t to, size_t from, size_t n);
void t5_fork(decoder *d, size_t to, size_t from, size_t n_same);
rt_status t5_step(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids, float *hidden,
                  rt_error *err);

#endif
