#include "common/nn/model/kv_memory.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/heap.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/lanes.h"
#include "common/nn/vec.h"

/* Two vectors of keys. */
#define KV_BLOCK LANES_GROUP
_Static_assert(2 * KV_BLOCK <= KV_SCORES_EXTRA, "a window may begin and end within a block");
/* How far ahead of its use memory is asked for. The processor foresees a run only from page to page. */
#define AHEAD 2048

static size_t number_bytes(const kv_memory *k)
{
    return lanes_number_bytes(k->half);
}

/* Bytes of one component of a block's keys, and of one position's values. */
static size_t key_step(const kv_memory *k)
{
    return KV_BLOCK * number_bytes(k);
}

static size_t value_step(const kv_memory *k)
{
    return (k->shape.d_head + LANES_GROUP - 1) / LANES_GROUP * LANES_GROUP * number_bytes(k);
}

static size_t block_bytes(const kv_memory *k)
{
    return k->shape.d_head * key_step(k) + KV_BLOCK * value_step(k);
}

static size_t blocks_of(size_t n_positions)
{
    return (n_positions + KV_BLOCK - 1) / KV_BLOCK;
}

static char *run_keys(const kv_memory *k, size_t i_layer, size_t i_seq, size_t kv)
{
    size_t before = (i_layer * k->n_blocks + k->firsts[i_seq]) * k->shape.n_kv_heads;
    return k->cache + (before + kv * k->blocks[i_seq]) * block_bytes(k);
}

static char *run_values(const kv_memory *k, size_t i_layer, size_t i_seq, size_t kv)
{
    return run_keys(k, i_layer, i_seq, kv) + k->blocks[i_seq] * k->shape.d_head * key_step(k);
}

bool kv_memory_new(kv_memory *out, size_t n_layers, head_shape shape, bool half, size_t n_seqs,
                   size_t n_tokens)
{
    size_t n_cache = 0;
    *out = (kv_memory){.shape = shape,
                       .half = half,
                       .n_layers = n_layers,
                       .n_seqs_max = n_seqs,
                       .n_blocks_max = n_tokens / KV_BLOCK + n_seqs};
    if (!rt_checked_mul(n_layers * shape.n_kv_heads * block_bytes(out), out->n_blocks_max,
                        &n_cache))
        return false;
    out->blocks = rt_calloc(n_seqs, sizeof *out->blocks);
    out->firsts = rt_calloc(n_seqs, sizeof *out->firsts);
    out->cache = rt_heap_tensors(n_cache);
    if (out->blocks != NULL && out->firsts != NULL && out->cache != NULL) return true;
    kv_memory_free(out);
    return false;
}

void kv_memory_free(kv_memory *k)
{
    free(k->blocks);
    free(k->firsts);
    free(k->cache);
    *k = (kv_memory){0};
}

void kv_memory_begin(kv_memory *k, const size_t *capacities, size_t n_seqs)
{
    RT_ASSERT(n_seqs <= k->n_seqs_max);
    k->n_blocks = 0;
    for (size_t i = 0; i < n_seqs; i++) {
        k->blocks[i] = blocks_of(capacities[i]);
        k->firsts[i] = k->n_blocks;
        k->n_blocks += k->blocks[i];
    }
    RT_ASSERT(k->n_blocks <= k->n_blocks_max);
}

/* The keys of the block that holds a position, and the position's place in a step of it. */
static char *block_of(const kv_memory *k, char *keys, size_t position, size_t *place)
{
    size_t within = position % KV_BLOCK;
    *place = k->half ? lanes_place(within) : within;
    return keys + position / KV_BLOCK * k->shape.d_head * key_step(k);
}

static void put_key(const kv_memory *k, char *keys, size_t position, const float *x)
{
    size_t place, step = key_step(k), d_head = k->shape.d_head;
    char *block = block_of(k, keys, position, &place);
    for (size_t c = 0; !k->half && c < d_head; c++) ((float *)(block + c * step))[place] = x[c];
    for (size_t first = 0; k->half && first < d_head; first += LANES_GROUP) {
        bf16 group[LANES_GROUP];
        size_t n = RT_MIN(LANES_GROUP, d_head - first);
        bf16_from_f32(x + first, n, group);
        for (size_t c = 0; c < n; c++) ((bf16 *)(block + (first + c) * step))[place] = group[c];
    }
}

static void put_value(const kv_memory *k, char *value, const float *x)
{
    size_t d_head = k->shape.d_head;
    if (!k->half) {
        memcpy(value, x, d_head * sizeof *x);
        return;
    }
    for (size_t first = 0; first < d_head; first += LANES_GROUP) {
        float group[LANES_GROUP] = {0};
        for (size_t i = 0; i < LANES_GROUP && first + i < d_head; i++)
            group[lanes_place(i)] = x[first + i];
        bf16_from_f32(group, LANES_GROUP, (bf16 *)value + first);
    }
}

void kv_memory_put(const kv_memory *k, size_t i_layer, size_t i_seq, size_t position,
                   const float *keys, const float *values)
{
    size_t d_head = k->shape.d_head;
    RT_ASSERT(position < k->blocks[i_seq] * KV_BLOCK);
    for (size_t kv = 0; kv < k->shape.n_kv_heads; kv++) {
        put_key(k, run_keys(k, i_layer, i_seq, kv), position, keys + kv * d_head);
        put_value(k, run_values(k, i_layer, i_seq, kv) + position * value_step(k),
                  values + kv * d_head);
    }
}

static void copy_key(const kv_memory *k, char *to, const char *from, size_t position)
{
    size_t place, n = number_bytes(k), step = key_step(k);
    char *block = block_of(k, to, position, &place);
    from += block - to;
    for (size_t c = 0; c < k->shape.d_head; c++)
        memcpy(block + c * step + place * n, from + c * step + place * n, n);
}

/* Keys of whole blocks lie side by side; those of a part of one are picked out. */
static void copy_keys(const kv_memory *k, char *to, const char *from, size_t first, size_t n)
{
    size_t block = k->shape.d_head * key_step(k), at = first, end = first + n;
    while (at < end) {
        size_t whole = at % KV_BLOCK == 0 ? (end - at) / KV_BLOCK : 0;
        if (whole > 0) {
            memcpy(to + at / KV_BLOCK * block, from + at / KV_BLOCK * block, whole * block);
            at += whole * KV_BLOCK;
        } else {
            copy_key(k, to, from, at++);
        }
    }
}

void kv_memory_copy(const kv_memory *k, size_t to, size_t from, size_t first, size_t n)
{
    size_t step = value_step(k);
    RT_ASSERT(first + n <= KV_BLOCK * RT_MIN(k->blocks[to], k->blocks[from]));
    if (to == from || n == 0) return;
    for (size_t l = 0; l < k->n_layers; l++)
        for (size_t kv = 0; kv < k->shape.n_kv_heads; kv++) {
            copy_keys(k, run_keys(k, l, to, kv), run_keys(k, l, from, kv), first, n);
            memcpy(run_values(k, l, to, kv) + first * step,
                   run_values(k, l, from, kv) + first * step, n * step);
        }
}

/* scores[KV_BLOCK * n] = q . k for the positions of n blocks; n and half are constants. */
LANES_INLINE void score_blocks(const float *q, const char *keys, size_t d_head, size_t n, bool half,
                               float *scores)
{
    lanes low[2] = {0}, high[2] = {0};
    size_t step = KV_BLOCK * lanes_number_bytes(half), block = step * d_head;
    for (size_t c = 0; c < d_head; c++, keys += step)
        for (size_t b = 0; b < n; b++) {
            lanes k_low, k_high;
            __builtin_prefetch(keys + b * block + n * block, 0, 3);
            if (!half) __builtin_prefetch(keys + b * block + n * block + 64, 0, 3);
            lanes_load_group(keys + b * block, half, &k_low, &k_high);
            low[b] += q[c] * k_low;
            high[b] += q[c] * k_high;
        }
    for (size_t b = 0; b < n; b++) {
        lanes_store(scores + b * KV_BLOCK, low[b]);
        lanes_store(scores + b * KV_BLOCK + LANES, high[b]);
    }
}

LANES_INLINE void score_all(const float *q, const char *keys, size_t d_head, size_t n_blocks,
                            bool half, float *scores)
{
    size_t block = KV_BLOCK * lanes_number_bytes(half) * d_head, b = 0;
    for (; b + 2 <= n_blocks; b += 2)
        score_blocks(q, keys + b * block, d_head, 2, half, scores + b * KV_BLOCK);
    if (b < n_blocks) score_blocks(q, keys + b * block, d_head, 1, half, scores + b * KV_BLOCK);
}

static void score_f32(const float *q, const char *keys, size_t d_head, size_t n, float *scores)
{
    score_all(q, keys, d_head, n, false, scores);
}

static void score_half(const float *q, const char *keys, size_t d_head, size_t n, float *scores)
{
    score_all(q, keys, d_head, n, true, scores);
}

/* y[LANES_GROUP * n_groups] = sum over n positions of weights[j] * values[j], in the order of j; n_groups
 * and half are constants. */
LANES_INLINE void weigh_groups(const float *weights, const char *values, size_t step, size_t n,
                               size_t n_groups, bool half, float *y)
{
    lanes low[2] = {0}, high[2] = {0};
    for (size_t j = 0; j < n; j++, values += step)
        for (size_t g = 0; g < n_groups; g++) {
            const char *at = values + g * LANES_GROUP * lanes_number_bytes(half);
            lanes v_low, v_high;
            __builtin_prefetch(at + AHEAD, 0, 3);
            if (!half) __builtin_prefetch(at + AHEAD + 64, 0, 3);
            lanes_load_group(at, half, &v_low, &v_high);
            low[g] += weights[j] * v_low;
            high[g] += weights[j] * v_high;
        }
    for (size_t g = 0; g < n_groups; g++) {
        lanes_store(y + g * LANES_GROUP, low[g]);
        lanes_store(y + g * LANES_GROUP + LANES, high[g]);
    }
}

LANES_INLINE void weigh_all(const float *weights, const char *values, size_t step, size_t n,
                            size_t d_head, bool half, float *y)
{
    for (size_t first = 0; first < d_head; first += 2 * LANES_GROUP) {
        float groups[2 * LANES_GROUP];
        const char *at = values + first * lanes_number_bytes(half);
        if (first + LANES_GROUP < d_head)
            weigh_groups(weights, at, step, n, 2, half, groups);
        else
            weigh_groups(weights, at, step, n, 1, half, groups);
        memcpy(y + first, groups, RT_MIN(2 * LANES_GROUP, d_head - first) * sizeof *y);
    }
}

static void weigh_f32(const float *weights, const char *values, size_t step, size_t n,
                      size_t d_head, float *y)
{
    weigh_all(weights, values, step, n, d_head, false, y);
}

static void weigh_half(const float *weights, const char *values, size_t step, size_t n,
                       size_t d_head, float *y)
{
    weigh_all(weights, values, step, n, d_head, true, y);
}

void kv_memory_attend(const kv_memory *k, const kv_window *window, const float *q, float scale,
                      const float *bias, float *scores, float *y)
{
    const kv_window *w = window;
    size_t kv = w->head / (k->shape.n_heads / k->shape.n_kv_heads), d_head = k->shape.d_head;
    size_t i_block = w->first / KV_BLOCK, n = w->n;
    size_t n_blocks = blocks_of(w->first + n) - i_block;
    const char *keys = run_keys(k, w->i_layer, w->i_seq, kv) + i_block * d_head * key_step(k);
    const char *values = run_values(k, w->i_layer, w->i_seq, kv) + w->first * value_step(k);
    (k->half ? score_half : score_f32)(q, keys, d_head, n_blocks, scores);
    scores += w->first % KV_BLOCK;
    vec_scale(scores, scale, n);
    if (bias != NULL) vec_add(scores, bias, n);
    float sum = vec_exp_sum(scores, n, vec_max(scores, n));
    (k->half ? weigh_half : weigh_f32)(scores, values, value_step(k), n, d_head, y);
    vec_scale(y, 1.0f / sum, d_head);
}
