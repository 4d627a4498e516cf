/* Which parameters a shard holds: whole tensors, spread so that shards are alike in size.
 *
 *     table    embed | q0 | k0 | v0 | o0 | ... | norm
 *     shard 0  embed                      norm          both in table order
 *     shard 1          q0   k0   v0   o0
 *
 *     param_slice slice = {0};
 *     if ((st = param_slice_build(&table, 1, 4, &slice, err)) != RT_OK) goto out;
 *     param_slice_gather(&slice, &table, model_grads(m), floats);
 *
 * Deterministic in (table, shard, n_shards), so students and shards need not tell each other. An
 * alias (a tied head) has no storage and belongs to nobody. With more shards than tensors some
 * slices are empty.
 */
#ifndef RT_WORKER_MODEL_SHAPE_PARAM_SLICE_H
#define RT_WORKER_MODEL_SHAPE_PARAM_SLICE_H

#include "common/nn/param_table.h"

#define PARAM_SHARDS_MAX 1024

/* Owns both arrays; zero-initialise; param_slice_free(). */
typedef struct param_slice {
    uint32_t shard, n_shards;
    uint32_t *params; /* [n_params] indices into the table, ascending */
    size_t *offsets;  /* [n_params] first float of each in the slice's own vector */
    size_t n_params;
    size_t n_floats;
} param_slice;

/* RT_INVALID unless shard < n_shards <= PARAM_SHARDS_MAX. */
RT_MUST_USE rt_status param_slice_build(const param_table *table, uint32_t shard, uint32_t n_shards,
                                        param_slice *out, rt_error *err);
void param_slice_free(param_slice *slice);

/* From the flat vector in table order to the slice's own, and back. Borrow everything. */
void param_slice_gather(const param_slice *slice, const param_table *table, const float *flat,
                        float *out);
void param_slice_scatter(const param_slice *slice, const param_table *table, const float *floats,
                         float *flat);
/* The same for floats [first, first + n) of the slice's vector, from bytes that need no alignment:
 * a frame as it came. The range must lie within the slice. */
void param_slice_scatter_part(const param_slice *slice, const param_table *table, size_t first,
                              size_t n, const void *bytes, float *flat);

#endif
