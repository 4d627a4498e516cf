#include "worker/student/speed.h"

#include "common/base/log.h"
#include "common/nn/gemm_speed.h"
#include "common/nn/model_cost.h"

#define PEAK_SECONDS 0.05 /* of each size */

/* A small product may be done while nobody else takes the processor, a large one keeps it busiest. */
static const size_t peak_sizes[] = {256, 512};

double peak_mflops_per_s(compute_mode mode)
{
    double peak = 0;
    for (size_t i = 0; i < RT_COUNT(peak_sizes); i++) {
        size_t n = peak_sizes[i];
        rt_error why = {0};
        gemm_speed speed = {0};
        if (gemm_speed_measure(mode, n, n, n, PEAK_SECONDS, &speed, &why) != RT_OK)
            rt_log_warn("student.peak", "%s", why.text);
        peak = RT_MAX(peak, speed.best * 1e-6);
    }
    return peak;
}

void work_mix_add(work_mix *mix, const micro_batch *b)
{
    mix->n_seqs += b->n_seqs;
    for (size_t i = 0; i < b->n_seqs; i++) {
        mix->n_prompt += b->seqs[i].n_prompt;
        mix->n_target += b->seqs[i].n_target;
    }
}

/* At least 1. */
static size_t mean_of(uint64_t sum, uint64_t n)
{
    return (size_t)RT_MAX((sum + n / 2) / n, UINT64_C(1));
}

bool work_mix_mflop_per_token(const work_mix *mix, const model_config *config, double *out)
{
    rt_error why = {0};
    model_cost cost;
    if (mix->n_seqs == 0) return false;
    model_workload mean = {.n_seqs = 1,
                           .n_prompt = mean_of(mix->n_prompt, mix->n_seqs),
                           .n_target = mean_of(mix->n_target, mix->n_seqs)};
    if (model_cost_of(config, &mean, &cost, &why) != RT_OK) {
        rt_log_debug("student.cost", "%s", why.text);
        return false;
    }
    *out = cost.flops_training * 1e-6 / (double)(mean.n_prompt + mean.n_target);
    return true;
}
