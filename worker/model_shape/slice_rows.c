#include "worker/model_shape/slice_rows.h"

#include <inttypes.h>
#include <string.h>

#include "common/nn/optim/adamw.h"

slice_rows slice_rows_all(size_t n_floats)
{
    return (slice_rows){.n_floats = n_floats, .at = n_floats};
}

rt_status slice_rows_of(const param_slice *slice, const param_table *table, const wire_rows *rows,
                        slice_rows *out, rt_error *err)
{
    slice_rows found = slice_rows_all(slice->n_floats);
    if (!rows->present) {
        *out = found;
        return RT_OK;
    }
    size_t i = 0;
    while (i < slice->n_params && slice->params[i] != rows->param) i++;
    if (i == slice->n_params)
        return rt_fail(err, RT_INVALID,
                       "rows of parameter %" PRIu32 ": it does not belong to shard %" PRIu32,
                       rows->param, slice->shard);
    const param *p = &table->params[rows->param];
    if ((int64_t)rows->param != param_table_input_only(table))
        return rt_fail(err, RT_INVALID, "rows of %s: it travels whole", p->name);
    if (rows->n > 0 && rows->ids[rows->n - 1] >= p->shape[0]) /* they are ascending */
        return rt_fail(err, RT_INVALID, "rows of %s: found row %" PRIu32 ", expected below %zu",
                       p->name, rows->ids[rows->n - 1], p->shape[0]);
    found.at = slice->offsets[i];
    found.n_rows = p->shape[0];
    found.n_cols = p->shape[1];
    found.ids = rows->ids;
    found.n = rows->n;
    *out = found;
    return RT_OK;
}

size_t slice_rows_packed(const slice_rows *rows)
{
    return rows->n_floats - (rows->n_rows - rows->n) * rows->n_cols;
}

static size_t behind(const slice_rows *rows)
{
    return rows->n_floats - rows->at - rows->n_rows * rows->n_cols;
}

void slice_rows_gather(const slice_rows *rows, const param_slice *slice, const param_table *table,
                       const float *flat, float *packed)
{
    size_t n_cols = rows->n_cols;
    for (size_t i = 0; i < slice->n_params; i++) {
        const param *p = &table->params[slice->params[i]];
        const float *from = flat + p->offset;
        if (rows->n_rows > 0 && slice->offsets[i] == rows->at) {
            for (size_t k = 0; k < rows->n; k++, packed += n_cols)
                memcpy(packed, from + rows->ids[k] * n_cols, n_cols * sizeof *packed);
            continue;
        }
        memcpy(packed, from, p->n * sizeof *packed);
        packed += p->n;
    }
}

/* From the end, so that nothing is overwritten before it was moved: a row never moves forward, for the
 * ids are ascending. */
void slice_rows_spread(const slice_rows *rows, float *floats)
{
    size_t n_cols = rows->n_cols;
    float *matrix = floats + rows->at;
    if (rows->n_rows == 0) return;
    memmove(matrix + rows->n_rows * n_cols, matrix + rows->n * n_cols,
            behind(rows) * sizeof *floats);
    size_t end = rows->n_rows; /* rows from here on are done */
    for (size_t k = rows->n; k-- > 0;) {
        size_t row = rows->ids[k];
        memmove(matrix + row * n_cols, matrix + k * n_cols, n_cols * sizeof *floats);
        memset(matrix + (row + 1) * n_cols, 0, (end - row - 1) * n_cols * sizeof *floats);
        end = row;
    }
    memset(matrix, 0, end * n_cols * sizeof *floats);
}

void slice_rows_add(const slice_rows *rows, const float *packed, float *sum)
{
    size_t n_cols = rows->n_cols;
    float *matrix = sum + rows->at;
    grad_add(sum, packed, rows->at);
    packed += rows->at;
    for (size_t k = 0; k < rows->n; k++, packed += n_cols)
        grad_add(matrix + rows->ids[k] * n_cols, packed, n_cols);
    grad_add(matrix + rows->n_rows * n_cols, packed, behind(rows));
}

void slice_rows_unsign(float *floats, size_t n)
{
    for (size_t i = 0; i < n; i++) floats[i] += 0.0f;
}
