/* How fast a student could compute, and what its work costs: for the speed and its share of the peak in
 * the coordinator's stats.
 *
 *     runtime_gauge(rt, "peak_mflops_per_s", peak_mflops_per_s(mode));      // once
 *     work_mix_add(&mix, &batch);
 *     if (work_mix_mflop_per_token(&mix, &config, &cost)) runtime_gauge(rt, "mflop_per_token", cost);
 */
#ifndef RT_WORKER_STUDENT_SPEED_H
#define RT_WORKER_STUDENT_SPEED_H

#include "common/dataset/micro_batch.h"
#include "common/nn/compute.h"
#include "common/nn/model_config.h"

/* The best of square products for a tenth of a second, with the threads that are set. 0 without memory. */
double peak_mflops_per_s(compute_mode mode);

/* What was trained on so far. Zero-initialise. */
typedef struct work_mix {
    uint64_t n_seqs, n_prompt, n_target; /* tokens of all sequences */
} work_mix;

void work_mix_add(work_mix *mix, const micro_batch *b);
/* 10^6 operations forward and backward for a token of sequences of the mean lengths (model_cost.h);
 * attention, whose cost grows with the square of a length, counts slightly too little. False for an
 * empty mix, or without memory. */
bool work_mix_mflop_per_token(const work_mix *mix, const model_config *config, double *out);

#endif
