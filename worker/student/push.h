/* A gradient to all shards, each its slice, while the student goes on.
 *
 *     gradient_pusher_begin(p, &batch, &sums, grads, ...);      copied, and on its way
 *     ... the next micro-batch may be computed, and grads overwritten ...
 *     gradient_pusher_end(p, true, &over, &told, err);
 *
 *     PUSH_ACCEPTED or PUSH_DUPLICATE by all: the work has its effect, the entry may go
 *     PUSH_STALE by any: the step is applied, the entry may go too
 *     PUSH_AHEAD by any: that shard went back; keep the entry and come again
 */
#ifndef RT_WORKER_STUDENT_PUSH_H
#define RT_WORKER_STUDENT_PUSH_H

#include "common/dataset/micro_batch.h"
#include "common/nn/model.h"
#include "worker/model_shape/wire_floats.h"
#include "worker/student/shard_links.h"

typedef struct gradient_pusher gradient_pusher;

/* Keeps links and table. `element` is what gradients travel as: net.wire. `share`: shards on
 * this machine may read them from this process's memory; one that cannot gets frames.
 * Returns new; freed with gradient_pusher_free(). */
RT_MUST_USE rt_status gradient_pusher_new(shard_links *links, const param_table *table,
                                          wire_element element, bool share, gradient_pusher **out,
                                          rt_error *err);
void gradient_pusher_free(gradient_pusher *p);
/* What the next gradient was computed from, and the norm of all of it: modes other than sync. */
void gradient_pusher_describe(gradient_pusher *p, uint64_t version, uint64_t generation,
                              double norm);

/* grads [table->n_total] and rows are borrowed during the call. With `rows` (NULL: dense) the embedding
 * travels as those rows, where that is shorter. None may be under way. */
RT_MUST_USE rt_status gradient_pusher_begin(gradient_pusher *p, const micro_batch *batch,
                                            const wire_sums *sums, const float *grads,
                                            const grad_rows *rows, uint64_t timeout_ms,
                                            rt_error *err);

/* What shards said to a gradient. */
typedef struct push_told {
    wire_push_status status; /* PUSH_ACCEPTED, PUSH_STALE or PUSH_AHEAD */
    uint64_t took_us;        /* the slowest one's work on it */
} push_told;

/* Whether all have answered: *over, and then *told. Waits for that, or only looks. RT_REFUSED with the
 * shard's reason; else fails as shard_links_wait() does: then push again, a shard that has it already
 * says so. After a failure none is under way. */
RT_MUST_USE rt_status gradient_pusher_end(gradient_pusher *p, bool wait, bool *over,
                                          push_told *told, rt_error *err);

#endif
