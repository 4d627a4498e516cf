#include <math.h>

#include "common/nn/ops/ops.h"
#include "common/nn/vec.h"

#define ROWS_PER_JOB 64

/* With x = [g | u] and s = sigmoid(g): y = g s u, so d_u = d_y g s and d_g = d_y u s (1 + g (1 - s)). */
static void swiglu_backward(tape *t, void *args, tensor *out)
{
    tensor *x = args;
    bool add = false;
    float *d_x = tape_grad(t, x, &add);
    if (d_x == NULL) return;
    RT_ASSERT(!add); /* x has one reader: the feed-forward block */
    size_t d = out->n_cols;
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        const float *gate = x->data + 2 * i * d;
        float *d_gate = d_x + 2 * i * d;
        vec_swiglu_backward(gate, gate + d, out->grad + i * d, d_gate, d_gate + d, d);
    }
}

tensor *op_swiglu(tape *t, tensor *x)
{
    if (x == NULL) return NULL;
    RT_ASSERT(x->n_cols % 2 == 0);
    size_t d = x->n_cols / 2;
    tensor *out = tape_tensor(t, x->n_rows, d);
    if (out == NULL) return NULL;
#pragma omp parallel for schedule(static) if (x->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < x->n_rows; i++) {
        const float *gate = x->data + 2 * i * d;
        vec_swiglu(gate, gate + d, out->data + i * d, d);
    }
    tape_push(t, swiglu_backward, x, out);
    return out;
}

void swiglu_reference(const float *x, size_t n, size_t d_ff, float *y)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < d_ff; c++) {
            double gate = x[2 * i * d_ff + c], up = x[2 * i * d_ff + d_ff + c];
            y[i * d_ff + c] = (float)(gate / (1 + exp(-gate)) * up);
        }
    }
}
