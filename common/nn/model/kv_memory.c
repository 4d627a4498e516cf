#include "common/nn/model/kv_memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/heap.h"
#include "common/nn/vec.h"

static float *block_keys(const kv_memory *k, size_t i_layer, size_t i_seq, size_t kv)
{
    size_t per_token = k->shape.n_kv_heads * 2 * k->shape.d_head;
    float *seq = k->cache + (i_layer * k->n_rows + k->firsts[i_seq]) * per_token;
    return seq + kv * 2 * k->shape.d_head * k->capacities[i_seq];
}

static float *block_values(const kv_memory *k, size_t i_layer, size_t i_seq, size_t kv)
{
    return block_keys(k, i_layer, i_seq, kv) + k->shape.d_head * k->capacities[i_seq];
}

bool kv_memory_new(kv_memory *out, size_t n_layers, head_shape shape, size_t n_seqs,
                   size_t n_tokens)
{
    size_t n_cache = 0;
    *out = (kv_memory){
        .shape = shape, .n_layers = n_layers, .n_seqs_max = n_seqs, .n_tokens_max = n_tokens};
    if (!rt_checked_mul(n_layers * shape.n_kv_heads * 2 * shape.d_head, n_tokens, &n_cache) ||
        !rt_checked_mul(n_cache, sizeof(float), &n_cache))
        return false;
    out->capacities = rt_calloc(n_seqs, sizeof *out->capacities);
    out->firsts = rt_calloc(n_seqs, sizeof *out->firsts);
    out->cache = rt_heap_tensors(n_cache);
    if (out->capacities != NULL && out->firsts != NULL && out->cache != NULL) return true;
    kv_memory_free(out);
    return false;
}

void kv_memory_free(kv_memory *k)
{
    free(k->capacities);
    free(k->firsts);
    free(k->cache);
    *k = (kv_memory){0};
}

void kv_memory_begin(kv_memory *k, const size_t *capacities, size_t n_seqs)
{
    RT_ASSERT(n_seqs <= k->n_seqs_max);
    k->n_rows = 0;
    for (size_t i = 0; i < n_seqs; i++) {
        k->capacities[i] = capacities[i];
        k->firsts[i] = k->n_rows;
        k->n_rows += capacities[i];
    }
    RT_ASSERT(k->n_rows <= k->n_tokens_max);
}

void kv_memory_put(const kv_memory *k, size_t i_layer, size_t i_seq, size_t position,
                   const float *keys, const float *values)
{
    size_t d_head = k->shape.d_head, capacity = k->capacities[i_seq];
    RT_ASSERT(position < capacity);
    for (size_t kv = 0; kv < k->shape.n_kv_heads; kv++) {
        float *to = block_keys(k, i_layer, i_seq, kv);
        for (size_t c = 0; c < d_head; c++) to[c * capacity + position] = keys[kv * d_head + c];
        memcpy(block_values(k, i_layer, i_seq, kv) + position * d_head, values + kv * d_head,
               d_head * sizeof *values);
    }
}

void kv_memory_copy(const kv_memory *k, size_t to, size_t from, size_t first, size_t n)
{
    size_t d_head = k->shape.d_head, room = k->capacities[to], stride = k->capacities[from];
    RT_ASSERT(first + n <= room && first + n <= stride);
    if (to == from || n == 0) return;
    for (size_t l = 0; l < k->n_layers; l++)
        for (size_t kv = 0; kv < k->shape.n_kv_heads; kv++) {
            const float *keys = block_keys(k, l, from, kv) + first;
            float *out = block_keys(k, l, to, kv) + first;
            for (size_t c = 0; c < d_head; c++)
                memcpy(out + c * room, keys + c * stride, n * sizeof *out);
            memcpy(block_values(k, l, to, kv) + first * d_head,
                   block_values(k, l, from, kv) + first * d_head, n * d_head * sizeof *out);
        }
}

void kv_memory_attend(const kv_memory *k, const kv_window *window, const float *q, float scale,
                      const float *bias, float *scores, float *y)
{
    const kv_window *w = window;
    size_t kv = w->head / (k->shape.n_heads / k->shape.n_kv_heads), d_head = k->shape.d_head;
    size_t n = w->n;
    vec_weighted_rows(q, block_keys(k, w->i_layer, w->i_seq, kv) + w->first, d_head,
                      k->capacities[w->i_seq], n, scores);
    vec_scale(scores, scale, n);
    if (bias != NULL) vec_add(scores, bias, n);
    float sum = vec_exp_sum(scores, n, vec_max(scores, n));
    vec_weighted_rows(scores, block_values(k, w->i_layer, w->i_seq, kv) + w->first * d_head, n,
                      d_head, d_head, y);
    vec_scale(y, 1.0f / sum, d_head);
}
