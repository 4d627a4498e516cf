#include <math.h>

#include "common/nn/ops/ops.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"

#define ROWS_PER_JOB 64

typedef struct rope_args {
    head_shape shape;
    const float *angles;
    const uint32_t *positions;
} rope_args;

size_t head_shape_cols(head_shape shape)
{
    return (shape.n_heads + 2 * shape.n_kv_heads) * shape.d_head;
}

void rope_angles(size_t n_positions, size_t d_head, float theta, float *out)
{
    size_t half = d_head / 2;
    for (size_t p = 0; p < n_positions; p++) {
        for (size_t c = 0; c < half; c++) {
            double angle = (double)p * pow(theta, -2.0 * (double)c / (double)d_head);
            out[p * d_head + c] = (float)cos(angle);
            out[p * d_head + half + c] = (float)sin(angle);
        }
    }
}

void rope_row(float *row, size_t n_heads, size_t d_head, const float *angles, float sign)
{
    size_t half = d_head / 2;
    const float *cosine = angles, *sine = angles + half;
    for (size_t h = 0; h < n_heads; h++) {
        float *restrict a = row + h * d_head;
        float *restrict b = a + half;
        for (size_t c = 0; c < half; c++) {
            float x = a[c], y = b[c], s = sign * sine[c];
            a[c] = x * cosine[c] - y * s;
            b[c] = y * cosine[c] + x * s;
        }
    }
}

static void rotate_rows(tape *t, const rope_args *a, rows x, size_t n_rows, float sign)
{
    size_t n_heads = a->shape.n_heads + a->shape.n_kv_heads, d = a->shape.d_head;
    float *work = rows_work(t, x.n_cols);
    if (work == NULL) return;
#pragma omp parallel for schedule(static) if (n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < n_rows; i++) {
        float *row = rows_load(&x, i, work + parallel_thread() * x.n_cols);
        rope_row(row, n_heads, d, a->angles + a->positions[i] * d, sign);
        rows_close(&x, i, row);
    }
    rows_work_give(t, work, x.n_cols);
}

/* The output of an operation in place is its input, so its gradient is rotated back in place too
 * and stays where the operation before looks for it. */
static void rope_backward(tape *t, void *args, tensor *out)
{
    rotate_rows(t, args, rows_of_grad(out), out->n_rows, -1);
}

tensor *op_rope(tape *t, tensor *x, head_shape shape, const float *angles,
                const uint32_t *positions)
{
    if (x == NULL) return NULL;
    RT_ASSERT(x->n_cols == head_shape_cols(shape));
    rope_args *a = tape_alloc(t, 1, sizeof *a);
    if (a == NULL) return NULL;
    *a = (rope_args){.shape = shape, .angles = angles, .positions = positions};
    rotate_rows(t, a, rows_of(x), x->n_rows, 1);
    tape_push_in_place(t, rope_backward, a, x);
    return x;
}
