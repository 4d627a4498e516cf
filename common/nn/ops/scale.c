#include "common/nn/ops/ops.h"
#include "common/nn/vec.h"

typedef struct scale_args {
    float a;
} scale_args;

/* d_x = a d_y, in place like the forward. */
static void scale_backward(tape *t, void *args, tensor *out)
{
    (void)t;
    const scale_args *s = args;
    vec_scale(out->grad, s->a, out->n_rows * out->n_cols);
}

tensor *op_scale(tape *t, tensor *x, float a)
{
    if (x == NULL) return NULL;
    scale_args *s = tape_alloc(t, 1, sizeof *s);
    if (s == NULL) return NULL;
    s->a = a;
    vec_scale(x->data, a, x->n_rows * x->n_cols);
    tape_push_in_place(t, scale_backward, s, x);
    return x;
}
