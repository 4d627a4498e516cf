/* A shard's parameters in one vector that answers in flight may hold on to.
 *
 *     version 7   [ refs 1 + frames in flight ]   pulls send straight out of it
 *     apply       shared? a copy becomes version 8, the old one dies with its last frame
 *
 * The count is atomic, because ZeroMQ releases frames on threads of its own.
 *
 * Weights that are shared lie in memory that students of this machine read by themselves
 * (common/base/shared_block.h). A reader holds no reference: when the shard goes on under it, the
 * checksum tells it so, and the shard is past that version anyway.
 */
#ifndef RT_WORKER_PARAM_SERVER_SHARD_WEIGHTS_H
#define RT_WORKER_PARAM_SERVER_SHARD_WEIGHTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/shared_block.h"

typedef struct shard_weights {
    atomic_uint n_refs;
    size_t n_floats;
    float *floats;                           /* [n_floats] */
    uint16_t *half;                          /* [n_floats] as bfloat16; NULL until asked for */
    bool half_fits;                          /* it was made of the present floats */
    shared_block *floats_block, *half_block; /* hold them; NULL: malloc() does */
    shared_block_ref floats_ref, half_ref; /* of the present floats; n_bytes 0: not asked for yet */
} shard_weights;

/* Returns new with one reference, all zero; NULL when out of memory. */
shard_weights *shard_weights_new(size_t n_floats);
/* From now on others on this machine may read them. Only while nobody else has a reference. Where the
 * system has no such memory they stay as they are, with a line in the log. */
void shard_weights_share(shard_weights *w);
/* Where to read floats, or their half; NULL when they are not shared, or empty. Lives as
 * shard_weights_half() does. One thread at a time. */
const shared_block_ref *shard_weights_where(shard_weights *w, bool half);
/* One reference more. */
shard_weights *shard_weights_ref(shard_weights *w);
/* One less; the last one frees. NULL is fine. */
void shard_weights_unref(shard_weights *w);
/* Make *w safe to change: itself when nobody else holds it, else a copy that replaces it. RT_NOMEM
 * leaves *w as it was. */
RT_MUST_USE rt_status shard_weights_own(shard_weights **w, rt_error *err);
/* The floats as bfloat16, rounded to nearest even once for all pulls; NULL when out of memory. Lives
 * as long as the weights, and is made anew after shard_weights_own(). One thread at a time. */
const uint16_t *shard_weights_half(shard_weights *w);

#endif
