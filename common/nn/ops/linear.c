#include "common/nn/gemm.h"
#include "common/nn/ops/ops.h"

typedef struct linear_args {
    tensor *x;
    tensor *w;
} linear_args;

/* y = x w^T: d_x = d_y w, d_w = d_y^T x. */
static void linear_backward(tape *t, void *args, tensor *out)
{
    linear_args *a = args;
    size_t n = out->n_rows, d_out = out->n_cols, d_in = a->x->n_cols;
    bool add = false;
    float *d_w = tape_grad(t, a->w, &add);
    if (d_w != NULL)
        gemm(GEMM_T, GEMM_N, d_out, d_in, n, 1, out->grad, d_out, a->x->data, d_in, add ? 1 : 0,
             d_w, d_in);
    float *d_x = tape_grad(t, a->x, &add);
    if (d_x != NULL)
        gemm(GEMM_N, GEMM_N, n, d_in, d_out, 1, out->grad, d_out, a->w->data, d_in, add ? 1 : 0,
             d_x, d_in);
}

tensor *op_linear(tape *t, tensor *x, tensor *w)
{
    if (x == NULL || w == NULL) return NULL;
    RT_ASSERT(x->n_cols == w->n_cols);
    tensor *out = tape_tensor(t, x->n_rows, w->n_rows);
    linear_args *a = tape_alloc(t, 1, sizeof *a);
    if (out == NULL || a == NULL) return NULL;
    gemm(GEMM_N, GEMM_T, x->n_rows, w->n_rows, x->n_cols, 1, x->data, x->n_cols, w->data, w->n_cols,
         0, out->data, w->n_rows);
    *a = (linear_args){.x = x, .w = w};
    tape_push(t, linear_backward, a, out);
    return out;
}
