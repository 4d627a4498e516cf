#include "common/nn/optim/adamw.h"

#include <math.h>

#include "common/nn/vec.h"

void adamw_update(const adamw_settings *settings, float lr, float grad_scale, uint64_t t,
                  bool decay, size_t n, const float *grad, float *w, float *m, float *v)
{
    float b1 = settings->beta1, b2 = settings->beta2, eps = settings->eps;
    float wd = decay ? settings->weight_decay : 0.0f;
    /* In double: 1 - b2^t keeps few digits in float while t is small. */
    float m_scale = (float)(1.0 / (1.0 - pow((double)b1, (double)t)));
    float v_scale = (float)(1.0 / (1.0 - pow((double)b2, (double)t)));
    for (size_t i = 0; i < n; i++) {
        float g = grad_scale * grad[i];
        float m_new = b1 * m[i] + (1.0f - b1) * g;
        float v_new = b2 * v[i] + (1.0f - b2) * g * g;
        m[i] = m_new;
        v[i] = v_new;
        w[i] -= lr * (m_new * m_scale / (sqrtf(v_new * v_scale) + eps) + wd * w[i]);
    }
}

/* Share of lr_peak that is left at progress x in [0, 1] of the decay. */
static double decay_at(lr_decay decay, double x, double end_share)
{
    const double pi = 3.14159265358979323846;
    switch (decay) {
    case LR_CONSTANT: return 1;
    case LR_LINEAR: return 1 - (1 - end_share) * x;
    case LR_COSINE: return end_share + (1 - end_share) * 0.5 * (1 + cos(pi * x));
    }
    return 1;
}

float lr_schedule_at(const lr_schedule *schedule, uint64_t step)
{
    const lr_schedule *s = schedule;
    double peak = s->lr_peak;
    if (step < s->n_warmup_steps)
        return (float)(peak * (double)(step + 1) / (double)s->n_warmup_steps);
    double first = (double)s->n_warmup_steps + (double)s->flat_share * (double)s->n_steps;
    double at = (double)step;
    if (at <= first) return (float)(peak * decay_at(s->decay, 0, s->lr_end_share));
    if (step >= s->n_steps) return (float)(peak * decay_at(s->decay, 1, s->lr_end_share));
    double x = (at - first) / ((double)s->n_steps - first);
    return (float)(peak * decay_at(s->decay, x, s->lr_end_share));
}

double grad_sum_squares(const float *grad, size_t n)
{
    double sums[8] = {0}; /* lanes in a fixed order, so that the compiler may use vectors */
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t j = 0; j < 8; j++) sums[j] += (double)grad[i + j] * grad[i + j];
    for (size_t j = 0; i + j < n; j++) sums[j] += (double)grad[i + j] * grad[i + j];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

void grad_add(float *dst, const float *src, size_t n)
{
    vec_add(dst, src, n);
}
