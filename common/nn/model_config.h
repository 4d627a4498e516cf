/* Shape of a model: what config.json says, in one plain struct. */
#ifndef RT_NN_MODEL_CONFIG_H
#define RT_NN_MODEL_CONFIG_H

#include "common/base/status.h"

typedef enum model_arch {
    MODEL_ARCH_LLAMA, /* decoder-only: RMS norm, rotary positions, grouped-query attention, SwiGLU */
    MODEL_ARCH_T5,    /* encoder-decoder: RMS norm, relative position bias, cross-attention */
} model_arch;

/* What stands between the matrices of a feed-forward block. */
typedef enum model_ff_act {
    MODEL_FF_SWIGLU,     /* silu(gate) * up: Llama */
    MODEL_FF_RELU,       /* max(0, up): T5 v1.0 */
    MODEL_FF_GATED_GELU, /* gelu_new(gate) * up: T5 v1.1 */
} model_ff_act;

typedef struct model_config {
    model_arch arch;
    size_t n_vocab;
    size_t d_model;
    size_t n_layers; /* of the encoder, where there is one */
    size_t n_heads;
    size_t n_kv_heads; /* divides n_heads */
    size_t d_head;     /* even for Llama; n_heads * d_head need not be d_model */
    size_t d_ff;
    size_t seq_len_max; /* longest sequence, in tokens: prompt and target together */
    float rope_theta;   /* Llama */
    float norm_eps;
    float dropout; /* probability in [0, 1); training only */
    bool tied;     /* the head shares the embedding matrix */
    uint32_t bos_id, eos_id, pad_id;

    /* Llama, after ALBERT; 0: off */
    size_t n_layer_groups; /* layers of a group share one set of weights */
    size_t d_embed;        /* width of the embedding's rows, projected to d_model and back */

    /* T5; all zero for Llama */
    size_t n_decoder_layers;
    size_t rel_buckets;      /* rows of each stack's table of position biases; a multiple of 4 */
    size_t rel_distance_max; /* from here on all distances share one bucket */
    model_ff_act ff_act;
    uint32_t decoder_start_id; /* what the decoder reads before the first target token */
} model_config;

/* "llama", "t5": as in config.json and the settings. NULL for an unknown one. */
const char *model_arch_name(model_arch arch);
/* Whether prompts are read by an encoder and targets by a decoder. */
bool model_config_has_encoder(const model_config *config);
/* The control id of a prompt: bos before it, or with an encoder eos behind it. */
uint32_t model_config_prompt_id(const model_config *config);

/* RT_INVALID names the field, what was found and what was expected. Also refuses shapes whose
 * parameter count overflows. */
RT_MUST_USE rt_status model_config_check(const model_config *config, rt_error *err);

#endif
