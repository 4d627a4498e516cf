#include "common/nn/model/t5.h"

/* Encoder-decoder in the layout of Hugging Face (modeling_t5.py). The prompt is read by the encoder,
 * the target by the decoder, one place later: it begins with decoder_start_id.
 *
 *   encoder layer   x ─┬─ norm ─ self-attention ─ + ─┬─ norm ─ feed-forward ─ + ─►
 *   decoder layer   x ─┬─ norm ─ self-attention ─ + ─┬─ norm ─ cross-attention ─ + ─┬─ norm ─ ff ─ + ─►
 *                                                      keys and values: the encoder's output
 *
 * Self-attention has a bias of relative positions, one table for all layers of a stack; scores are
 * not scaled. Both token axes are packed without padding; span i of one belongs to span i of the
 * other.
 */

/* One stack's token axis. */
typedef struct axis {
    t5_stack stack;
    const row_span *spans; /* [n_spans] */
    const model_input *input;
    uint32_t site; /* number of the stack's first dropout */
} axis;

static axis encoder_axis(const model_input *input)
{
    return (axis){.stack = T5_ENCODER, .spans = input->source_spans, .input = input};
}

static axis decoder_axis(const model *m, const model_input *input)
{
    return (axis){.stack = T5_DECODER,
                  .spans = input->spans,
                  .input = input,
                  .site = (uint32_t)(1 + 2 * m->config.n_layers)};
}

static tensor *weight(model *m, const axis *a, size_t i_layer, t5_layer_param which, size_t n)
{
    return model_param(m, t5_param(&m->config, a->stack, i_layer, which), n);
}

static tensor *drop(model *m, const axis *a, uint32_t site, tensor *x)
{
    const model_input *in = a->input;
    return op_dropout(m->tape, x, in->dropout, a->site + site, a->spans, in->dropout_keys,
                      in->n_spans);
}

/* A stack while its layers run: the sum so far and its norm, which the next block reads. */
typedef struct stream {
    tensor *x, *h;
} stream;

static stream stream_begin(model *m, const axis *a, tensor *x)
{
    tensor *gain = weight(m, a, 0, T5_NORM_1, 1);
    return (stream){x, op_rms_norm_activation(m->tape, x, gain, m->config.norm_eps)};
}

/* x += dropout(y), which nothing else reads, and the norm that the next block wants. */
static void stream_add(model *m, const axis *a, stream *s, uint32_t site, tensor *y, size_t i_layer,
                       t5_layer_param next)
{
    tensor *sum = NULL;
    y = drop(m, a, site, y);
    s->h =
        op_add_rms_norm(m->tape, s->x, y, weight(m, a, i_layer, next, 1), m->config.norm_eps, &sum);
    tape_forget(m->tape, y);
    s->x = sum;
}

/* The last block of a layer: behind the last layer the sum has no norm of this stack. */
static void stream_end_layer(model *m, const axis *a, stream *s, uint32_t site, tensor *y,
                             size_t i_layer, size_t n_layers)
{
    if (i_layer + 1 < n_layers) {
        stream_add(m, a, s, site, y, i_layer + 1, T5_NORM_1);
        return;
    }
    y = drop(m, a, site, y);
    s->x = op_add(m->tape, s->x, y);
    tape_forget(m->tape, y);
}

/* attention(h) over the stack itself. */
static tensor *self_attention(model *m, const axis *a, size_t i_layer, tensor *h)
{
    tape *t = m->tape;
    tensor *qkv = op_linear_activation(t, h, weight(m, a, i_layer, T5_Q, 3));
    tape_forget(t, h);
    rel_bias bias = {.table = model_param(m, t5_bias_param(a->stack), 1),
                     .bidirectional = a->stack == T5_ENCODER,
                     .distance_max = m->config.rel_distance_max};
    attention_spec spec = attention_spec_fused(t5_shape(&m->config), a->spans, a->input->n_spans);
    spec.causal = a->stack == T5_DECODER;
    spec.bias = &bias;
    tensor *y = op_attention_over(t, qkv, qkv, &spec);
    return op_linear_activation(t, y, weight(m, a, i_layer, T5_O, 1));
}

/* attention(h) over the encoder's output. */
static tensor *cross_attention(model *m, const axis *a, size_t i_layer, tensor *h, tensor *encoded)
{
    tape *t = m->tape;
    head_shape shape = t5_shape(&m->config);
    tensor *q = op_linear_activation(t, h, weight(m, a, i_layer, T5_CROSS_Q, 1));
    tape_forget(t, h);
    tensor *kv = op_linear_activation(t, encoded, weight(m, a, i_layer, T5_CROSS_K, 2));
    attention_spec spec = {.shape = shape,
                           .v_first = shape.n_heads * shape.d_head,
                           .q_spans = a->spans,
                           .kv_spans = a->input->source_spans,
                           .n_spans = a->input->n_spans,
                           .scale = 1};
    tensor *y = op_attention_over(t, q, kv, &spec);
    return op_linear_activation(t, y, weight(m, a, i_layer, T5_CROSS_O, 1));
}

/* wo(act(wi h)). */
static tensor *feed_forward(model *m, const axis *a, size_t i_layer, tensor *h)
{
    tape *t = m->tape;
    bool gated = m->config.ff_act == MODEL_FF_GATED_GELU;
    tensor *wide = op_linear_activation(t, h, weight(m, a, i_layer, T5_WI, gated ? 2 : 1));
    tape_forget(t, h);
    tensor *inner = gated ? op_gated_gelu(t, wide) : op_relu(t, wide);
    tensor *y = op_linear_activation(t, inner, weight(m, a, i_layer, T5_WO, 1));
    if (gated) tape_forget(t, inner);
    return y;
}

static tensor *embed(model *m, const axis *a, const uint32_t *ids, size_t n)
{
    return drop(m, a, 0, op_embed(m->tape, model_param(m, 0, 1), ids, n));
}

tensor *t5_encode(model *m, const model_input *input)
{
    axis a = encoder_axis(input);
    size_t n_layers = m->config.n_layers;
    stream s = stream_begin(m, &a, embed(m, &a, input->source_ids, input->n_source_tokens));
    for (size_t i = 0; i < n_layers; i++) {
        uint32_t site = (uint32_t)(2 * i);
        stream_add(m, &a, &s, site + 1, self_attention(m, &a, i, s.h), i, T5_NORM_2);
        stream_end_layer(m, &a, &s, site + 2, feed_forward(m, &a, i, s.h), i, n_layers);
    }
    /* Each layer of the decoder reads it: their gradients add up in float32. */
    return op_rms_norm(m->tape, s.x, weight(m, &a, n_layers, T5_NORM_1, 1), m->config.norm_eps);
}

static bool forward(model *m, const model_input *input, model_trace *out)
{
    axis a = decoder_axis(m, input);
    size_t n_layers = m->config.n_decoder_layers;
    *out = (model_trace){.layers = tape_alloc(m->tape, n_layers + 1, sizeof(tensor *)),
                         .n_layers = n_layers};
    if (out->layers == NULL) return false;
    tensor *encoded = t5_encode(m, input);
    stream s = stream_begin(m, &a, embed(m, &a, input->ids, input->n_tokens));
    out->layers[0] = s.x;
    for (size_t i = 0; i < n_layers; i++) {
        uint32_t site = (uint32_t)(3 * i);
        stream_add(m, &a, &s, site + 1, self_attention(m, &a, i, s.h), i, T5_NORM_CROSS);
        stream_add(m, &a, &s, site + 2, cross_attention(m, &a, i, s.h, encoded), i, T5_NORM_2);
        stream_end_layer(m, &a, &s, site + 3, feed_forward(m, &a, i, s.h), i, n_layers);
        out->layers[i + 1] = s.x;
    }
    return s.x != NULL;
}

static tensor *final_norm(model *m, tensor *layer_output, const uint32_t *rows, size_t n_rows)
{
    size_t i_gain = t5_param(&m->config, T5_DECODER, m->config.n_decoder_layers, T5_NORM_1);
    tensor *x = op_gather_rows(m->tape, layer_output, rows, n_rows);
    x = op_rms_norm(m->tape, x, model_param(m, i_gain, 1), m->config.norm_eps);
    return m->config.tied ? op_scale(m->tape, x, t5_head_scale(&m->config)) : x;
}

static size_t head_param(const model *m)
{
    return t5_head_param(&m->config);
}

const arch arch_t5 = {
    .list_params = t5_list_params,
    .init_deviation = t5_init_deviation,
    .forward = forward,
    .final_norm = final_norm,
    .head_param = head_param,
    .decoder_new = t5_decoder_new,
    .decoder_begin = t5_decoder_begin,
    .decoder_free = t5_decoder_free,
    .prefill = t5_prefill,
    .copy = t5_copy,
    .fork = t5_fork,
    .step = t5_step,
};
