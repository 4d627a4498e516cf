/* One micro-batch through the model: gradient, or loss alone.
 *
 *     compute_space space = {0};
 *     st = compute_batch(m, &batch, &space, &sums, err);
 *     push(model_grads(m), &sums);
 */
#ifndef RT_WORKER_STUDENT_COMPUTE_H
#define RT_WORKER_STUDENT_COMPUTE_H

#include "common/dataset/micro_batch.h"
#include "common/nn/model.h"
#include "common/wire/messages.h"

/* Kept between calls; zero-initialise; compute_space_free(). */
typedef struct compute_space {
    packed_seq *seqs;
    size_t capacity;
} compute_space;
void compute_space_free(compute_space *space);

/* What stands for a loss that is not a number: it travels, and is never the best. */
#define COMPUTE_LOSS_LOST 1e300

/* Kind train leaves the gradient in model_grads(); kind evaluate needs none and is float32 in every
 * compute mode. Fails as model_gradient() does: RT_CORRUPT or RT_INVALID mean that the micro-batch
 * does not fit the model. */
RT_MUST_USE rt_status compute_batch(model *m, const micro_batch *batch, compute_space *space,
                                    wire_sums *sums, rt_error *err);

#endif
