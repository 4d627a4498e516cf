#include <math.h>

#include "common/nn/loss/loss_term.h"
#include "common/nn/vec.h"

/* Ties go to the lowest id, as in greedy decoding. */
static bool is_arg_max(const float *z, size_t target, float top)
{
    if (z[target] != top) return false;
    for (size_t j = 0; j < target; j++)
        if (z[j] == top) return false;
    return true;
}

static void cross_entropy_rows(void *state, const loss_rows *rows, float *logits)
{
    (void)state;
    size_t n = rows->n_vocab;
#pragma omp parallel for schedule(static) if (rows->n_rows > 16)
    for (size_t i = 0; i < rows->n_rows; i++) {
        float *z = logits + i * n;
        uint32_t target = rows->targets[i];
        float top = vec_max(z, n), z_target = z[target];
        rows->exact[i] = is_arg_max(z, target, top);
        float sum = vec_exp_sum(z, n, top);
        rows->losses[i] = (float)(log((double)sum) + (double)top - (double)z_target);
        if (rows->scales == NULL) continue;
        vec_scale(z, rows->scales[i] / sum, n);
        z[target] -= rows->scales[i];
        if (rows->half != NULL) bf16_from_f32(z, n, rows->half + i * n);
    }
}

const loss_term loss_cross_entropy = {
    .name = "cross_entropy",
    .needs = LOSS_NEEDS_TARGETS,
    .rows = cross_entropy_rows,
};
