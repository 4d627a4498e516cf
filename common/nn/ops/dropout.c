#include "common/nn/ops/ops.h"
#include "common/nn/rows.h"

typedef struct dropout_args {
    tensor *x;
    const uint16_t *keep; /* [n_rows, n_cols]: all ones or zero */
    float scale;
} dropout_args;

static void apply_mask(tape *t, const dropout_args *a, rows x)
{
    float *work = rows_work(t, x.n_cols);
    if (work == NULL) return;
    for (size_t i = 0; i < a->x->n_rows; i++) {
        const uint16_t *keep = a->keep + i * x.n_cols;
        float *row = rows_load(&x, i, work);
        for (size_t c = 0; c < x.n_cols; c++) row[c] = keep[c] ? row[c] * a->scale : 0.0f;
        rows_close(&x, i, row);
    }
    rows_work_give(t, work, x.n_cols);
}

/* d_x = keep ? d_y / (1 - p) : 0, in place like the forward. */
static void dropout_backward(tape *t, void *args, tensor *out)
{
    apply_mask(t, args, rows_of_grad(out));
}

/* Eight decisions of 16 bits from each block of random words; a row starts a block of its own. */
static void draw_row(rng_key key, uint32_t site, size_t i_row, uint32_t threshold, size_t n_cols,
                     uint16_t *keep)
{
    size_t blocks_per_row = (n_cols + 7) / 8;
    uint64_t counter = (uint64_t)site << 48 | i_row * blocks_per_row;
    for (size_t first = 0; first < n_cols; first += 8, counter++) {
        uint32_t words[4];
        rng_block(key, counter, words);
        size_t n = RT_MIN((size_t)8, n_cols - first);
        for (size_t j = 0; j < n; j++) {
            uint32_t half = words[j / 2] >> (j % 2 * 16) & 0xFFFF;
            keep[first + j] = half >= threshold ? 0xFFFF : 0;
        }
    }
}

tensor *op_dropout(tape *t, tensor *x, float p, uint32_t site, const row_span *spans,
                   const rng_key *keys, size_t n_spans)
{
    if (x == NULL) return NULL;
    uint32_t threshold = (uint32_t)(p * 65536.0f + 0.5f);
    threshold = RT_MIN(threshold, (uint32_t)65535);
    if (threshold == 0) return x;
    dropout_args *a = tape_alloc(t, 1, sizeof *a);
    uint16_t *keep = tape_alloc(t, x->n_rows * x->n_cols, sizeof *keep);
    if (a == NULL || keep == NULL) return NULL;
#pragma omp parallel for schedule(static) if (n_spans > 1)
    for (size_t s = 0; s < n_spans; s++)
        for (size_t i = 0; i < spans[s].n; i++)
            draw_row(keys[s], site, i, threshold, x->n_cols,
                     keep + (spans[s].first + i) * x->n_cols);
    *a = (dropout_args){.x = x, .keep = keep, .scale = 65536.0f / (65536.0f - (float)threshold)};
    apply_mask(t, a, rows_of(x));
    tape_push_in_place(t, dropout_backward, a, x);
    return x;
}
