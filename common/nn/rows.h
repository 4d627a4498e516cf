/* Rows of tensors as float32, whatever they are held as.
 *
 *     float *work = rows_work(t, x->n_cols);                 // once for an operation
 *     rows in = rows_of(x), out = rows_of(y);
 *     // in a parallel loop, with the part of work that belongs to this thread
 *     const float *a = rows_load(&in, i, mine);
 *     float *b = rows_open(&out, i, mine + x->n_cols);
 *     ...
 *     rows_close(&out, i, b);
 *     rows_work_give(t, work, x->n_cols);
 *
 * A row of a float32 tensor is its own memory, so nothing is copied there.
 */
#ifndef RT_NN_ROWS_H
#define RT_NN_ROWS_H

#include "common/nn/gemm_bf16.h"
#include "common/nn/tape.h"

typedef struct rows {
    float *f32; /* one of the two */
    bf16 *half;
    size_t n_cols;
} rows;

/* The numbers of x, or its gradient as far as it is written. */
rows rows_of(const tensor *x);
rows rows_of_grad(const tensor *x);
/* The gradient of x for a writer; *add as in tape_grad(), false when half. NULL fields when x takes
 * none or memory ran out. */
rows rows_for_grad(tape *t, tensor *x, bool *add);
bool rows_ok(const rows *r);

/* Row i with its numbers: to read, or to change and close. `work` has room for a row. */
float *rows_load(const rows *r, size_t i, float *work);
/* Row i to be overwritten. */
float *rows_open(const rows *r, size_t i, float *work);
/* What rows_load() or rows_open() gave is what row i shall hold. */
void rows_close(const rows *r, size_t i, const float *row);

/* Room for n numbers a thread; the calling thread's part is parallel_thread() * n behind it. NULL
 * when memory ran out. */
float *rows_work(tape *t, size_t n);
void rows_work_give(tape *t, float *work, size_t n);

#endif
