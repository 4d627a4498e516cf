#include "common/nn/operand.h"
#include "common/nn/ops/ops.h"

typedef struct linear_args {
    tensor *x;
    tensor *w;
} linear_args;

/* y = x w^T: d_x = d_y w, d_w = d_y^T x. */
static void linear_backward(tape *t, void *args, tensor *out)
{
    linear_args *a = args;
    size_t d_out = out->n_cols, d_in = a->x->n_cols;
    bool add_w = false, add_x = false;
    operand x = operand_of(t, a->x), w = operand_of(t, a->w);
    operand d_y = operand_borrow(t, out->grad, out->n_rows, d_out);
    if (!operand_ok(&x) || !operand_ok(&w) || !operand_ok(&d_y)) return;
    float *d_w = tape_grad(t, a->w, &add_w);
    if (d_w != NULL)
        operand_gemm(t, GEMM_T, GEMM_N, d_out, d_in, d_y.n_rows, &d_y, &x, add_w ? 1 : 0, d_w,
                     d_in);
    float *d_x = tape_grad(t, a->x, &add_x);
    if (d_x != NULL)
        operand_gemm(t, GEMM_N, GEMM_N, d_y.n_rows, d_in, d_out, &d_y, &w, add_x ? 1 : 0, d_x,
                     d_in);
    operand_give_back(t, &d_y);
}

tensor *op_linear(tape *t, tensor *x, tensor *w)
{
    if (x == NULL || w == NULL) return NULL;
    RT_ASSERT(x->n_cols == w->n_cols);
    tensor *out = tape_tensor(t, x->n_rows, w->n_rows);
    linear_args *a = tape_alloc(t, 1, sizeof *a);
    operand from = operand_of(t, x), by = operand_of(t, w);
    if (out == NULL || a == NULL || !operand_ok(&from) || !operand_ok(&by)) return NULL;
    operand_gemm(t, GEMM_N, GEMM_T, from.n_rows, w->n_rows, x->n_cols, &from, &by, 0, out->data,
                 w->n_rows);
    *a = (linear_args){.x = x, .w = w};
    tape_push(t, linear_backward, a, out);
    return out;
}
