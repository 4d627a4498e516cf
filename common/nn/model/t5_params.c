#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/nn/model/t5.h"

/* Entries of the table: embedding, a table of position biases for each stack, the encoder's layers
 * and final norm, the decoder's, head (an alias when tied). Hugging Face keeps the bias tables under
 * block 0; here they stand before the layers, so that every layer has the same entries.
 */
#define N_BEFORE_LAYERS 3

static const char *const param_names[T5_LAYER_PARAMS] = {
    [T5_NORM_1] = "layer_norm",         [T5_Q] = "SelfAttention.q",
    [T5_K] = "SelfAttention.k",         [T5_V] = "SelfAttention.v",
    [T5_O] = "SelfAttention.o",         [T5_NORM_CROSS] = "layer_norm",
    [T5_CROSS_Q] = "EncDecAttention.q", [T5_CROSS_K] = "EncDecAttention.k",
    [T5_CROSS_V] = "EncDecAttention.v", [T5_CROSS_O] = "EncDecAttention.o",
    [T5_NORM_2] = "layer_norm",         [T5_WI] = "DenseReluDense.wi",
    [T5_WI_1] = "DenseReluDense.wi_1",  [T5_WO] = "DenseReluDense.wo",
};
static const char *const stack_names[] = {[T5_ENCODER] = "encoder", [T5_DECODER] = "decoder"};

bool t5_has_param(const model_config *c, t5_stack stack, t5_layer_param which)
{
    if (which >= T5_NORM_CROSS && which <= T5_CROSS_O) return stack == T5_DECODER;
    return which != T5_WI_1 || c->ff_act == MODEL_FF_GATED_GELU;
}

static size_t params_before(const model_config *c, t5_stack stack, t5_layer_param which)
{
    size_t n = 0;
    for (int i = 0; i < (int)which; i++) n += t5_has_param(c, stack, (t5_layer_param)i);
    return n;
}

size_t t5_n_layers(const model_config *c, t5_stack stack)
{
    return stack == T5_ENCODER ? c->n_layers : c->n_decoder_layers;
}

size_t t5_param(const model_config *c, t5_stack stack, size_t i_layer, t5_layer_param which)
{
    size_t first = N_BEFORE_LAYERS, n_layer = params_before(c, stack, T5_LAYER_PARAMS);
    if (stack == T5_DECODER) first = t5_param(c, T5_ENCODER, c->n_layers, T5_NORM_1) + 1;
    return first + i_layer * n_layer + params_before(c, stack, which);
}

size_t t5_bias_param(t5_stack stack)
{
    return stack == T5_ENCODER ? 1 : 2;
}

size_t t5_head_param(const model_config *c)
{
    return c->tied ? 0 : t5_param(c, T5_DECODER, c->n_decoder_layers, T5_NORM_1) + 1;
}

head_shape t5_shape(const model_config *c)
{
    return (head_shape){.n_heads = c->n_heads, .n_kv_heads = c->n_heads, .d_head = c->d_head};
}

float t5_head_scale(const model_config *c)
{
    return c->tied ? 1.0f / sqrtf((float)c->d_model) : 1.0f;
}

/* Number of the sublayer that a parameter belongs to, as in "layer.2". */
static int sublayer_of(t5_stack stack, t5_layer_param which)
{
    if (which <= T5_O) return 0;
    return which <= T5_CROSS_O || stack == T5_ENCODER ? 1 : 2;
}

static rt_status list_layer(const model_config *c, t5_stack stack, size_t i_layer,
                            param_table *table, rt_error *err)
{
    size_t d = c->d_model, inner = c->n_heads * c->d_head;
    const size_t shapes[T5_LAYER_PARAMS][2] = {
        [T5_NORM_1] = {0, d},      [T5_Q] = {inner, d},       [T5_K] = {inner, d},
        [T5_V] = {inner, d},       [T5_O] = {d, inner},       [T5_NORM_CROSS] = {0, d},
        [T5_CROSS_Q] = {inner, d}, [T5_CROSS_K] = {inner, d}, [T5_CROSS_V] = {inner, d},
        [T5_CROSS_O] = {d, inner}, [T5_NORM_2] = {0, d},      [T5_WI] = {c->d_ff, d},
        [T5_WI_1] = {c->d_ff, d},  [T5_WO] = {d, c->d_ff},
    };
    for (int i = 0; i < T5_LAYER_PARAMS; i++) {
        t5_layer_param which = (t5_layer_param)i;
        if (!t5_has_param(c, stack, which)) continue;
        param_group group = shapes[i][0] == 0 ? PARAM_GROUP_NORM : PARAM_GROUP_MATRIX;
        bool gate = which == T5_WI && c->ff_act == MODEL_FF_GATED_GELU;
        rt_status st =
            param_table_add(table, group, shapes[i][0], shapes[i][1], -1, err,
                            "%s.block.%zu.layer.%d.%s%s.weight", stack_names[stack], i_layer,
                            sublayer_of(stack, which), param_names[i], gate ? "_0" : "");
        if (st != RT_OK) return st;
        if (which == T5_Q || which == T5_CROSS_Q)
            table->params[table->n_params - 1].lr_scale = 1.0f / sqrtf((float)c->d_head);
    }
    return RT_OK;
}

static rt_status list_stack(const model_config *c, t5_stack stack, param_table *table,
                            rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < t5_n_layers(c, stack); i++)
        st = list_layer(c, stack, i, table, err);
    if (st != RT_OK) return st;
    return param_table_add(table, PARAM_GROUP_NORM, 0, c->d_model, -1, err,
                           "%s.final_layer_norm.weight", stack_names[stack]);
}

rt_status t5_list_params(const model_config *c, param_table *table, rt_error *err)
{
    rt_status st = param_table_add(table, PARAM_GROUP_EMBEDDING, c->n_vocab, c->d_model, -1, err,
                                   "shared.weight");
    for (int i = T5_ENCODER; st == RT_OK && i <= T5_DECODER; i++)
        st = param_table_add(table, PARAM_GROUP_BIAS, c->rel_buckets, c->n_heads, -1, err,
                             "%s.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                             stack_names[i]);
    if (st == RT_OK) st = list_stack(c, T5_ENCODER, table, err);
    if (st == RT_OK) st = list_stack(c, T5_DECODER, table, err);
    if (st == RT_OK)
        st = param_table_add(table, PARAM_GROUP_MATRIX, c->n_vocab, c->d_model, c->tied ? 0 : -1,
                             err, "lm_head.weight");
    return st;
}

/* Mesh TensorFlow's deviations, which take the missing 1/sqrt(d_head) of attention into q. They were
 * made for an optimizer whose steps are relative to the size of a matrix. AdamW's are not, so
 *  - q learns slower by sqrt(d_head) (lr_scale): the same as a q larger by that factor under scaled
 *    scores. Without it the scores run away from the first steps (word problems of the quick
 *    start, version 1.1, embeddings of 0.05: 6 % right without it, 39 % with it);
 *  - an untied head has d_model^-1/2 in place of 1, so that logits begin with a deviation of 1, as
 *    those of a tied head do. Embeddings stay at 1, which takes the same to 79 %.
 * Source: modeling_t5.py, _init_weights; Raffel et al. 2020, section 3.1.2. */
float t5_init_deviation(const model_config *c, const param *p)
{
    if (p->group == PARAM_GROUP_EMBEDDING) return 1.0f;
    if (p->group == PARAM_GROUP_BIAS) return 1.0f / sqrtf((float)c->d_model);
    float deviation = 1.0f / sqrtf((float)p->shape[1]);
    bool query = strstr(p->name, "Attention.q.") != NULL;
    return query ? deviation / sqrtf((float)c->d_head) : deviation;
}
