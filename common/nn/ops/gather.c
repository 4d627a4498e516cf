#include <string.h>

#include "common/nn/ops/ops.h"
#include "common/nn/vec.h"

typedef struct gather_args {
    tensor *x;
    const uint32_t *rows;
} gather_args;

/* d_x[rows[i], :] += d_y[i, :]. */
static void gather_backward(tape *t, void *args, tensor *out)
{
    gather_args *a = args;
    float *d_x = tape_grad_sparse(t, a->x);
    size_t d = out->n_cols;
    if (d_x == NULL) return;
    for (size_t i = 0; i < out->n_rows; i++) vec_add(d_x + a->rows[i] * d, out->grad + i * d, d);
}

tensor *op_gather_rows(tape *t, tensor *x, const uint32_t *rows, size_t n)
{
    if (x == NULL) return NULL;
    size_t d = x->n_cols;
    tensor *out = tape_tensor(t, n, d);
    gather_args *a = tape_alloc(t, 1, sizeof *a);
    if (out == NULL || a == NULL) return NULL;
    for (size_t i = 0; i < n; i++)
        memcpy(out->data + i * d, x->data + rows[i] * d, d * sizeof(float));
    *a = (gather_args){.x = x, .rows = rows};
    tape_push(t, gather_backward, a, out);
    return out;
}
