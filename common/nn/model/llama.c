#include <math.h>
#include <string.h>

#include "common/nn/model/llama.h"

/* Decoder-only Llama in the layout of Hugging Face (modeling_llama.py). One layer:
 *
 *   x ─┬─ norm ─ [q|k|v] ─ rope ─ attention ─ o ─ + ─┬─ norm ─ [gate|up] ─ swiglu ─ down ─ + ─►
 *      └───────────────────────────────────────────┘ └────────────────────────────────────┘
 *
 * Entries of the table: embedding, nine for each layer, final norm, head (an alias when tied), and
 * with a factorised embedding its two projections. Layers that share their weights are aliases of
 * the first of their group: gradients of all its uses add up, the optimizer has one copy. Both after
 * Lan et al. 2020, "ALBERT", arXiv:1909.11942, section 3.1.
 */

static const char *const layer_names[LLAMA_LAYER_PARAMS] = {
    [LLAMA_NORM_1] = "input_layernorm", [LLAMA_Q] = "self_attn.q_proj",
    [LLAMA_K] = "self_attn.k_proj",     [LLAMA_V] = "self_attn.v_proj",
    [LLAMA_O] = "self_attn.o_proj",     [LLAMA_NORM_2] = "post_attention_layernorm",
    [LLAMA_GATE] = "mlp.gate_proj",     [LLAMA_UP] = "mlp.up_proj",
    [LLAMA_DOWN] = "mlp.down_proj",
};

size_t llama_param(size_t i_layer, llama_layer_param which)
{
    return 1 + i_layer * LLAMA_LAYER_PARAMS + which;
}

size_t llama_embed_proj(const model_config *c)
{
    return llama_param(c->n_layers, 0) + 2;
}

size_t llama_head_proj(const model_config *c)
{
    return llama_embed_proj(c) + 1;
}

/* First layer of the group that a layer belongs to: groups are runs of layers, as even as can be. */
static size_t first_of_group(const model_config *c, size_t i_layer)
{
    size_t n_groups = c->n_layer_groups;
    if (n_groups == 0) return i_layer;
    size_t group = i_layer * n_groups / c->n_layers;
    return (group * c->n_layers + n_groups - 1) / n_groups;
}

head_shape llama_shape(const model_config *c)
{
    return (head_shape){.n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .d_head = c->d_head};
}

static rt_status list_layer(const model_config *c, size_t i_layer, param_table *table,
                            rt_error *err)
{
    size_t d = c->d_model, n_q = c->n_heads * c->d_head, n_kv = c->n_kv_heads * c->d_head;
    const size_t shapes[LLAMA_LAYER_PARAMS][2] = {
        [LLAMA_NORM_1] = {0, d},     [LLAMA_Q] = {n_q, d},      [LLAMA_K] = {n_kv, d},
        [LLAMA_V] = {n_kv, d},       [LLAMA_O] = {d, n_q},      [LLAMA_NORM_2] = {0, d},
        [LLAMA_GATE] = {c->d_ff, d}, [LLAMA_UP] = {c->d_ff, d}, [LLAMA_DOWN] = {d, c->d_ff},
    };
    for (size_t i = 0; i < LLAMA_LAYER_PARAMS; i++) {
        param_group group = shapes[i][0] == 0 ? PARAM_GROUP_NORM : PARAM_GROUP_MATRIX;
        size_t first = first_of_group(c, i_layer);
        int alias_of = first == i_layer ? -1 : (int)llama_param(first, (llama_layer_param)i);
        rt_status st = param_table_add(table, group, shapes[i][0], shapes[i][1], alias_of, err,
                                       "model.layers.%zu.%s.weight", i_layer, layer_names[i]);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static rt_status list_params(const model_config *c, param_table *table, rt_error *err)
{
    size_t width = c->d_embed != 0 ? c->d_embed : c->d_model;
    rt_status st = param_table_add(table, PARAM_GROUP_EMBEDDING, c->n_vocab, width, -1, err,
                                   "model.embed_tokens.weight");
    for (size_t i = 0; st == RT_OK && i < c->n_layers; i++) st = list_layer(c, i, table, err);
    if (st == RT_OK)
        st = param_table_add(table, PARAM_GROUP_NORM, 0, c->d_model, -1, err, "model.norm.weight");
    if (st == RT_OK)
        st = param_table_add(table, PARAM_GROUP_MATRIX, c->n_vocab, width, c->tied ? 0 : -1, err,
                             "lm_head.weight");
    if (st == RT_OK && c->d_embed != 0)
        st = param_table_add(table, PARAM_GROUP_MATRIX, c->d_model, c->d_embed, -1, err,
                             "model.embed_proj.weight");
    if (st == RT_OK && c->d_embed != 0)
        st = param_table_add(table, PARAM_GROUP_MATRIX, c->d_embed, c->d_model, -1, err,
                             "model.head_proj.weight");
    return st;
}

/* Embeddings 0.05, which with d near 100 starts a tied head close to uniform; projections
 * d_in^-1/2; those that end in the residual stream smaller by sqrt(2 layers), so that its size at
 * the last layer does not grow with depth (Radford et al. 2019, section 2.3). */
static float init_deviation(const model_config *c, const param *p)
{
    if (p->group == PARAM_GROUP_EMBEDDING) return 0.05f;
    float deviation = 1.0f / sqrtf((float)p->shape[1]);
    bool into_residual =
        strstr(p->name, ".o_proj.") != NULL || strstr(p->name, ".down_proj.") != NULL;
    return into_residual ? deviation / sqrtf(2.0f * (float)c->n_layers) : deviation;
}

static tensor *drop(model *m, const model_input *input, uint32_t site, tensor *y)
{
    return op_dropout(m->tape, y, input->dropout, site, input->spans, input->dropout_keys,
                      input->n_spans);
}

/* attention(h), where h is normed. */
static tensor *attention_block(model *m, const model_input *input, size_t i_layer, tensor *h,
                               tensor **fused)
{
    tape *t = m->tape;
    head_shape shape = llama_shape(&m->config);
    tensor *qkv = op_linear_activation(t, h, model_param(m, llama_param(i_layer, LLAMA_Q), 3));
    tape_forget(t, h);
    qkv = op_rope(t, qkv, shape, m->angles, input->positions);
    *fused = qkv;
    tensor *y = op_attention(t, qkv, shape, input->spans, input->n_spans);
    y = op_linear_activation(t, y, model_param(m, llama_param(i_layer, LLAMA_O), 1));
    return drop(m, input, (uint32_t)(2 * i_layer + 1), y);
}

/* down(swiglu(h)), where h is normed. */
static tensor *feed_forward_block(model *m, const model_input *input, size_t i_layer, tensor *h)
{
    tape *t = m->tape;
    tensor *wide = op_linear_activation(t, h, model_param(m, llama_param(i_layer, LLAMA_GATE), 2));
    tape_forget(t, h);
    tensor *inner = op_swiglu(t, wide);
    tensor *y = op_linear_activation(t, inner, model_param(m, llama_param(i_layer, LLAMA_DOWN), 1));
    tape_forget(t, inner);
    return drop(m, input, (uint32_t)(2 * i_layer + 2), y);
}

/* *x += y, which nothing else reads; returns the norm of the sum. */
static tensor *add_norm(model *m, tensor **x, tensor *y, size_t i_layer, llama_layer_param which)
{
    tensor *gain = model_param(m, llama_param(i_layer, which), 1), *sum = NULL;
    tensor *h = op_add_rms_norm(m->tape, *x, y, gain, m->config.norm_eps, &sum);
    tape_forget(m->tape, y);
    *x = sum;
    return h;
}

/* All layers over x; each norm belongs to the layer that reads it, but is made with the sum. */
static tensor *run_layers(model *m, const model_input *input, tensor *x, model_trace *out)
{
    tape *t = m->tape;
    size_t n_layers = m->config.n_layers;
    tensor *gain = model_param(m, llama_param(0, LLAMA_NORM_1), 1);
    tensor *h = op_rms_norm_activation(t, x, gain, m->config.norm_eps);
    for (size_t i = 0; i < n_layers; i++) {
        tensor *y = attention_block(m, input, i, h, &out->fused[i]);
        h = add_norm(m, &x, y, i, LLAMA_NORM_2);
        y = feed_forward_block(m, input, i, h);
        if (i + 1 < n_layers) {
            h = add_norm(m, &x, y, i + 1, LLAMA_NORM_1);
        } else {
            x = op_add(t, x, y);
            tape_forget(t, y);
        }
        out->layers[i + 1] = x;
    }
    return x;
}

static bool forward(model *m, const model_input *input, model_trace *out)
{
    tape *t = m->tape;
    size_t n_layers = m->config.n_layers;
    out->n_layers = n_layers;
    out->layers = tape_alloc(t, n_layers + 1, sizeof(tensor *));
    out->fused = tape_alloc(t, n_layers, sizeof(tensor *));
    if (out->layers == NULL || out->fused == NULL) return false;
    tensor *x = op_embed(t, model_param(m, 0, 1), input->ids, input->n_tokens);
    if (m->config.d_embed != 0)
        x = op_linear(t, x, model_param(m, llama_embed_proj(&m->config), 1));
    x = op_dropout(t, x, input->dropout, 0, input->spans, input->dropout_keys, input->n_spans);
    out->layers[0] = x;
    return run_layers(m, input, x, out) != NULL;
}

static tensor *final_norm(model *m, tensor *layer_output, const uint32_t *rows, size_t n_rows)
{
    tensor *gain = model_param(m, llama_param(m->config.n_layers, LLAMA_NORM_1), 1);
    tensor *x = op_gather_rows(m->tape, layer_output, rows, n_rows);
    x = op_rms_norm(m->tape, x, gain, m->config.norm_eps);
    if (m->config.d_embed == 0) return x;
    return op_linear(m->tape, x, model_param(m, llama_head_proj(&m->config), 1));
}

static size_t head_param(const model *m)
{
    return m->config.tied ? 0 : llama_param(m->config.n_layers, LLAMA_NORM_1) + 1;
}

const arch arch_llama = {
    .list_params = list_params,
    .init_deviation = init_deviation,
    .forward = forward,
    .final_norm = final_norm,
    .head_param = head_param,
    .decoder_new = llama_decoder_new,
    .decoder_begin = llama_decoder_begin,
    .decoder_free = llama_decoder_free,
    .prefill = llama_prefill,
    .copy = llama_copy,
    .fork = llama_fork,
    .step = llama_step,
};
