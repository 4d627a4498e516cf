#include "worker/param_server/shard_weights.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/log.h"
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
    if (w->floats_block == NULL) free(w->floats);
    if (w->half_block == NULL) free(w->half);
    shared_block_free(w->floats_block);
    shared_block_free(w->half_block);
    free(w);
}

void shard_weights_share(shard_weights *w)
{
    rt_error why = {0};
    size_t n_bytes = w->n_floats * sizeof *w->floats;
    RT_ASSERT(atomic_load_explicit(&w->n_refs, memory_order_acquire) == 1);
    if (w->floats_block != NULL || n_bytes == 0) return;
    if (shared_block_new(n_bytes, &w->floats_block, &why) != RT_OK) {
        rt_log_info("server.not_shared", "why=\"%s\"", why.text);
        return;
    }
    memcpy(shared_block_bytes(w->floats_block), w->floats, n_bytes);
    free(w->floats);
    w->floats = shared_block_bytes(w->floats_block);
}

const shared_block_ref *shard_weights_where(shard_weights *w, bool half)
{
    if (half && shard_weights_half(w) == NULL) return NULL;
    shared_block *block = half ? w->half_block : w->floats_block;
    shared_block_ref *ref = half ? &w->half_ref : &w->floats_ref;
    size_t n_bytes = w->n_floats * (half ? sizeof *w->half : sizeof *w->floats);
    if (block == NULL) return NULL;
    if (ref->n_bytes == 0) *ref = shared_block_refer(block, 0, n_bytes);
    return ref;
}

rt_status shard_weights_own(shard_weights **w, rt_error *err)
{
    shard_weights *old = *w;
    /* Only the owner makes new references, so a count of one stays one. */
    if (atomic_load_explicit(&old->n_refs, memory_order_acquire) == 1) {
        old->half_fits = false;
        old->floats_ref = old->half_ref = (shared_block_ref){0};
        return RT_OK;
    }
    shard_weights *copy = shard_weights_new(old->n_floats);
    if (copy == NULL)
        return rt_fail(err, RT_NOMEM, "a second copy of %zu parameters", old->n_floats);
    if (old->floats_block != NULL) shard_weights_share(copy);
    if (old->n_floats > 0) memcpy(copy->floats, old->floats, old->n_floats * sizeof *copy->floats);
    shard_weights_unref(old);
    *w = copy;
    return RT_OK;
}

/* Beside the floats, in memory of the same kind if possible. */
static void make_half(shard_weights *w)
{
    size_t n_bytes = w->n_floats * sizeof *w->half;
    bool shared =
        w->floats_block != NULL && shared_block_new(n_bytes, &w->half_block, NULL) == RT_OK;
    w->half = shared ? shared_block_bytes(w->half_block) : rt_calloc(w->n_floats, sizeof *w->half);
}

const uint16_t *shard_weights_half(shard_weights *w)
{
    if (w->half == NULL) make_half(w);
    if (w->half == NULL || w->half_fits) return w->half;
    bf16_from_f32(w->floats, w->n_floats, w->half);
    w->half_fits = true;
    return w->half;
}
