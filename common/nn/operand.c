#include "common/nn/operand.h"

#include <string.h>

_Static_assert(GEMM_BF16_ROWS == TAPE_ROW_BLOCK, "products write whole blocks of rows");

/* Convert n_rows rows, zeros behind them up to the end of the block. `low` may be NULL. */
static void convert(const float *data, size_t n_rows, size_t n_cols, bf16 *high, bf16 *low)
{
    size_t n = n_rows * n_cols, n_padded = tape_padded_rows(n_rows) * n_cols;
    if (low != NULL)
        bf16_split_f32(data, n, high, low);
    else
        bf16_from_f32(data, n, high);
    memset(high + n, 0, (n_padded - n) * sizeof *high);
    if (low != NULL) memset(low + n, 0, (n_padded - n) * sizeof *low);
}

operand operand_of(tape *t, tensor *x)
{
    compute_mode mode = tape_compute(t);
    if (mode == COMPUTE_F32 || x->is_half) tape_recall(t, x);
    if (mode == COMPUTE_F32)
        return (operand){.f32 = x->data, .n_rows = x->n_rows, .n_cols = x->n_cols};
    size_t n_rows = x->is_param ? x->n_rows : tape_padded_rows(x->n_rows);
    if (x->high == NULL && !x->is_half) {
        bool split = mode == COMPUTE_BF16X3;
        RT_ASSERT(!x->is_param); /* the model converts its weights once per version */
        bf16 *high = tape_alloc(t, n_rows * x->n_cols, sizeof *high);
        bf16 *low = split ? tape_alloc(t, n_rows * x->n_cols, sizeof *low) : NULL;
        if (high == NULL || (split && low == NULL)) return (operand){0};
        convert(x->data, x->n_rows, x->n_cols, high, low);
        x->high = high;
        x->low = low;
    }
    return (operand){.high = x->high, .low = x->low, .n_rows = n_rows, .n_cols = x->n_cols};
}

operand operand_of_grad(tape *t, const tensor *x)
{
    if (x->half_grad == NULL) return operand_borrow(t, x->grad, x->n_rows, x->n_cols);
    return (operand){
        .high = x->half_grad, .n_rows = tape_padded_rows(x->n_rows), .n_cols = x->n_cols};
}

operand operand_borrow(tape *t, const float *data, size_t n_rows, size_t n_cols)
{
    compute_mode mode = tape_compute(t);
    if (mode == COMPUTE_F32) return (operand){.f32 = data, .n_rows = n_rows, .n_cols = n_cols};
    bool split = mode == COMPUTE_BF16X3;
    size_t n_padded = tape_padded_rows(n_rows), n = n_padded * n_cols;
    bf16 *high = tape_take(t, n * (split ? 2 : 1) * sizeof *high);
    if (high == NULL) return (operand){0};
    bf16 *low = split ? high + n : NULL;
    convert(data, n_rows, n_cols, high, low);
    return (operand){
        .high = high, .low = low, .n_rows = n_padded, .n_cols = n_cols, .borrowed = true};
}

operand operand_room(tape *t, size_t n_rows, size_t n_cols, bf16 **to)
{
    RT_ASSERT(tape_compute(t) == COMPUTE_BF16);
    size_t n_padded = tape_padded_rows(n_rows);
    *to = tape_take(t, n_padded * n_cols * sizeof **to);
    if (*to == NULL) return (operand){0};
    memset(*to + n_rows * n_cols, 0, (n_padded - n_rows) * n_cols * sizeof **to);
    return (operand){.high = *to, .n_rows = n_padded, .n_cols = n_cols, .borrowed = true};
}

void operand_give_back(tape *t, operand *x)
{
    if (!x->borrowed) return;
    size_t n = x->n_rows * x->n_cols * (x->low == NULL ? 1 : 2);
    tape_give(t, (void *)(uintptr_t)x->high, n * sizeof *x->high);
    *x = (operand){0};
}

operand operand_rows(const operand *x, size_t first, size_t n)
{
    operand rows = *x;
    rows.borrowed = false;
    rows.n_rows = x->f32 != NULL ? n : tape_padded_rows(n);
    RT_ASSERT(first + rows.n_rows <= x->n_rows);
    if (x->f32 != NULL) rows.f32 += first * x->n_cols;
    if (x->high != NULL) rows.high += first * x->n_cols;
    if (x->low != NULL) rows.low += first * x->n_cols;
    return rows;
}

bool operand_ok(const operand *x)
{
    return x->f32 != NULL || x->high != NULL;
}

void operand_gemm(const tape *t, gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                  const operand *a, const operand *b, float beta, float *c, size_t ldc)
{
    size_t lda = a->n_cols, ldb = b->n_cols;
    switch (tape_compute(t)) {
    case COMPUTE_BF16X3:
        gemm_bf16x3(op_a, op_b, m, n, k, (bf16_parts){a->high, a->low}, lda,
                    (bf16_parts){b->high, b->low}, ldb, beta, c, ldc);
        return;
    case COMPUTE_BF16:
        gemm_bf16(op_a, op_b, m, n, k, a->high, lda, b->high, ldb, beta, c, ldc);
        return;
    case COMPUTE_F32:
    case COMPUTE_AUTO: break;
    }
    gemm(op_a, op_b, m, n, k, 1, a->f32, lda, b->f32, ldb, beta, c, ldc);
}

void operand_gemm_half(const tape *t, gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                       const operand *a, const operand *b, bf16 *c, size_t ldc)
{
    RT_ASSERT(tape_compute(t) == COMPUTE_BF16);
    gemm_bf16_half(op_a, op_b, m, n, k, a->high, a->n_cols, b->high, b->n_cols, c, ldc);
}
