/* Rows of a matrix that a step's gradient touched: what the embedding knows of its own gradient.
 *
 *     gradient    . . r2 . . . r6 .        everything else is 0, and stays 0 without being written
 *     touched       2 6
 *
 *     touched_rows_clear(&t, d_embed, n_cols);     the rows of the step before are 0 again
 *     touched_rows_add(&t, ids, n_ids);            once for each axis
 *     touched_rows_sort(&t);                       t.ids is ascending, each row once
 */
#ifndef RT_NN_MODEL_TOUCHED_ROWS_H
#define RT_NN_MODEL_TOUCHED_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

/* Owns both arrays; zero-initialise; touched_rows_free(). */
typedef struct touched_rows {
    uint64_t *marks; /* bit i % 64 of word i / 64: row i */
    uint32_t *ids;   /* [n] */
    size_t n, n_rows;
} touched_rows;

/* Of a matrix of n_rows, none touched. RT_NOMEM. */
RT_MUST_USE rt_status touched_rows_new(size_t n_rows, touched_rows *out, rt_error *err);
void touched_rows_free(touched_rows *t);
/* Write zeros into the rows of the list in `matrix` [n_rows, n_cols], and forget them. */
void touched_rows_clear(touched_rows *t, float *matrix, size_t n_cols);
/* Rows may repeat; each is below n_rows. */
void touched_rows_add(touched_rows *t, const uint32_t *ids, size_t n);
/* Make the list of what was added. */
void touched_rows_sort(touched_rows *t);

#endif
