/* The gradients of one step, added in the order of their index, whatever order they came in.
 *
 *     arrived     2 0 . 3        received  1 0 1 1
 *     sum         g0             next index to add: 1
 *     kept        g2 g3          freed as soon as g1 has closed the gap
 *
 *     gather *g = NULL;
 *     if ((st = gather_new(n_floats, micro_batches_max, &g, err)) != RT_OK) goto out;
 *     gather_begin(g, version);
 *     st = gather_add(g, &push, &grad, &status, err);
 *     if (gather_is_complete(g)) use(gather_sum(g));
 *
 * One that travelled as rows is kept as it came, and added row by row.
 * Floating-point sums depend on their order, so the order is fixed: the result is the same bits for
 * any number of students and any timing. No I/O, no clock.
 */
#ifndef RT_WORKER_PARAM_SERVER_GATHER_H
#define RT_WORKER_PARAM_SERVER_GATHER_H

#include "worker/model_shape/slice_rows.h"

typedef struct gather gather;

/* Holds at most micro_batches_max vectors of n_floats. Returns new; freed with gather_free(). */
RT_MUST_USE rt_status gather_new(size_t n_floats, uint32_t micro_batches_max, gather **out,
                                 rt_error *err);
void gather_free(gather *g);
/* Forget everything and wait for the gradients of `step`. */
void gather_begin(gather *g, uint64_t step);

/* A vector of n_floats to receive a gradient into, contents undefined; NULL when out of memory.
 * Given to gather_add(), or back with gather_give_back(). */
float *gather_take_buffer(gather *g);
void gather_give_back(gather *g, float *buffer);

/* Add one micro-batch's gradient, as it travelled: `rows` says what is in *grad. Takes *grad (a buffer
 * of this gather) when the answer is PUSH_ACCEPTED; otherwise it stays the caller's. RT_INVALID for an
 * index or a number of micro-batches that cannot be, a wrong size, or a non-finite gradient, RT_NOMEM:
 * then nothing changed. */
RT_MUST_USE rt_status gather_add(gather *g, const wire_push *push, const slice_rows *rows,
                                 float **grad, wire_push_status *status, rt_error *err);

/* The same for a gradient that is used at once: it is checked and counted, and not kept. */
RT_MUST_USE rt_status gather_note(gather *g, const wire_push *push, const float *grad,
                                  wire_push_status *status, rt_error *err);

/* Whether a push would be accepted, from its header alone. The same refusals as gather_add(). */
RT_MUST_USE rt_status gather_check(const gather *g, const wire_push *push, wire_push_status *status,
                                   rt_error *err);

bool gather_is_complete(const gather *g);
/* [n_floats], once complete; NULL for a gather of no floats. Valid until gather_begin(). */
float *gather_sum(gather *g);
/* Over the micro-batches added so far. */
const wire_sums *gather_loss_sums(const gather *g);
uint32_t gather_n_micro_batches(const gather *g); /* 0 until the first push */
uint32_t gather_n_added(const gather *g);
/* Bit i of byte i / 8: micro-batch i is here. Valid until the next call. */
const uint8_t *gather_received(const gather *g, size_t *n_bytes);

#endif
