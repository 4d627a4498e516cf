#include "common/nn/ops/gated.h"

#include "common/base/status.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"

#define ROWS_PER_JOB 64

typedef struct gated_args {
    tensor *x;
    const gated_kernel *kernel;
} gated_args;

/* Work of a thread: a row of x, a row of the result, a row of x's gradient. */
static size_t work_floats(const tensor *out)
{
    return 5 * out->n_cols;
}

static void run_rows(const gated_args *a, const tensor *out, float *work)
{
    size_t d = out->n_cols;
    rows in = rows_of(a->x), y = rows_of(out);
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        float *mine = work + parallel_thread() * work_floats(out);
        const float *gate = rows_load(&in, i, mine);
        float *row = rows_open(&y, i, mine + 2 * d);
        a->kernel->forward(gate, gate + d, row, d);
        rows_close(&y, i, row);
    }
}

static void gated_run(tape *t, const gated_args *a, const tensor *out)
{
    float *work = rows_work(t, work_floats(out));
    if (work == NULL) return;
    run_rows(a, out, work);
    rows_work_give(t, work, work_floats(out));
}

static void gated_remake(tape *t, tensor *out)
{
    gated_run(t, out->remake_args, out);
}

static void gated_backward(tape *t, void *args, tensor *out)
{
    const gated_args *a = args;
    size_t d = out->n_cols;
    bool add = false;
    float *work = rows_work(t, work_floats(out));
    rows in = rows_of(a->x), d_y = rows_of_grad(out), d_x = rows_for_grad(t, a->x, &add);
    if (work == NULL || !rows_ok(&d_x)) return;
    RT_ASSERT(!add); /* x has one reader: the feed-forward block */
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        float *mine = work + parallel_thread() * work_floats(out);
        const float *gate = rows_load(&in, i, mine), *d_row = rows_load(&d_y, i, mine + 2 * d);
        float *d_gate = rows_open(&d_x, i, mine + 3 * d);
        a->kernel->backward(gate, gate + d, d_row, d_gate, d_gate + d, d);
        rows_close(&d_x, i, d_gate);
    }
    rows_work_give(t, work, work_floats(out));
}

tensor *op_gated(tape *t, tensor *x, const gated_kernel *kernel)
{
    if (x == NULL) return NULL;
    RT_ASSERT(x->n_cols % 2 == 0);
    tensor *out = tape_activation(t, x->n_rows, x->n_cols / 2);
    gated_args *a = tape_alloc(t, 1, sizeof *a);
    if (out == NULL || a == NULL) return NULL;
    *a = (gated_args){.x = x, .kernel = kernel};
    gated_run(t, a, out);
    out->remake = gated_remake;
    out->remake_args = a;
    tape_push(t, gated_backward, a, out);
    return out;
}
