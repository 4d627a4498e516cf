#include "common/nn/rows.h"

#include "common/nn/parallel.h"

rows rows_of(const tensor *x)
{
    return (rows){.f32 = x->data, .half = x->half, .n_cols = x->n_cols};
}

rows rows_of_grad(const tensor *x)
{
    return (rows){.f32 = x->grad, .half = x->half_grad, .n_cols = x->n_cols};
}

rows rows_for_grad(tape *t, tensor *x, bool *add)
{
    *add = false;
    rows r = {.n_cols = x->n_cols};
    if (x->is_half)
        r.half = tape_half_grad(t, x);
    else
        r.f32 = tape_grad(t, x, add);
    return r;
}

bool rows_ok(const rows *r)
{
    return r->f32 != NULL || r->half != NULL;
}

float *rows_load(const rows *r, size_t i, float *work)
{
    if (r->f32 != NULL) return r->f32 + i * r->n_cols;
    bf16_to_f32_row(r->half + i * r->n_cols, r->n_cols, work);
    return work;
}

float *rows_open(const rows *r, size_t i, float *work)
{
    return r->f32 != NULL ? r->f32 + i * r->n_cols : work;
}

void rows_close(const rows *r, size_t i, const float *row)
{
    if (r->f32 == NULL) bf16_from_f32(row, r->n_cols, r->half + i * r->n_cols);
}

static size_t work_bytes(size_t n)
{
    return parallel_threads() * n * sizeof(float);
}

float *rows_work(tape *t, size_t n)
{
    return tape_take(t, work_bytes(n));
}

void rows_work_give(tape *t, float *work, size_t n)
{
    tape_give(t, work, work_bytes(n));
}
