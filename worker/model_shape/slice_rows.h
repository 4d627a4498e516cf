/* A slice's gradient in which one matrix travels as the rows that are not 0: the embedding, of which a
 * micro-batch touches the rows of its tokens.
 *
 *     whole     [ q0 | embed: r0 r1 r2 ... r31999 | norm ]     slice->n_floats
 *     packed    [ q0 | r1 r7 r31999 | norm ]                   slice_rows_packed()
 *
 *     student                                      shard
 *     slice_rows_all(slice) or
 *     slice_rows_of(slice, table, &rows, ...)      slice_rows_of(slice, table, &push.rows, ...)
 *     slice_rows_gather(...)   ── packed ──►       slice_rows_spread() the first, slice_rows_add() others
 *
 * A row that is missing adds nothing, where in a whole gradient it adds 0. That is the same but for one
 * thing: 0 + -0 is 0, so a sum that is -0 would tell the two apart. A shard therefore takes the sign off
 * the zeros of such a matrix's sum, whichever way it came: slice_rows_unsign().
 * Checked by: tests/unit/worker/model_shape/test_slice_rows.c
 */
#ifndef RT_WORKER_MODEL_SHAPE_SLICE_ROWS_H
#define RT_WORKER_MODEL_SHAPE_SLICE_ROWS_H

#include "common/wire/messages.h"
#include "worker/model_shape/param_slice.h"

/* Plain; borrows its ids. */
typedef struct slice_rows {
    size_t n_floats;       /* of the slice */
    size_t at;             /* first float of the matrix in the slice */
    size_t n_rows, n_cols; /* of the matrix; 0: everything travels */
    const uint32_t *ids;   /* [n] ascending */
    size_t n;
} slice_rows;

/* Everything travels. */
slice_rows slice_rows_all(size_t n_floats);
/* What `rows` says, everything when it is not present. RT_INVALID when the parameter is not the
 * slice's, or none that travels in rows (param_table_input_only()), or a row lies outside. Borrows
 * rows->ids as long as *out is used. */
RT_MUST_USE rt_status slice_rows_of(const param_slice *slice, const param_table *table,
                                    const wire_rows *rows, slice_rows *out, rt_error *err);
/* Floats that travel. */
size_t slice_rows_packed(const slice_rows *rows);

/* From the flat vector in table order to what travels: packed[slice_rows_packed()]. */
void slice_rows_gather(const slice_rows *rows, const param_slice *slice, const param_table *table,
                       const float *flat, float *packed);
/* In place, from what travelled to the whole: floats[rows->n_floats], of which the first
 * slice_rows_packed() are given. */
void slice_rows_spread(const slice_rows *rows, float *floats);
/* sum[rows->n_floats] += packed. */
void slice_rows_add(const slice_rows *rows, const float *packed, float *sum);
/* -0 becomes 0. */
void slice_rows_unsign(float *floats, size_t n);

#endif
