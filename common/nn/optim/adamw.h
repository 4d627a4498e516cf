/* AdamW and its schedules, element by element, so any slicing over shards gives the same bits. */
#ifndef RT_NN_OPTIM_ADAMW_H
#define RT_NN_OPTIM_ADAMW_H

#include "common/base/status.h"

typedef struct adamw_settings {
    float beta1, beta2, eps, weight_decay;
} adamw_settings;

/**
 * One AdamW step over n elements.
 *
 *   g = grad_scale * grad            m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
 *   w = w - lr * ( (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps) + wd * w )
 *
 * @param t           1 for the first update.
 * @param grad_scale  1, or clip_norm / norm when the gradient is clipped.
 * @param decay       whether weight decay applies to these elements.
 * Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2.
 */
void adamw_update(const adamw_settings *settings, float lr, float grad_scale, uint64_t t,
                  bool decay, size_t n, const float *grad, float *w, float *m, float *v);

typedef enum lr_decay { LR_CONSTANT, LR_LINEAR, LR_COSINE } lr_decay;

typedef struct lr_schedule {
    float lr_peak;
    float lr_end_share; /* of lr_peak, reached at n_steps */
    float flat_share;   /* share of n_steps after warm-up before the decay begins */
    uint64_t n_warmup_steps;
    uint64_t n_steps; /* > 0 */
    lr_decay decay;
} lr_schedule;

/* Learning rate of the update that leads from version `step` to step + 1 (step counts from 0). */
float lr_schedule_at(const lr_schedule *schedule, uint64_t step);

/* Sum of squares in double, in a fixed order: equal bits for equal input. */
double grad_sum_squares(const float *grad, size_t n);
/* dst += src. */
void grad_add(float *dst, const float *src, size_t n);

#endif
