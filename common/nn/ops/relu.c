#include "common/nn/ops/ops.h"
#include "common/nn/rows.h"

/* d_x = x > 0 ? d_y : 0, in place like the forward: the result tells the sign. */
static void relu_backward(tape *t, void *args, tensor *out)
{
    (void)t;
    (void)args;
    size_t n = out->n_rows * out->n_cols;
    if (out->is_half) /* positive: neither the sign nor nothing at all */
        for (size_t i = 0; i < n; i++)
            out->half_grad[i] = (int16_t)out->half[i] > 0 ? out->half_grad[i] : 0;
    else
        for (size_t i = 0; i < n; i++) out->grad[i] = out->data[i] > 0 ? out->grad[i] : 0.0f;
}

tensor *op_relu(tape *t, tensor *x)
{
    if (x == NULL) return NULL;
    size_t n = x->n_rows * x->n_cols;
    if (x->is_half)
        for (size_t i = 0; i < n; i++) x->half[i] = (int16_t)x->half[i] > 0 ? x->half[i] : 0;
    else
        for (size_t i = 0; i < n; i++) x->data[i] = x->data[i] > 0 ? x->data[i] : 0.0f;
    tape_push_in_place(t, relu_backward, NULL, x);
    return x;
}
