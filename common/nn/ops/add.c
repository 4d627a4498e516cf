#include "common/nn/ops/ops.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"

#define ROWS_PER_JOB 64

typedef struct add_args {
    tensor *a;
    tensor *b;
} add_args;

/* y = a + b: d_a = d_b = d_y. One of them takes the buffer over. */
static void add_backward(tape *t, void *args, tensor *out)
{
    add_args *s = args;
    if (!s->b->is_half) {
        tape_inject(t, s->a, out->grad);
        tape_grad_move(t, out, s->b);
        return;
    }
    if (!s->b->grad_written) { /* else the norm of the sum has done it (rms_norm.c) */
        uint16_t *d_b = tape_half_grad(t, s->b);
        if (d_b == NULL) return;
        bf16_from_f32(out->grad, out->n_rows * out->n_cols, d_b);
    }
    tape_grad_move(t, out, s->a);
}

static void add_rows(tape *t, const add_args *s, const tensor *out)
{
    size_t d = out->n_cols;
    rows b = rows_of(s->b);
    float *work = rows_work(t, d);
    if (work == NULL) return;
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        const float *x = s->a->data + i * d, *y = rows_load(&b, i, work + parallel_thread() * d);
        float *sum = out->data + i * d;
        for (size_t c = 0; c < d; c++) sum[c] = x[c] + y[c];
    }
    rows_work_give(t, work, d);
}

tensor *op_sum_begin(tape *t, tensor *a, tensor *b)
{
    if (a == NULL || b == NULL) return NULL;
    RT_ASSERT(a->n_rows == b->n_rows && a->n_cols == b->n_cols);
    tensor *out = tape_tensor(t, a->n_rows, a->n_cols);
    add_args *s = tape_alloc(t, 1, sizeof *s);
    if (out == NULL || s == NULL) return NULL;
    *s = (add_args){.a = a, .b = b};
    tape_push(t, add_backward, s, out);
    return out;
}

tensor *op_add(tape *t, tensor *a, tensor *b)
{
    tensor *out = op_sum_begin(t, a, b);
    if (out == NULL) return NULL;
    add_rows(t, &(add_args){.a = a, .b = b}, out);
    return out;
}
