#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/model/decode_rows.h"
#include "common/nn/model/kv_memory.h"
#include "common/nn/model/t5.h"
#include "common/nn/ops/rel_bias.h"
#include "common/nn/parallel.h"
#include "common/nn/vec.h"
#include "common/nn/vec_gated.h"

/* Decoding: the encoder reads a prompt once, and the keys and values that each layer's
 * cross-attention makes of its output are kept; then one token at a time. Both kinds share the
 * sequence's memory, since prompt and answer share its length:
 *
 *   positions   0 .. n_source - 1 : the encoder's       n_source .. : the decoder's own
 */
struct decoder {
    model *m;
    head_shape shape;
    kv_memory memory;
    size_t n_seqs_max, n_longest;
    size_t *n_sources;                        /* [n_seqs], tokens of the prompt */
    size_t *lengths;                          /* [n_seqs], tokens that the decoder has read */
    float *x, *h, *fused, *y, *wide, *narrow; /* [n_seqs_max, ...] of one step */
    float *scores;                            /* [threads, n_longest + KV_SCORES_EXTRA] */
    float *biases;    /* [n_heads, n_longest], of distances n_longest - 1 down to 0 */
    uint32_t *starts; /* [n_seqs_max], decoder_start_id */
};

static bool allocate(decoder *d, size_t n_tokens)
{
    const model_config *c = &d->m->config;
    size_t n = d->n_seqs_max, inner = d->shape.n_heads * d->shape.d_head;
    if (!kv_memory_new(&d->memory, c->n_decoder_layers, d->shape, d->m->halves_decode, n, n_tokens))
        return false;
    d->n_sources = rt_calloc(n, sizeof *d->n_sources);
    d->lengths = rt_calloc(n, sizeof *d->lengths);
    d->starts = rt_calloc(n, sizeof *d->starts);
    d->x = rt_calloc(n * c->d_model, sizeof(float));
    d->h = rt_calloc(n * c->d_model, sizeof(float));
    d->fused = rt_calloc(n * 3 * inner, sizeof(float));
    d->y = rt_calloc(n * inner, sizeof(float));
    d->wide = rt_calloc(n * 2 * c->d_ff, sizeof(float));
    d->narrow = rt_calloc(n * c->d_ff, sizeof(float));
    d->scores = rt_calloc(parallel_threads() * (d->n_longest + KV_SCORES_EXTRA), sizeof(float));
    d->biases = rt_calloc(c->n_heads * d->n_longest, sizeof(float));
    return d->n_sources != NULL && d->lengths != NULL && d->starts != NULL && d->x != NULL &&
           d->h != NULL && d->fused != NULL && d->y != NULL && d->wide != NULL &&
           d->narrow != NULL && d->scores != NULL && d->biases != NULL;
}

rt_status t5_decoder_new(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest, decoder **out,
                         rt_error *err)
{
    decoder *d = rt_calloc(1, sizeof *d);
    if (d == NULL) return rt_fail(err, RT_NOMEM, "decoder");
    *d = (decoder){
        .m = m, .shape = t5_shape(&m->config), .n_seqs_max = n_seqs, .n_longest = n_longest};
    if (!allocate(d, n_tokens)) {
        t5_decoder_free(d);
        return rt_fail(err, RT_NOMEM, DECODER_NO_MEMORY, n_seqs, n_tokens);
    }
    for (size_t i = 0; i < n_seqs; i++) d->starts[i] = m->config.decoder_start_id;
    *out = d;
    return RT_OK;
}

void t5_decoder_free(decoder *d)
{
    if (d == NULL) return;
    float *floats[] = {d->x, d->h, d->fused, d->y, d->wide, d->narrow, d->scores, d->biases};
    for (size_t i = 0; i < RT_COUNT(floats); i++) free(floats[i]);
    kv_memory_free(&d->memory);
    free(d->n_sources);
    free(d->lengths);
    free(d->starts);
    free(d);
}

/* The decoder's biases do not change while a group runs. */
static void spread_biases(decoder *d)
{
    const model_config *c = &d->m->config;
    const float *table = rows_weight(d->m, t5_bias_param(T5_DECODER));
    for (size_t i = 0; i < d->n_longest; i++) {
        int64_t offset = (int64_t)i - (int64_t)(d->n_longest - 1);
        size_t bucket = rel_bucket(offset, false, c->rel_buckets, c->rel_distance_max);
        for (size_t head = 0; head < c->n_heads; head++)
            d->biases[head * d->n_longest + i] = table[bucket * c->n_heads + head];
    }
}

void t5_decoder_begin(decoder *d, const size_t *capacities, size_t n_seqs)
{
    for (size_t i = 0; i < n_seqs; i++) {
        RT_ASSERT(capacities[i] <= d->n_longest);
        d->n_sources[i] = d->lengths[i] = 0;
    }
    kv_memory_begin(&d->memory, capacities, n_seqs);
    spread_biases(d);
}

static const float *layer_weight(const decoder *d, size_t i_layer, t5_layer_param which)
{
    return rows_weight(d->m, t5_param(&d->m->config, T5_DECODER, i_layer, which));
}

/* y[n, ...] = x w^T with n_params matrices of a decoder layer that lie side by side. */
static void layer_linear(const decoder *d, size_t i_layer, t5_layer_param which, size_t n_params,
                         size_t n, const float *x, float *y)
{
    rows_linear(d->m, t5_param(&d->m->config, T5_DECODER, i_layer, which), n_params, n, x, y);
}

/* Keys and values of one layer's cross-attention, for all tokens of n prompts. */
static void keep_encoded(const decoder *d, size_t i_layer, const model_input *in,
                         const uint32_t *i_seqs, const tensor *kv)
{
    size_t inner = d->shape.n_heads * d->shape.d_head;
    for (size_t i = 0; i < in->n_spans; i++)
        for (size_t j = 0; j < in->source_spans[i].n; j++) {
            const float *row = kv->data + (in->source_spans[i].first + j) * kv->n_cols;
            kv_memory_put(&d->memory, i_layer, i_seqs[i], j, row, row + inner);
        }
}

/* Run the encoder over the prompts and fill the memory with what the decoder sees of them. */
static rt_status encode_prompts(decoder *d, size_t n, const uint32_t *i_seqs,
                                const generate_prompt *prompts, rt_error *err)
{
    model *m = d->m;
    const model_config *c = &m->config;
    model_input in;
    model_begin(m, false);
    rt_status st = rows_of_prompts(m, n, prompts, &in, NULL, err);
    if (st != RT_OK) return st;
    in.source_ids = in.ids;
    in.source_spans = in.spans;
    in.n_source_tokens = in.n_tokens;
    tensor *encoded = t5_encode(m, &in);
    for (size_t l = 0; l < c->n_decoder_layers; l++) {
        tensor *w = model_param(m, t5_param(c, T5_DECODER, l, T5_CROSS_K), 2);
        tensor *kv = op_linear(m->tape, encoded, w);
        if (kv != NULL) keep_encoded(d, l, &in, i_seqs, kv);
    }
    if ((st = tape_status(m->tape, err)) != RT_OK) return st;
    for (size_t i = 0; i < n; i++) {
        d->n_sources[i_seqs[i]] = prompts[i].n_ids;
        d->lengths[i_seqs[i]] = 0;
    }
    return RT_OK;
}

rt_status t5_prefill(decoder *d, size_t n, const uint32_t *i_seqs, const generate_prompt *prompts,
                     float *hidden, rt_error *err)
{
    rt_status st = encode_prompts(d, n, i_seqs, prompts, err);
    return st == RT_OK ? t5_step(d, n, i_seqs, d->starts, hidden, err) : st;
}

/* The prompt as the encoder left it, and the start that the decoder has read behind it. */
void t5_copy(decoder *d, size_t to, size_t from, size_t n)
{
    RT_ASSERT(n == d->n_sources[from] && d->lengths[from] >= 1);
    d->n_sources[to] = n;
    d->lengths[to] = 1;
    kv_memory_copy(&d->memory, to, from, 0, n + 1);
}

/* Behind the source, decoder_start_id stands before the first token: a place that the caller does not
 * count, and which is copied once more. */
void t5_fork(decoder *d, size_t to, size_t from, size_t n_same)
{
    size_t n = d->n_sources[from] + d->lengths[from];
    RT_ASSERT(n_same <= n && n_same <= d->n_sources[to] + d->lengths[to]);
    kv_memory_copy(&d->memory, to, from, n_same, n - n_same);
    d->n_sources[to] = d->n_sources[from];
    d->lengths[to] = d->lengths[from];
}

/* All heads of one row: queries of [n_heads, d_head] over a window of the memory. */
static void attend(decoder *d, kv_window window, const float *queries, bool biased, float *y)
{
    size_t d_head = d->shape.d_head;
    float *scores = d->scores + parallel_thread() * (d->n_longest + KV_SCORES_EXTRA);
    for (size_t head = 0; head < d->shape.n_heads; head++) {
        const float *last = d->biases + (head + 1) * d->n_longest;
        window.head = head;
        kv_memory_attend(&d->memory, &window, queries + head * d_head, 1,
                         biased ? last - window.n : NULL, scores, y + head * d_head);
    }
}

static void self_attention(decoder *d, size_t i_layer, size_t n, const uint32_t *i_seqs)
{
    size_t width = d->m->config.d_model, inner = d->shape.n_heads * d->shape.d_head;
    rows_norm(d->m, n, d->x, layer_weight(d, i_layer, T5_NORM_1), d->h);
    layer_linear(d, i_layer, T5_Q, 3, n, d->h, d->fused);
#pragma omp parallel for schedule(static) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        const float *row = d->fused + i * 3 * inner;
        size_t s = i_seqs[i];
        kv_window window = {
            .i_layer = i_layer, .i_seq = s, .first = d->n_sources[s], .n = d->lengths[s] + 1};
        kv_memory_put(&d->memory, i_layer, s, d->n_sources[s] + d->lengths[s], row + inner,
                      row + 2 * inner);
        attend(d, window, row, true, d->y + i * inner);
    }
    layer_linear(d, i_layer, T5_O, 1, n, d->y, d->h);
    vec_add(d->x, d->h, n * width);
}

static void cross_attention(decoder *d, size_t i_layer, size_t n, const uint32_t *i_seqs)
{
    size_t width = d->m->config.d_model, inner = d->shape.n_heads * d->shape.d_head;
    rows_norm(d->m, n, d->x, layer_weight(d, i_layer, T5_NORM_CROSS), d->h);
    layer_linear(d, i_layer, T5_CROSS_Q, 1, n, d->h, d->fused);
#pragma omp parallel for schedule(static) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        kv_window window = {.i_layer = i_layer, .i_seq = i_seqs[i], .n = d->n_sources[i_seqs[i]]};
        attend(d, window, d->fused + i * inner, false, d->y + i * inner);
    }
    layer_linear(d, i_layer, T5_CROSS_O, 1, n, d->y, d->h);
    vec_add(d->x, d->h, n * width);
}

static void feed_forward(decoder *d, size_t i_layer, size_t n)
{
    const model_config *c = &d->m->config;
    bool gated = c->ff_act == MODEL_FF_GATED_GELU;
    rows_norm(d->m, n, d->x, layer_weight(d, i_layer, T5_NORM_2), d->h);
    layer_linear(d, i_layer, T5_WI, gated ? 2 : 1, n, d->h, d->wide);
    for (size_t i = 0; gated && i < n; i++) {
        const float *gate = d->wide + 2 * i * c->d_ff;
        vec_gated_gelu(gate, gate + c->d_ff, d->narrow + i * c->d_ff, c->d_ff);
    }
    for (size_t i = 0; !gated && i < n * c->d_ff; i++)
        d->narrow[i] = d->wide[i] > 0 ? d->wide[i] : 0.0f;
    layer_linear(d, i_layer, T5_WO, 1, n, d->narrow, d->h);
    vec_add(d->x, d->h, n * c->d_model);
}

rt_status t5_step(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids, float *hidden,
                  rt_error *err)
{
    (void)err; /* everything was allocated before */
    const model_config *c = &d->m->config;
    rows_embed(d->m, n, ids, d->x);
    for (size_t l = 0; l < c->n_decoder_layers; l++) {
        self_attention(d, l, n, i_seqs);
        cross_attention(d, l, n, i_seqs);
        feed_forward(d, l, n);
    }
    rows_norm(d->m, n, d->x, layer_weight(d, c->n_decoder_layers, T5_NORM_1), hidden);
    if (c->tied) vec_scale(hidden, t5_head_scale(c), n * c->d_model);
    for (size_t i = 0; i < n; i++) d->lengths[i_seqs[i]]++;
    return RT_OK;
}
