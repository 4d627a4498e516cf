#include "common/nn/model/touched_rows.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"

rt_status touched_rows_new(size_t n_rows, touched_rows *out, rt_error *err)
{
    touched_rows t = {.marks = rt_calloc(n_rows / 64 + 1, sizeof *t.marks),
                      .ids = rt_calloc(n_rows, sizeof *t.ids),
                      .n_rows = n_rows};
    if (t.marks == NULL || t.ids == NULL) {
        touched_rows_free(&t);
        return rt_fail(err, RT_NOMEM, "marks of %zu rows", n_rows);
    }
    *out = t;
    return RT_OK;
}

void touched_rows_free(touched_rows *t)
{
    free(t->marks);
    free(t->ids);
    *t = (touched_rows){0};
}

void touched_rows_clear(touched_rows *t, float *matrix, size_t n_cols)
{
    for (size_t i = 0; i < t->n; i++)
        memset(matrix + t->ids[i] * n_cols, 0, n_cols * sizeof *matrix);
    memset(t->marks, 0, (t->n_rows / 64 + 1) * sizeof *t->marks);
    t->n = 0;
}

void touched_rows_add(touched_rows *t, const uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        RT_ASSERT(ids[i] < t->n_rows);
        t->marks[ids[i] / 64] |= UINT64_C(1) << (ids[i] % 64);
    }
}

void touched_rows_sort(touched_rows *t)
{
    t->n = 0;
    for (size_t word = 0; word <= t->n_rows / 64; word++)
        for (uint64_t left = t->marks[word]; left != 0; left &= left - 1)
            t->ids[t->n++] = (uint32_t)(word * 64 + (size_t)__builtin_ctzll(left));
}
