/* Keys and values of the past, for sequences that are decoded together.
 *
 *     kv_memory memory;
 *     if (!kv_memory_new(&memory, n_layers, shape, false, n_seqs, n_tokens)) ...
 *     kv_memory_begin(&memory, capacities, n_seqs);
 *     kv_memory_put(&memory, i_layer, i_seq, position, k, v);        // all key heads of one token
 *     kv_memory_attend(&memory, &window, q, scale, NULL, scores, y);
 *
 * A step reads all of it, so it lies in the order in which it is read. The memory of a sequence in one
 * layer is one run for each key head: first the keys, in blocks of KV_BLOCK positions, each transposed,
 * so that a vector holds one component of many keys; then the values as they come.
 *
 *   run:    keys [n_blocks, d_head, KV_BLOCK] | values [n_blocks * KV_BLOCK, d_value]
 *   cache:  layer 0: (seq 0: head 0, head 1 ..) (seq 1: ..) ..   layer 1: ..
 *
 * With `half`, numbers are kept in bfloat16, in groups as lanes.h has them; d_value is d_head rounded
 * up to whole groups. Scores and sums are float32 all the same.
 */
#ifndef RT_NN_MODEL_KV_MEMORY_H
#define RT_NN_MODEL_KV_MEMORY_H

#include "common/nn/ops/ops.h"

/* Room for scores beyond a window's positions: whole blocks are computed. */
#define KV_SCORES_EXTRA 64

/* Owns the arrays; freed with kv_memory_free(). */
typedef struct kv_memory {
    head_shape shape;
    bool half;
    size_t n_layers, n_seqs_max, n_blocks_max;
    size_t *blocks;  /* [n_seqs], of a sequence */
    size_t *firsts;  /* [n_seqs], blocks of the sequences before it */
    size_t n_blocks; /* of all sequences */
    char *cache;     /* [n_layers, n_blocks, n_kv_heads], blocks of keys and values as above */
} kv_memory;

/* Positions [first, first + n) of one sequence in one layer, seen by one query head. */
typedef struct kv_window {
    size_t i_layer, i_seq, head;
    size_t first, n; /* n > 0 */
} kv_window;

/* Room for n_seqs sequences that reach n_tokens positions together. False when there is no memory for
 * it; then *out is empty. Pages that no token reaches are not touched. */
bool kv_memory_new(kv_memory *out, size_t n_layers, head_shape shape, bool half, size_t n_seqs,
                   size_t n_tokens);
void kv_memory_free(kv_memory *k);
/* Start a group of n_seqs sequences that may reach so many tokens each. */
void kv_memory_begin(kv_memory *k, const size_t *capacities, size_t n_seqs);
/* Keep one token: keys and values are [n_kv_heads, d_head]. */
void kv_memory_put(const kv_memory *k, size_t i_layer, size_t i_seq, size_t position,
                   const float *keys, const float *values);
/* Sequence `to` gets positions [first, first + n) of `from`, in every layer. */
void kv_memory_copy(const kv_memory *k, size_t to, size_t from, size_t first, size_t n);
/**
 *   y = sum_j softmax_j(scale q . k_j + bias_j) v_j
 * @param q, y    [d_head].  @param bias  [n], or NULL.  @param scores  [n + KV_SCORES_EXTRA], work space.
 */
void kv_memory_attend(const kv_memory *k, const kv_window *window, const float *q, float scale,
                      const float *bias, float *scores, float *y);

#endif
