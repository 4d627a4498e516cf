#include <math.h>
#include <string.h>

#include "common/nn/ops/ops.h"
#include "common/nn/parallel.h"
#include "common/nn/rows.h"
#include "common/nn/vec.h"

/* Rows whose part of d_gain is summed by itself; fixed, so that threads do not change the sum. */
#define ROWS_PER_JOB 128

typedef struct norm_args {
    tensor *x;
    tensor *gain;
    float *inverse;        /* [n_rows], 1 / rms */
    float *partial;        /* [jobs, d], parts of d_gain */
    tensor *from, *branch; /* x = from + branch is made in the same pass; NULL: x was there */
} norm_args;

float rms_norm_row(const float *x, const float *gain, float eps, size_t d, float *y)
{
    float inverse = 1.0f / sqrtf(vec_dot(x, x, d) / (float)d + eps);
    for (size_t c = 0; c < d; c++) y[c] = x[c] * inverse * gain[c];
    return inverse;
}

/* y = x r g with r = 1 / rms(x):
 *   d_g += d_y x r
 *   d_x = r g d_y - x r^3 / d * sum_j(d_y_j g_j x_j) */
static void norm_rows_backward(const norm_args *a, const rows *grad, const rows *d_branch,
                               size_t first, size_t end, float *d_x, bool add, float *d_gain,
                               float *work)
{
    size_t d = grad->n_cols;
    const float *gain = a->gain->data;
    for (size_t i = first; i < end; i++) {
        const float *x = a->x->data + i * d, *d_y = rows_load(grad, i, work);
        float r = a->inverse[i];
        if (d_gain != NULL)
            for (size_t c = 0; c < d; c++) d_gain[c] += d_y[c] * (x[c] * r);
        if (d_x == NULL) continue;
        float back = vec_dot3(d_y, gain, x, d) * r * r * r / (float)d;
        float *row = d_x + i * d;
        if (add)
            for (size_t c = 0; c < d; c++) row[c] += r * gain[c] * d_y[c] - x[c] * back;
        else
            for (size_t c = 0; c < d; c++) row[c] = r * gain[c] * d_y[c] - x[c] * back;
        if (d_branch->half != NULL) rows_close(d_branch, i, row);
    }
}

/* The gradient of x is complete once that of its norm is, for the norm was its first reader: so the
 * branch, an activation, gets its own in the same pass. */
static rows branch_grad(tape *t, const norm_args *a)
{
    bool has_one = a->branch != NULL && a->branch->is_half;
    rows none = {.n_cols = a->x->n_cols};
    return has_one ? (rows){.half = tape_half_grad(t, a->branch), .n_cols = a->x->n_cols} : none;
}

static void norm_backward(tape *t, void *args, tensor *out)
{
    norm_args *a = args;
    size_t d = out->n_cols, n_jobs = (out->n_rows + ROWS_PER_JOB - 1) / ROWS_PER_JOB;
    bool add = false;
    bool wants_gain = !a->gain->frozen;
    float *d_x = tape_grad(t, a->x, &add), *work = rows_work(t, d);
    rows grad = rows_of_grad(out), d_branch = branch_grad(t, a);
    if (work == NULL) return;
    if (wants_gain) memset(a->partial, 0, n_jobs * d * sizeof(float));
#pragma omp parallel for schedule(static) if (n_jobs > 1)
    for (size_t job = 0; job < n_jobs; job++) {
        size_t first = job * ROWS_PER_JOB;
        size_t end = RT_MIN(first + ROWS_PER_JOB, out->n_rows);
        norm_rows_backward(a, &grad, &d_branch, first, end, d_x, add,
                           wants_gain ? a->partial + job * d : NULL, work + parallel_thread() * d);
    }
    rows_work_give(t, work, d);
    float *d_gain = wants_gain ? tape_grad_sparse(t, a->gain) : NULL;
    if (d_gain == NULL) return;
    for (size_t job = 0; job < n_jobs; job++) vec_add(d_gain, a->partial + job * d, d);
}

/* With the forward's 1 / rms, so that the bits are the same. */
static void norm_remake(tape *t, tensor *out)
{
    const norm_args *a = out->remake_args;
    const float *gain = a->gain->data;
    size_t d = out->n_cols, n_jobs = out->n_rows;
    rows y = rows_of(out);
    float *work = rows_work(t, d);
    if (work == NULL) return;
#pragma omp parallel for schedule(static) if (n_jobs > ROWS_PER_JOB)
    for (size_t i = 0; i < n_jobs; i++) {
        const float *x = a->x->data + i * d;
        float *row = rows_open(&y, i, work + parallel_thread() * d);
        for (size_t c = 0; c < d; c++) row[c] = x[c] * a->inverse[i] * gain[c];
        rows_close(&y, i, row);
    }
    rows_work_give(t, work, d);
}

/* Row i of x, added up first if it is a sum. */
static const float *input_row(const norm_args *a, const rows *branch, size_t i, float *work)
{
    size_t d = a->x->n_cols;
    float *x = a->x->data + i * d;
    if (a->branch == NULL) return x;
    const float *from = a->from->data + i * d, *y = rows_load(branch, i, work);
    for (size_t c = 0; c < d; c++) x[c] = from[c] + y[c];
    return x;
}

static void norm_rows(tape *t, const norm_args *a, float eps, const tensor *out)
{
    size_t d = out->n_cols;
    rows y = rows_of(out), branch = a->branch != NULL ? rows_of(a->branch) : (rows){0};
    float *work = rows_work(t, d);
    if (work == NULL) return;
#pragma omp parallel for schedule(static) if (out->n_rows > ROWS_PER_JOB)
    for (size_t i = 0; i < out->n_rows; i++) {
        float *mine = work + parallel_thread() * d;
        const float *x = input_row(a, &branch, i, mine);
        float *row = rows_open(&y, i, mine);
        a->inverse[i] = rms_norm_row(x, a->gain->data, eps, d, row);
        rows_close(&y, i, row);
    }
    rows_work_give(t, work, d);
}

static tensor *norm(tape *t, norm_args fields, float eps, tensor *out)
{
    size_t d = fields.gain->n_cols;
    norm_args *a = tape_alloc(t, 1, sizeof *a);
    if (fields.x == NULL || out == NULL || a == NULL) return NULL;
    size_t n_rows = fields.x->n_rows, n_jobs = (n_rows + ROWS_PER_JOB - 1) / ROWS_PER_JOB;
    *a = fields;
    a->inverse = tape_alloc(t, n_rows, sizeof *a->inverse);
    a->partial = tape_alloc(t, n_jobs * d, sizeof *a->partial);
    if (a->inverse == NULL || a->partial == NULL) return NULL;
    norm_rows(t, a, eps, out);
    out->remake = norm_remake;
    out->remake_args = a;
    tape_push(t, norm_backward, a, out);
    return out;
}

tensor *op_rms_norm(tape *t, tensor *x, tensor *gain, float eps)
{
    if (x == NULL || gain == NULL) return NULL;
    return norm(t, (norm_args){.x = x, .gain = gain}, eps, tape_tensor(t, x->n_rows, x->n_cols));
}

tensor *op_rms_norm_activation(tape *t, tensor *x, tensor *gain, float eps)
{
    if (x == NULL || gain == NULL) return NULL;
    return norm(t, (norm_args){.x = x, .gain = gain}, eps,
                tape_activation(t, x->n_rows, x->n_cols));
}

tensor *op_add_rms_norm(tape *t, tensor *x, tensor *branch, tensor *gain, float eps, tensor **sum)
{
    *sum = op_sum_begin(t, x, branch);
    if (*sum == NULL || gain == NULL) return NULL;
    norm_args a = {.x = *sum, .gain = gain, .from = x, .branch = branch};
    return norm(t, a, eps, tape_activation(t, x->n_rows, x->n_cols));
}

void rms_norm_reference(const float *x, const float *gain, float eps, size_t n, size_t d, float *y)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t c = 0; c < d; c++) sum += (double)x[i * d + c] * x[i * d + c];
        double inverse = 1 / sqrt(sum / (double)d + eps);
        for (size_t c = 0; c < d; c++) y[i * d + c] = (float)(x[i * d + c] * inverse * gain[c]);
    }
}
