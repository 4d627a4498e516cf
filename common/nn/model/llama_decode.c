#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/model/decode_rows.h"
#include "common/nn/model/kv_memory.h"
#include "common/nn/model/llama.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"
#include "common/nn/vec.h"
#include "common/nn/vec_gated.h"

/* Decoding: one token for each live sequence at a time, keys and values of the past kept.
 *
 * The loop over layers is here and not on a tape: nothing runs backward, and a later early exit
 * needs to stop a single sequence at a layer and still append its keys (keep_token).
 */
struct decoder {
    model *m;
    head_shape shape;
    kv_memory memory;
    size_t n_seqs_max;
    size_t *lengths;                          /* [n_seqs], tokens in memory */
    float *x, *h, *fused, *y, *wide, *narrow; /* [n_seqs_max, ...] of one step */
    float *scores;                            /* [threads, n_longest + KV_SCORES_EXTRA] */
    size_t n_longest;
};

static bool allocate(decoder *d, size_t n_tokens)
{
    const model_config *c = &d->m->config;
    size_t n = d->n_seqs_max, n_cols = head_shape_cols(d->shape);
    if (!kv_memory_new(&d->memory, c->n_layers, d->shape, d->m->halves_decode, n, n_tokens))
        return false;
    d->lengths = rt_calloc(n, sizeof *d->lengths);
    d->x = rt_calloc(n * c->d_model, sizeof(float));
    d->h = rt_calloc(n * c->d_model, sizeof(float));
    d->fused = rt_calloc(n * n_cols, sizeof(float));
    d->y = rt_calloc(n * d->shape.n_heads * d->shape.d_head, sizeof(float));
    d->wide = rt_calloc(n * 2 * c->d_ff, sizeof(float));
    d->narrow = rt_calloc(n * c->d_ff, sizeof(float));
    d->scores = rt_calloc(parallel_threads() * (d->n_longest + KV_SCORES_EXTRA), sizeof(float));
    return d->lengths != NULL && d->x != NULL && d->h != NULL && d->fused != NULL && d->y != NULL &&
           d->wide != NULL && d->narrow != NULL && d->scores != NULL;
}

rt_status llama_decoder_new(model *m, size_t n_seqs, size_t n_tokens, size_t n_longest,
                            decoder **out, rt_error *err)
{
    decoder *d = rt_calloc(1, sizeof *d);
    if (d == NULL) return rt_fail(err, RT_NOMEM, "decoder");
    *d = (decoder){
        .m = m, .shape = llama_shape(&m->config), .n_seqs_max = n_seqs, .n_longest = n_longest};
    if (!allocate(d, n_tokens)) {
        llama_decoder_free(d);
        return rt_fail(err, RT_NOMEM, DECODER_NO_MEMORY, n_seqs, n_tokens);
    }
    *out = d;
    return RT_OK;
}

void llama_decoder_begin(decoder *d, const size_t *capacities, size_t n_seqs)
{
    for (size_t i = 0; i < n_seqs; i++) {
        RT_ASSERT(capacities[i] <= d->n_longest);
        d->lengths[i] = 0;
    }
    kv_memory_begin(&d->memory, capacities, n_seqs);
}

void llama_decoder_free(decoder *d)
{
    if (d == NULL) return;
    float *floats[] = {d->x, d->h, d->fused, d->y, d->wide, d->narrow, d->scores};
    for (size_t i = 0; i < RT_COUNT(floats); i++) free(floats[i]);
    kv_memory_free(&d->memory);
    free(d->lengths);
    free(d);
}

/* Keep keys and values of one token, from its row of the fused matrix after rotation. */
static void keep_token(const decoder *d, size_t i_layer, size_t i_seq, size_t position,
                       const float *fused_row)
{
    const float *k = fused_row + d->shape.n_heads * d->shape.d_head;
    kv_memory_put(&d->memory, i_layer, i_seq, position, k,
                  k + d->shape.n_kv_heads * d->shape.d_head);
}

rt_status llama_prefill(decoder *d, size_t n, const uint32_t *i_seqs,
                        const generate_prompt *prompts, float *hidden, rt_error *err)
{
    model *m = d->m;
    model_input in;
    model_trace trace;
    uint32_t *last_rows = NULL;
    model_begin(m, false);
    rt_status st = rows_of_prompts(m, n, prompts, &in, &last_rows, err);
    if (st != RT_OK) return st;
    tensor *last = NULL;
    if (m->arch->forward(m, &in, &trace))
        last = m->arch->final_norm(m, trace.layers[trace.n_layers], last_rows, n);
    if ((st = tape_status(m->tape, err)) != RT_OK) return st;
    RT_ASSERT(last != NULL);
    memcpy(hidden, last->data, n * model_head_width(m) * sizeof *hidden);
    for (size_t l = 0; l < m->config.n_layers; l++) {
        rows fused = rows_of(trace.fused[l]);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < in.spans[i].n; j++)
                keep_token(d, l, i_seqs[i], j, rows_load(&fused, in.spans[i].first + j, d->fused));
    }
    for (size_t i = 0; i < n; i++) d->lengths[i_seqs[i]] = in.spans[i].n;
    return RT_OK;
}

void llama_copy(decoder *d, size_t to, size_t from, size_t n)
{
    RT_ASSERT(n <= d->lengths[from]);
    kv_memory_copy(&d->memory, to, from, 0, n);
    d->lengths[to] = n;
}

void llama_fork(decoder *d, size_t to, size_t from, size_t n_same)
{
    size_t n = d->lengths[from];
    RT_ASSERT(n_same <= n && n_same <= d->lengths[to]);
    kv_memory_copy(&d->memory, to, from, n_same, n - n_same);
    d->lengths[to] = n;
}

static const float *layer_weight(const decoder *d, size_t i_layer, llama_layer_param which)
{
    return rows_weight(d->m, llama_param(i_layer, which));
}

static void attention_layer(decoder *d, size_t i_layer, size_t n, const uint32_t *i_seqs)
{
    size_t width = d->m->config.d_model, d_head = d->shape.d_head, n_heads = d->shape.n_heads;
    size_t n_cols = head_shape_cols(d->shape), n_rotated = n_heads + d->shape.n_kv_heads;
    float scale = 1.0f / sqrtf((float)d_head);
    rows_norm(d->m, n, d->x, layer_weight(d, i_layer, LLAMA_NORM_1), d->h);
    rows_linear(d->m, llama_param(i_layer, LLAMA_Q), 3, n, d->h, d->fused);
#pragma omp parallel for schedule(static) if (n > 1)
    for (size_t i = 0; i < n; i++) {
        size_t position = d->lengths[i_seqs[i]];
        float *row = d->fused + i * n_cols;
        float *scores = d->scores + parallel_thread() * (d->n_longest + KV_SCORES_EXTRA);
        rope_row(row, n_rotated, d_head, d->m->angles + position * d_head, 1);
        keep_token(d, i_layer, i_seqs[i], position, row);
        for (size_t head = 0; head < n_heads; head++) {
            kv_window window = {
                .i_layer = i_layer, .i_seq = i_seqs[i], .head = head, .n = position + 1};
            kv_memory_attend(&d->memory, &window, row + head * d_head, scale, NULL, scores,
                             d->y + (i * n_heads + head) * d_head);
        }
    }
    rows_linear(d->m, llama_param(i_layer, LLAMA_O), 1, n, d->y, d->h);
    vec_add(d->x, d->h, n * width);
}

static void feed_forward_layer(decoder *d, size_t i_layer, size_t n)
{
    size_t width = d->m->config.d_model, d_ff = d->m->config.d_ff;
    rows_norm(d->m, n, d->x, layer_weight(d, i_layer, LLAMA_NORM_2), d->h);
    rows_linear(d->m, llama_param(i_layer, LLAMA_GATE), 2, n, d->h, d->wide);
    for (size_t i = 0; i < n; i++) {
        const float *gate = d->wide + 2 * i * d_ff;
        vec_swiglu(gate, gate + d_ff, d->narrow + i * d_ff, d_ff);
    }
    rows_linear(d->m, llama_param(i_layer, LLAMA_DOWN), 1, n, d->narrow, d->h);
    vec_add(d->x, d->h, n * width);
}

/* Rows of the embedding into d->x. */
static void embed_layer(decoder *d, size_t n, const uint32_t *ids)
{
    const model_config *c = &d->m->config;
    if (c->d_embed == 0) {
        rows_embed(d->m, n, ids, d->x);
        return;
    }
    rows_embed(d->m, n, ids, d->h);
    rows_linear(d->m, llama_embed_proj(c), 1, n, d->h, d->x);
}

/* What the head reads. */
static void last_layer(decoder *d, size_t n, float *hidden)
{
    const model_config *c = &d->m->config;
    const float *gain = layer_weight(d, c->n_layers, LLAMA_NORM_1);
    if (c->d_embed == 0) {
        rows_norm(d->m, n, d->x, gain, hidden);
        return;
    }
    rows_norm(d->m, n, d->x, gain, d->h);
    rows_linear(d->m, llama_head_proj(c), 1, n, d->h, hidden);
}

rt_status llama_step(decoder *d, size_t n, const uint32_t *i_seqs, const uint32_t *ids,
                     float *hidden, rt_error *err)
{
    (void)err; /* everything was allocated before */
    size_t n_layers = d->m->config.n_layers;
    embed_layer(d, n, ids);
    for (size_t l = 0; l < n_layers; l++) {
        attention_layer(d, l, n, i_seqs);
        feed_forward_layer(d, l, n);
    }
    last_layer(d, n, hidden);
    for (size_t i = 0; i < n; i++) d->lengths[i_seqs[i]]++;
    return RT_OK;
}
