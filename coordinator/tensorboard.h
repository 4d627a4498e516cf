/* <run>/tensorboard/: the curves of metrics.jsonl once more, for TensorBoard. Derived: what cannot be
 * written is left out with a warning, and the run goes on; the folder may be deleted.
 *
 * Tags: train/loss, train/loss/TASK, train/grad_norm, train/tokens_per_s, train/epoch, at the step that
 * they belong to; validation/loss, validation/loss/TASK, validation/exact at the version.
 */
#ifndef RT_COORDINATOR_TENSORBOARD_H
#define RT_COORDINATOR_TENSORBOARD_H

#include "coordinator/metrics_log.h"

typedef struct tensorboard tensorboard;

/* Returns new; tensorboard_close(). */
RT_MUST_USE rt_status tensorboard_open(const char *folder, tensorboard **out, rt_error *err);
void tensorboard_close(tensorboard *t);
/* NULL: it is switched off. Call once for each line of metrics.jsonl. */
void tensorboard_step(tensorboard *t, const metrics_step *step);
void tensorboard_evaluation(tensorboard *t, const eval_score *score);

#endif
