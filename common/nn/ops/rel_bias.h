/* Relative positions as T5 has them: a learnt number for each (bucket of distance, head), added to
 * the score of a query and a key.
 *
 *     rel_offsets by;                                   // inside one operation
 *     if (!rel_offsets_make(t, bias, n_heads, n_queries, n_keys, &by)) return NULL;
 *     vec_add(scores, rel_offsets_row(&by, head, i), n_keys);
 *
 * The bucket depends on key - query alone, so a head's biases are one row over all offsets, and the
 * biases of a query are a window of it:
 *
 *     offset   -(n_queries-1) .. -1  0  1 .. n_keys-1
 *     query i            [ n_keys numbers from offset -i ]
 */
#ifndef RT_NN_OPS_REL_BIAS_H
#define RT_NN_OPS_REL_BIAS_H

#include "common/nn/ops/ops.h"

/**
 * Bucket of an offset (position of the key minus position of the query). With n buckets, or n / 2
 * for each sign when bidirectional: the first half holds one distance each, the second half spreads
 * the logarithm of the distance up to distance_max, and everything beyond is in the last.
 * One way: keys after the query count as distance 0.
 * Source: Raffel et al. 2020, arXiv:1910.10683, section 2.1, in the numbers of Hugging Face's
 * modeling_t5.py (single precision).
 */
size_t rel_bucket(int64_t offset, bool bidirectional, size_t n_buckets, size_t distance_max);

typedef struct rel_offsets {
    size_t n;      /* offsets from -n_queries to n_keys - 1 */
    size_t i_zero; /* index of offset 0 */
    size_t n_buckets;
    uint32_t *buckets; /* [n] */
    float *values;     /* [n_heads, n] */
} rel_offsets;

/* In the memory of the tape; false when that ran out. */
bool rel_offsets_make(tape *t, const rel_bias *bias, size_t n_heads, size_t n_queries,
                      size_t n_keys, rel_offsets *out);
/* Index of the offset that query i has to key 0. */
size_t rel_offsets_at(const rel_offsets *by, size_t i_query);
/* Biases of query i to keys 0, 1, ... */
const float *rel_offsets_row(const rel_offsets *by, size_t head, size_t i_query);
/* Sum d_offsets[n] by bucket into d_buckets[n_buckets], overwritten. */
void rel_offsets_fold(const rel_offsets *by, const float *d_offsets, float *d_buckets);

#endif
