/* The process `retort student`: gradients and losses of micro-batches, until the run is finished.
 *
 *     take (Redis) ─► pull (all shards) ─► compute ─► push (all shards) ─► acknowledge (Redis)
 *
 * A gradient is on its way while the next micro-batch of the step is taken and computed, or while the
 * next version is asked for; one at a time.
 *
 * It holds nothing that is not somewhere else: killed at any point, its micro-batch is computed by
 * another, with the same bits.
 */
#ifndef RT_WORKER_STUDENT_RUN_H
#define RT_WORKER_STUDENT_RUN_H

#include "common/conf/config.h"

/* `name` is this worker's, such as "student-0". Returns when the run is finished or a stop was
 * asked for (RT_OK both), or with the failure. */
RT_MUST_USE rt_status student_run(const config *c, const char *name, rt_error *err);

#endif
