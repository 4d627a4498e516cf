#include "common/nn/ops/ops.h"

typedef struct add_args {
    tensor *a;
    tensor *b;
} add_args;

/* y = a + b: d_a = d_b = d_y. One of them takes the buffer over. */
static void add_backward(tape *t, void *args, tensor *out)
{
    add_args *s = args;
    tape_inject(t, s->a, out->grad);
    tape_grad_move(t, out, s->b);
}

tensor *op_add(tape *t, tensor *a, tensor *b)
{
    if (a == NULL || b == NULL) return NULL;
    RT_ASSERT(a->n_rows == b->n_rows && a->n_cols == b->n_cols);
    tensor *out = tape_tensor(t, a->n_rows, a->n_cols);
    add_args *s = tape_alloc(t, 1, sizeof *s);
    if (out == NULL || s == NULL) return NULL;
    size_t n = a->n_rows * a->n_cols;
    for (size_t i = 0; i < n; i++) out->data[i] = a->data[i] + b->data[i];
    *s = (add_args){.a = a, .b = b};
    tape_push(t, add_backward, s, out);
    return out;
}
