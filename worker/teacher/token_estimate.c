#include "worker/teacher/token_estimate.h"

#include <math.h>

#define WEIGHT      (1.0 / 128)
#define WEIGHT_FAST (1.0 / 16)
#define DEVIATIONS  4.0
#define MEAN_OFF    0.3 /* deviations: about four times that of the slow mean, one of the fast */

void token_estimate_add(token_estimate *e, uint64_t n_most, uint64_t n_used)
{
    if (n_most == 0) return;
    double x = (double)n_used / (double)n_most;
    /* A plain mean at first. */
    e->n++;
    double weight = RT_MAX(WEIGHT, 1 / (double)e->n);
    double off = x - e->mean;
    e->mean += weight * off;
    e->variance = (1 - weight) * (e->variance + weight * off * off);
    e->mean_fast += RT_MAX(WEIGHT_FAST, 1 / (double)e->n) * (x - e->mean_fast);
}

uint64_t token_estimate_of(const token_estimate *e, uint64_t n_most, uint64_t n_open)
{
    if (e->n < TOKEN_ESTIMATE_MIN) return n_most;
    double deviation = sqrt(e->variance);
    double part = RT_MAX(e->mean, e->mean_fast) +
                  deviation * (DEVIATIONS / sqrt((double)RT_MAX(n_open, (uint64_t)1)) + MEAN_OFF);
    return (uint64_t)ceil((double)n_most * RT_MIN(part, 1.0));
}
