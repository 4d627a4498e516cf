#include <math.h>

#include "common/nn/ops/ops.h"
#include "common/nn/vec.h"

#define ROWS_PER_JOB 64

/* With x = [g | u]: y = gelu(g) u, so d_u = d_y gelu(g) and d_g = d_y u gelu'(g). */
static void gated_gelu_backward(tape *t, void *args, tensor *out)
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
        vec_gated_gelu_backward(gate, gate + d, out->grad + i * d, d_gate, d_gate + d, d);
    }
}

tensor *op_gated_gelu(tape *t, tensor *x)
{
    if (x == NULL) return NULL;
    RT_ASSERT(x->n_cols % 2 == 0);
    size_t d = x->n_cols / 2;
    tensor *out = tape_tensor(t, x->n_rows, d);
    if (out == NULL) return NULL;
#pragma omp parallel for schedule(static) if (x->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < x->n_rows; i++) {
        const float *gate = x->data + 2 * i * d;
        vec_gated_gelu(gate, gate + d, out->data + i * d, d);
    }
    tape_push(t, gated_gelu_backward, x, out);
    return out;
}

void gated_gelu_reference(const float *x, size_t n, size_t d_ff, float *y)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < d_ff; c++) {
            double gate = x[2 * i * d_ff + c], up = x[2 * i * d_ff + d_ff + c];
            double inner = sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate);
            y[i * d_ff + c] = (float)(gate / 2 * (1 + tanh(inner)) * up);
        }
    }
}
