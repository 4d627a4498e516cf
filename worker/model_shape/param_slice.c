/* The largest tensor first, each to the shard that holds least so far: within one tensor of even,
 * and never worse than 4/3 of the best spread. Source: Graham 1969, "Bounds on multiprocessing
 * timing anomalies". Cutting tensors would be more even, but then no checkpoint slice could be read
 * by name alone.
 */
#include "worker/model_shape/param_slice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"

typedef struct sized_param {
    uint32_t i_param;
    size_t n;
} sized_param;

/* Larger first; equal ones in table order. */
static int compare_sizes(const void *a, const void *b)
{
    const sized_param *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return x->i_param < y->i_param ? -1 : 1;
}

static uint32_t least_loaded(const size_t *loads, uint32_t n_shards)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < n_shards; i++)
        if (loads[i] < loads[best]) best = i;
    return best;
}

/* owner[i_param] = shard, or n_shards for an alias. */
static rt_status assign_owners(const param_table *table, uint32_t n_shards, uint32_t *owner,
                               rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 0;
    size_t *loads = rt_calloc(n_shards, sizeof *loads);
    sized_param *sorted = rt_calloc(table->n_params, sizeof *sorted);
    if (loads == NULL || sorted == NULL) {
        st = rt_fail(err, RT_NOMEM, "slices of %zu parameters", table->n_params);
        goto out;
    }
    for (size_t i = 0; i < table->n_params; i++) {
        owner[i] = n_shards;
        if (table->params[i].alias_of < 0)
            sorted[n++] = (sized_param){.i_param = (uint32_t)i, .n = table->params[i].n};
    }
    qsort(sorted, n, sizeof *sorted, compare_sizes);
    for (size_t i = 0; i < n; i++) {
        uint32_t shard = least_loaded(loads, n_shards);
        owner[sorted[i].i_param] = shard;
        loads[shard] += sorted[i].n;
    }
out:
    free(sorted);
    free(loads);
    return st;
}

rt_status param_slice_build(const param_table *table, uint32_t shard, uint32_t n_shards,
                            param_slice *out, rt_error *err)
{
    rt_status st = RT_OK;
    param_slice slice = {.shard = shard, .n_shards = n_shards};
    uint32_t *owner = NULL;
    if (n_shards > PARAM_SHARDS_MAX || shard >= n_shards)
        return rt_fail(err, RT_INVALID,
                       "shard %" PRIu32 " of %" PRIu32 ": expected 0 <= shard < shards <= %d",
                       shard, n_shards, PARAM_SHARDS_MAX);
    owner = rt_calloc(table->n_params, sizeof *owner);
    slice.params = rt_calloc(table->n_params, sizeof *slice.params);
    slice.offsets = rt_calloc(table->n_params, sizeof *slice.offsets);
    if (owner == NULL || slice.params == NULL || slice.offsets == NULL) {
        st = rt_fail(err, RT_NOMEM, "slice of %zu parameters", table->n_params);
        goto out;
    }
    if ((st = assign_owners(table, n_shards, owner, err)) != RT_OK) goto out;
    for (size_t i = 0; i < table->n_params; i++) {
        if (owner[i] != shard) continue;
        slice.params[slice.n_params] = (uint32_t)i;
        slice.offsets[slice.n_params++] = slice.n_floats;
        slice.n_floats += table->params[i].n;
    }
    *out = slice;
    slice = (param_slice){0};
out:
    free(owner);
    param_slice_free(&slice);
    return st;
}

void param_slice_free(param_slice *slice)
{
    if (slice == NULL) return;
    free(slice->params);
    free(slice->offsets);
    *slice = (param_slice){0};
}

void param_slice_gather(const param_slice *slice, const param_table *table, const float *flat,
                        float *out)
{
    for (size_t i = 0; i < slice->n_params; i++) {
        const param *p = &table->params[slice->params[i]];
        memcpy(out + slice->offsets[i], flat + p->offset, p->n * sizeof *out);
    }
}

void param_slice_scatter_part(const param_slice *slice, const param_table *table, size_t first,
                              size_t n, const void *bytes, float *flat)
{
    const char *from = bytes;
    RT_ASSERT(first <= slice->n_floats && n <= slice->n_floats - first);
    for (size_t i = 0; i < slice->n_params && n > 0; i++) {
        const param *p = &table->params[slice->params[i]];
        if (first >= slice->offsets[i] + p->n) continue;
        size_t skip = first - slice->offsets[i];
        size_t n_here = RT_MIN(p->n - skip, n);
        memcpy(flat + p->offset + skip, from, n_here * sizeof *flat);
        from += n_here * sizeof *flat;
        first += n_here;
        n -= n_here;
    }
}

void param_slice_scatter(const param_slice *slice, const param_table *table, const float *floats,
                         float *flat)
{
    param_slice_scatter_part(slice, table, 0, slice->n_floats, floats, flat);
}
