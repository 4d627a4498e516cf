/* Shape of a model: what config.json says, in one plain struct. */
#ifndef RT_NN_MODEL_CONFIG_H
#define RT_NN_MODEL_CONFIG_H

#include "common/base/status.h"

typedef enum model_arch {
    MODEL_ARCH_LLAMA, /* decoder-only: RMS norm, rotary positions, grouped-query attention, SwiGLU */
} model_arch;

typedef struct model_config {
    model_arch arch;
    size_t n_vocab;
    size_t d_model;
    size_t n_layers;
    size_t n_heads;
    size_t n_kv_heads; /* divides n_heads */
    size_t d_head;     /* even */
    size_t d_ff;
    size_t seq_len_max; /* longest sequence, in tokens */
    float rope_theta;
    float norm_eps;
    float dropout; /* probability in [0, 1); training only */
    bool tied;     /* the head shares the embedding matrix */
    uint32_t bos_id, eos_id, pad_id;
} model_config;

/* RT_INVALID names the field, what was found and what was expected. Also refuses shapes whose
 * parameter count overflows. */
RT_MUST_USE rt_status model_config_check(const model_config *config, rt_error *err);

#endif
