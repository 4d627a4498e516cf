#include "common/nn/ops/gated.h"

#include "common/base/status.h"
#include "common/nn/rows.h"

#define ROWS_PER_JOB 64

typedef struct gated_args {
    tensor *x;
    const gated_kernel *kernel;
} gated_args;

static void gated_run(const gated_args *a, const tensor *out)
{
    size_t d = out->n_cols;
    const tensor *x = a->x;
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        if (x->is_half) {
            a->kernel->forward_half(x->half + i * 2 * d, d, out->half + i * d);
        } else {
            const float *gate = x->data + i * 2 * d;
            a->kernel->forward(gate, gate + d, out->data + i * d, d);
        }
    }
}

static void gated_remake(tape *t, tensor *out)
{
    (void)t;
    gated_run(out->remake_args, out);
}

static void gated_backward(tape *t, void *args, tensor *out)
{
    const gated_args *a = args;
    size_t d = out->n_cols;
    bool add = false;
    rows d_x = rows_for_grad(t, a->x, &add);
    if (!rows_ok(&d_x)) return;
    RT_ASSERT(!add); /* x has one reader: the feed-forward block */
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        size_t at = i * 2 * d;
        if (a->x->is_half) {
            a->kernel->backward_half(a->x->half + at, out->half_grad + i * d, d, d_x.half + at);
        } else {
            const float *gate = a->x->data + at;
            a->kernel->backward(gate, gate + d, out->grad + i * d, d_x.f32 + at, d_x.f32 + at + d,
                                d);
        }
    }
}

tensor *op_gated(tape *t, tensor *x, const gated_kernel *kernel)
{
    if (x == NULL) return NULL;
    RT_ASSERT(x->n_cols % 2 == 0);
    tensor *out = tape_activation(t, x->n_rows, x->n_cols / 2);
    gated_args *a = tape_alloc(t, 1, sizeof *a);
    if (out == NULL || a == NULL) return NULL;
    RT_ASSERT(out->is_half == x->is_half);
    *a = (gated_args){.x = x, .kernel = kernel};
    gated_run(a, out);
    out->remake = gated_remake;
    out->remake_args = a;
    tape_push(t, gated_backward, a, out);
    return out;
}
