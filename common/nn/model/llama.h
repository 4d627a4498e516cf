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

#endif
