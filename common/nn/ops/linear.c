#include "common/nn/operand.h"
#include "common/nn/ops/ops.h"

typedef struct linear_args {
    tensor *x;
    tensor *w;
} linear_args;

/* d_x = d_y w, as the bfloat16 that x is or as float32. */
static void input_backward(tape *t, tensor *x, const operand *d_y, const operand *w)
{
    size_t d_in = x->n_cols;
    bool add = false;
    if (x->is_half) {
        bf16 *d_x = tape_half_grad(t, x);
        if (d_x != NULL)
            operand_gemm_half(t, GEMM_N, GEMM_N, d_y->n_rows, d_in, d_y->n_cols, d_y, w, d_x, d_in);
        return;
    }
    float *d_x = tape_grad(t, x, &add);
    if (d_x != NULL)
        operand_gemm(t, GEMM_N, GEMM_N, d_y->n_rows, d_in, d_y->n_cols, d_y, w, add ? 1 : 0, d_x,
                     d_in);
}

/* y = x w^T: d_x = d_y w, d_w = d_y^T x. */
static void linear_backward(tape *t, void *args, tensor *out)
{
    linear_args *a = args;
    size_t d_out = out->n_cols, d_in = a->x->n_cols;
    bool add_w = false, recalled = tape_forgotten(a->x);
    operand x = operand_of(t, a->x), w = operand_of(t, a->w);
    operand d_y = operand_of_grad(t, out);
    if (!operand_ok(&x) || !operand_ok(&w) || !operand_ok(&d_y)) return;
    float *d_w = tape_grad(t, a->w, &add_w);
    if (d_w != NULL)
        operand_gemm(t, GEMM_T, GEMM_N, d_out, d_in, d_y.n_rows, &d_y, &x, add_w ? 1 : 0, d_w,
                     d_in);
    if (recalled) tape_forget(t, a->x);
    input_backward(t, a->x, &d_y, &w);
    operand_give_back(t, &d_y);
}

static tensor *linear(tape *t, tensor *x, tensor *w, tensor *out)
{
    RT_ASSERT(x->n_cols == w->n_cols);
    linear_args *a = tape_alloc(t, 1, sizeof *a);
    operand from = operand_of(t, x), by = operand_of(t, w);
    if (out == NULL || a == NULL || !operand_ok(&from) || !operand_ok(&by)) return NULL;
    size_t m = from.n_rows, n = w->n_rows, k = x->n_cols;
    if (out->is_half)
        operand_gemm_half(t, GEMM_N, GEMM_T, m, n, k, &from, &by, out->half, n);
    else
        operand_gemm(t, GEMM_N, GEMM_T, m, n, k, &from, &by, 0, out->data, n);
    *a = (linear_args){.x = x, .w = w};
    tape_push(t, linear_backward, a, out);
    return out;
}

tensor *op_linear(tape *t, tensor *x, tensor *w)
{
    if (x == NULL || w == NULL) return NULL;
    return linear(t, x, w, tape_tensor(t, x->n_rows, w->n_rows));
}

tensor *op_linear_activation(tape *t, tensor *x, tensor *w)
{
    if (x == NULL || w == NULL) return NULL;
    return linear(t, x, w, tape_activation(t, x->n_rows, w->n_rows));
}
