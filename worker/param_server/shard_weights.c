#include "worker/param_server/shard_weights.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm_bf16.h"

shard_weights *shard_weights_new(size_t n_floats)
{
    shard_weights *w = rt_calloc(1, sizeof *w);
    if (w == NULL) return NULL;
    w->floats = rt_calloc(n_floats, sizeof *w->floats);
    if (w->floats == NULL) {
        free(w);
        return NULL;
    }
    w->n_floats = n_floats;
    atomic_init(&w->n_refs, 1);
    return w;
}

shard_weights *shard_weights_ref(shard_weights *w)
{
    atomic_fetch_add_explicit(&w->n_refs, 1, memory_order_relaxed);
    return w;
}

void shard_weights_unref(shard_weights *w)
{
    if (w == NULL) return;
    if (atomic_fetch_sub_explicit(&w->n_refs, 1, memory_order_acq_rel) != 1) return;
    free(w->floats);
    free(w->half);
    free(w);
}

rt_status shard_weights_own(shard_weights **w, rt_error *err)
{
    shard_weights *old = *w;
    /* Only the owner makes new references, so a count of one stays one. */
    if (atomic_load_explicit(&old->n_refs, memory_order_acquire) == 1) {
        old->half_fits = false;
        return RT_OK;
    }
    shard_weights *copy = shard_weights_new(old->n_floats);
    if (copy == NULL)
        return rt_fail(err, RT_NOMEM, "a second copy of %zu parameters", old->n_floats);
    if (old->n_floats > 0) memcpy(copy->floats, old->floats, old->n_floats * sizeof *copy->floats);
    shard_weights_unref(old);
    *w = copy;
    return RT_OK;
}

const uint16_t *shard_weights_half(shard_weights *w)
{
    if (w->half == NULL) w->half = rt_calloc(w->n_floats, sizeof *w->half);
    if (w->half == NULL || w->half_fits) return w->half;
    bf16_from_f32(w->floats, w->n_floats, w->half);
    w->half_fits = true;
    return w->half;
}
