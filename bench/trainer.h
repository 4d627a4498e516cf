/* A model that takes whole training steps (gradient and AdamW) on batches that it is handed.
 *
 *     trainer t = {0};
 *     if ((st = trainer_open(&shape.config, compute, &t, err)) != RT_OK) goto out;
 *     st = trainer_step(&t, &batch, &times, err);
 *     trainer_close(&t);
 */
#ifndef RT_BENCH_TRAINER_H
#define RT_BENCH_TRAINER_H

#include "common/nn/model.h"

typedef struct trainer {
    model *model;
    float *first, *second; /* AdamW's moments, [n_total] */
    uint64_t step;
    double loss; /* per target token, of the last step */
} trainer;

/* Of one step. */
typedef struct trainer_times {
    double gradient_s, adamw_s;
} trainer_times;

/* Random weights. RT_UNSUPPORTED for a mode that this processor has no instructions for. */
RT_MUST_USE rt_status trainer_open(const model_config *config, compute_mode wish, trainer *out,
                                   rt_error *err);
RT_MUST_USE rt_status trainer_step(trainer *t, const packed_batch *batch, trainer_times *times,
                                   rt_error *err);
void trainer_close(trainer *t);

/* "f32", "bf16", "bf16x3" or "auto"; false for anything else. */
bool trainer_parse_compute(const char *text, compute_mode *out);

#endif
