#include "common/nn/ops/rel_bias.h"

#include <math.h>
#include <string.h>

/* Half of n buckets are exact; distances from there on are spread by their logarithm. */
static size_t distance_bucket(size_t distance, size_t n, size_t distance_max)
{
    size_t n_exact = n / 2;
    if (distance < n_exact) return distance;
    float far =
        logf((float)distance / (float)n_exact) / (float)log((double)distance_max / (double)n_exact);
    size_t bucket = n_exact + (size_t)(far * (float)(n - n_exact));
    return RT_MIN(bucket, n - 1);
}

size_t rel_bucket(int64_t offset, bool bidirectional, size_t n_buckets, size_t distance_max)
{
    size_t distance = (size_t)(offset < 0 ? -offset : offset);
    if (!bidirectional) return distance_bucket(offset < 0 ? distance : 0, n_buckets, distance_max);
    size_t n = n_buckets / 2;
    return (offset > 0 ? n : 0) + distance_bucket(distance, n, distance_max);
}

bool rel_offsets_make(tape *t, const rel_bias *bias, size_t n_heads, size_t n_queries,
                      size_t n_keys, rel_offsets *out)
{
    RT_ASSERT(bias->table->n_cols == n_heads);
    rel_offsets by = {
        .n = n_queries + n_keys, .i_zero = n_queries, .n_buckets = bias->table->n_rows};
    by.buckets = tape_alloc(t, by.n, sizeof *by.buckets);
    by.values = tape_alloc(t, n_heads * by.n, sizeof *by.values);
    if (by.buckets == NULL || by.values == NULL) return false;
    for (size_t i = 0; i < by.n; i++)
        by.buckets[i] = (uint32_t)rel_bucket((int64_t)i - (int64_t)by.i_zero, bias->bidirectional,
                                             by.n_buckets, bias->distance_max);
    for (size_t head = 0; head < n_heads; head++)
        for (size_t i = 0; i < by.n; i++)
            by.values[head * by.n + i] = bias->table->data[by.buckets[i] * n_heads + head];
    *out = by;
    return true;
}

size_t rel_offsets_at(const rel_offsets *by, size_t i_query)
{
    return by->i_zero - i_query;
}

const float *rel_offsets_row(const rel_offsets *by, size_t head, size_t i_query)
{
    return by->values + head * by->n + rel_offsets_at(by, i_query);
}

void rel_offsets_fold(const rel_offsets *by, const float *d_offsets, float *d_buckets)
{
    memset(d_buckets, 0, by->n_buckets * sizeof *d_buckets);
    for (size_t i = 0; i < by->n; i++) d_buckets[by->buckets[i]] += d_offsets[i];
}
