#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm.h"
#include "common/nn/model/llama.h"
#include "common/nn/parallel.h"
#include "common/nn/vec.h"

/* Decoding: one token for each live sequence at a time, keys and values of the past kept.
 *
 * The memory of a sequence is one block for each (layer, key head). Keys lie transposed, so that
 * the scores of one query are a sum of long rows; values lie as they come:
 *
 *   block:  keys [d_head, capacity] | values [capacity, d_head]
 *   cache:  layer 0: (seq 0: head 0, head 1 ..) (seq 1: ..) ..   layer 1: ..
 *
 * The loop over layers is here and not on a tape: nothing runs backward, and a later early exit
 * needs to stop a single sequence at a layer and still append its keys (cache_append).
 */
struct decoder {
    model *m;
    head_shape shape;
    size_t n_seqs_max;
    size_t n_tokens_max;
    size_t *capacities; /* [n_seqs] */
    size_t *firsts;     /* [n_seqs], tokens of the sequences before it */
    size_t *lengths;    /* [n_seqs], tokens in memory */
    size_t n_rows;      /* sum of capacities */
    float *cache;       /* [n_layers, n_rows, n_kv_heads, 2, d_head], in blocks as above */
    float *x, *h, *fused, *y, *wide, *narrow; /* [n_seqs_max, ...] of one step */
    float *scores;                            /* [threads, longest capacity] */
    size_t n_scores;
};

static float *block_keys(const decoder *d, size_t i_layer, size_t i_seq, size_t kv)
{
    size_t per_token = d->shape.n_kv_heads * 2 * d->shape.d_head;
    float *seq = d->cache + (i_layer * d->n_rows + d->firsts[i_seq]) * per_token;
    return seq + kv * 2 * d->shape.d_head * d->capacities[i_seq];
}

static float *block_values(const decoder *d, size_t i_layer, size_t i_seq, size_t kv)
{
    return block_keys(d, i_layer, i_seq, kv) + d->shape.d_head * d->capacities[i_seq];
}

static bool allocate(decoder *d, size_t n_tokens)
{
    const model_config *c = &d->m->config;
    size_t n = d->n_seqs_max, n_cols = head_shape_cols(d->shape), n_cache = 0;
    if (!rt_checked_mul(c->n_layers * d->shape.n_kv_heads * 2 * d->shape.d_head, n_tokens,
                        &n_cache) ||
        !rt_checked_mul(n_cache, sizeof(float), &n_cache))
        return false;
    d->capacities = rt_calloc(n, sizeof *d->capacities);
    d->firsts = rt_calloc(n, sizeof *d->firsts);
    d->lengths = rt_calloc(n, sizeof *d->lengths);
    d->cache = malloc(n_cache);
    d->x = rt_calloc(n * c->d_model, sizeof(float));
    d->h = rt_calloc(n * c->d_model, sizeof(float));
    d->fused = rt_calloc(n * n_cols, sizeof(float));
    d->y = rt_calloc(n * d->shape.n_heads * d->shape.d_head, sizeof(float));
    d->wide = rt_calloc(n * 2 * c->d_ff, sizeof(float));
    d->narrow = rt_calloc(n * c->d_ff, sizeof(float));
    d->scores = rt_calloc(parallel_threads() * d->n_scores, sizeof(float));
    return d->capacities != NULL && d->firsts != NULL && d->lengths != NULL && d->cache != NULL &&
           d->x != NULL && d->h != NULL && d->fused != NULL && d->y != NULL && d->wide != NULL &&
           d->narrow != NULL && d->scores != NULL;
}

rt_status llama_decoder_new(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest,
                            decoder **out, rt_error *err)
{
    decoder *d = rt_calloc(1, sizeof *d);
    if (d == NULL) return rt_fail(err, RT_NOMEM, "decoder");
    *d = (decoder){.m = m,
                   .shape = llama_shape(&m->config),
                   .n_seqs_max = n_seqs,
                   .n_tokens_max = n_tokens,
                   .n_scores = n_longest};
    if (!allocate(d, n_tokens)) {
        llama_decoder_free(d);
        return rt_fail(err, RT_NOMEM,
                       "no memory to decode %zu sequences together (%zu tokens): "
                       "use fewer new tokens or shorter prompts",
                       n_seqs, n_tokens);
    }
    *out = d;
    return RT_OK;
}

void llama_decoder_begin(decoder *d, const size_t *capacities, size_t n_seqs)
{
    RT_ASSERT(n_seqs <= d->n_seqs_max);
    d->n_rows = 0;
    for (size_t i = 0; i < n_seqs; i++) {
        RT_ASSERT(capacities[i] <= d->n_scores);
        d->capacities[i] = capacities[i];
        d->firsts[i] = d->n_rows;
        d->lengths[i] = 0;
        d->n_rows += capacities[i];
    }
    RT_ASSERT(d->n_rows <= d->n_tokens_max);
}

void llama_decoder_free(decoder *d)
{
    if (d == NULL) return;
    float *floats[] = {d->cache, d->x, d->h, d->fused, d->y, d->wide, d->narrow, d->scores};
    for (size_t i = 0; i < RT_COUNT(floats); i++) free(floats[i]);
    free(d->capacities);
    free(d->firsts);
    free(d->lengths);
    free(d);
}

/* Keep keys and values of one token, from its row of the fused matrix after rotation. */
static void cache_append(const decoder *d, size_t i_layer, size_t i_seq, size_t position,
                         const float *fused_row)
{
    size_t d_head = d->shape.d_head, capacity = d->capacities[i_seq];
    const float *k = fused_row + d->shape.n_heads * d_head;
    const float *v = k + d->shape.n_kv_heads * d_head;
    for (size_t kv = 0; kv < d->shape.n_kv_heads; kv++) {
        float *keys = block_keys(d, i_layer, i_seq, kv);
        for (size_t c = 0; c < d_head; c++) keys[c * capacity + position] = k[kv * d_head + c];
        memcpy(block_values(d, i_layer, i_seq, kv) + position * d_head, v + kv * d_head,
               d_head * sizeof *v);
    }
}

static rt_status prefill_input(tape *t, size_t n, const generate_prompt *prompts, model_input *in,
                               uint32_t **last_rows, rt_error *err)
{
    for (size_t i = 0; i < n; i++) in->n_tokens += prompts[i].n_ids;
    uint32_t *ids = tape_alloc(t, in->n_tokens, sizeof *ids);
    uint32_t *positions = tape_alloc(t, in->n_tokens, sizeof *positions);
    row_span *spans = tape_alloc(t, n, sizeof *spans);
    *last_rows = tape_alloc(t, n, sizeof **last_rows);
    rt_status st = tape_status(t, err);
    if (st != RT_OK) return st;
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        spans[i] = (row_span){.first = at, .n = prompts[i].n_ids};
        memcpy(ids + at, prompts[i].ids, prompts[i].n_ids * sizeof *ids);
        for (size_t j = 0; j < prompts[i].n_ids; j++) positions[at + j] = (uint32_t)j;
        at += prompts[i].n_ids;
        (*last_rows)[i] = (uint32_t)(at - 1);
    }
    in->ids = ids;
    in->positions = positions;
    in->spans = spans;
    in->n_spans = n;
    return RT_OK;
}

rt_status llama_prefill(decoder *d, size_t n, const uint32_t *i_seqs,
                        const generate_prompt *prompts, float *hidden, rt_error *err)
{
    model *m = d->m;
    model_input in = {0};
    model_trace trace;
    uint32_t *last_rows = NULL;
    model_begin(m, false);
    rt_status st = prefill_input(m->tape, n, prompts, &in, &last_rows, err);
    if (st != RT_OK) return st;
    tensor *last = NULL;
    if (m->arch->forward(m, &in, &trace))
        last = m->arch->final_norm(m, trace.layers[m->config.n_layers], last_rows, n);
    if ((st = tape_status(m->tape, err)) != RT_OK) return st;
    RT_ASSERT(last != NULL);
    memcpy(hidden, last->data, n * m->config.d_model * sizeof *hidden);
    for (size_t l = 0; l < m->config.n_layers; l++) {
        const tensor *fused = trace.fused[l];
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < in.spans[i].n; j++)
                cache_append(d, l, i_seqs[i], j,
                             fused->data + (in.spans[i].first + j) * fused->n_cols);
    }
    for (size_t i = 0; i < n; i++) d->lengths[i_seqs[i]] = in.spans[i].n;
    return RT_OK;
}

void llama_copy(decoder *d, size_t to, size_t from, size_t n)
{
    size_t d_head = d->shape.d_head;
    RT_ASSERT(n <= d->lengths[from] && n <= d->capacities[to]);
    d->lengths[to] = n;
    if (to == from) return;
    for (size_t l = 0; l < d->m->config.n_layers; l++)
        for (size_t kv = 0; kv < d->shape.n_kv_heads; kv++) {
            const float *keys = block_keys(d, l, from, kv);
            float *out = block_keys(d, l, to, kv);
            for (size_t c = 0; c < d_head; c++)
                memcpy(out + c * d->capacities[to], keys + c * d->capacities[from],
                       n * sizeof *out);
            memcpy(block_values(d, l, to, kv), block_values(d, l, from, kv),
                   n * d_head * sizeof *out);
        }
}

static const float *layer_weight(const decoder *d, size_t i_layer, llama_layer_param which)
{
    return d->m->weights + d->m->table.params[llama_param(i_layer, which)].offset;
}

/* y[n, d_out] = x[n, d_in] w^T. */
static void times(size_t n, const float *x, size_t d_in, const float *w, size_t d_out, float *y)
{
    gemm(GEMM_N, GEMM_T, n, d_out, d_in, 1, x, d_in, w, d_in, 0, y, d_out);
}

static void norm_rows(const decoder *d, size_t n, const float *gain, float *out)
{
    size_t width = d->m->config.d_model;
    for (size_t i = 0; i < n; i++)
        rms_norm_row(d->x + i * width, gain, d->m->config.norm_eps, width, out + i * width);
}

/* One query head of one sequence over everything it has in memory. */
static void attend(const decoder *d, size_t i_layer, size_t i_seq, size_t head, const float *q,
                   float *scores, float *y)
{
    size_t kv = head / (d->shape.n_heads / d->shape.n_kv_heads), d_head = d->shape.d_head;
    size_t n = d->lengths[i_seq] + 1;
    vec_weighted_rows(q, block_keys(d, i_layer, i_seq, kv), d_head, d->capacities[i_seq], n,
                      scores);
    vec_scale(scores, 1.0f / sqrtf((float)d_head), n);
    float sum = vec_exp_sum(scores, n, vec_max(scores, n));
    vec_weighted_rows(scores, block_values(d, i_layer, i_seq, kv), n, d_head, d_head, y);
    vec_scale(y, 1.0f / sum, d_head);
}

static void attention_layer(decoder *d, size_t i_layer, size_t n, const uint32_t *i_seqs)
{
    size_t width = d->m->config.d_model, d_head = d->shape.d_head, n_heads = d->shape.n_heads;
    size_t n_cols = head_shape_cols(d->shape), n_rotated = n_heads + d->shape.n_kv_heads;
    norm_rows(d, n, layer_weight(d, i_layer, LLAMA_NORM_1), d->h);
    times(n, d->h, width, layer_weight(d, i_layer, LLAMA_Q), n_cols, d->fused);
#pragma omp parallel for schedule(static) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        size_t position = d->lengths[i_seqs[i]];
        float *row = d->fused + i * n_cols, *scores = d->scores + parallel_thread() * d->n_scores;
        rope_row(row, n_rotated, d_head, d->m->angles + position * d_head, 1);
        cache_append(d, i_layer, i_seqs[i], position, row);
        for (size_t head = 0; head < n_heads; head++)
            attend(d, i_layer, i_seqs[i], head, row + head * d_head, scores,
                   d->y + (i * n_heads + head) * d_head);
    }
    times(n, d->y, n_heads * d_head, layer_weight(d, i_layer, LLAMA_O), width, d->h);
    vec_add(d->x, d->h, n * width);
}

static void feed_forward_layer(decoder *d, size_t i_layer, size_t n)
{
    size_t width = d->m->config.d_model, d_ff = d->m->config.d_ff;
    norm_rows(d, n, layer_weight(d, i_layer, LLAMA_NORM_2), d->h);
    times(n, d->h, width, layer_weight(d, i_layer, LLAMA_GATE), 2 * d_ff, d->wide);
    for (size_t i = 0; i < n; i++) {
        const float *gate = d->wide + 2 * i * d_ff;
        vec_swiglu(gate, gate + d_ff, d->narrow + i * d_ff, d_ff);
    }
    times(n, d->narrow, d_ff, layer_weight(d, i_layer, LLAMA_DOWN), width, d->h);
    vec_add(d->x, d->h, n * width);
}

rt_status llama_step(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids,
                     float *hidden, rt_error *err)
{
    (void)err; /* everything was allocated before */
    const model_config *c = &d->m->config;
    for (size_t i = 0; i < n; i++) {
        RT_ASSERT(d->lengths[i_seqs[i]] < d->capacities[i_seqs[i]] && ids[i] < c->n_vocab);
        memcpy(d->x + i * c->d_model, d->m->weights + ids[i] * c->d_model,
               c->d_model * sizeof(float));
    }
    for (size_t l = 0; l < c->n_layers; l++) {
        attention_layer(d, l, n, i_seqs);
        feed_forward_layer(d, l, n);
    }
    norm_rows(d, n, layer_weight(d, c->n_layers, LLAMA_NORM_1), hidden);
    for (size_t i = 0; i < n; i++) d->lengths[i_seqs[i]]++;
    return RT_OK;
}
