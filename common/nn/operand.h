/* A matrix in the numbers that the products of a compute mode read, and those products.
 *
 *     operand x = operand_of(t, tensor_x), w = operand_of(t, tensor_w);
 *     operand_gemm(t, GEMM_N, GEMM_T, x.n_rows, w.n_rows, x.n_cols, &x, &w, 0, y, w.n_rows);
 *
 * In the modes of bfloat16 the rows of an activation are rounded up to whole blocks with zeros
 * behind, so that few shapes occur (gemm_bf16.h); tape_tensor() and the gradients of the tape have
 * room for the rows that such a product writes too many.
 */
#ifndef RT_NN_OPERAND_H
#define RT_NN_OPERAND_H

#include "common/nn/gemm_bf16.h"
#include "common/nn/tape.h"

typedef struct operand {
    const float *f32;       /* set in mode f32 */
    const bf16 *high, *low; /* set in the modes of bfloat16; low in bf16x3 alone */
    size_t n_rows; /* the tensor's; in the modes of bfloat16 rounded up, unless a parameter */
    size_t n_cols; /* also the distance of two rows */
    bool borrowed; /* its numbers are a copy to give back */
} operand;

/* The numbers of x, converted at the first call of a step unless half. Valid until the next
 * tape_begin(), in mode f32 until tape_forget(). Its fields are NULL when memory ran out, which the
 * tape remembers. */
operand operand_of(tape *t, tensor *x);
/* The gradient of x; give it back. */
operand operand_of_grad(tape *t, const tensor *x);
/* `rows` rows of numbers that live for one operation; give it back. */
operand operand_borrow(tape *t, const float *data, size_t n_rows, size_t n_cols);
/* Room for such numbers in mode bf16, with zeros behind the last row: the caller fills it. */
operand operand_room(tape *t, size_t n_rows, size_t n_cols, bf16 **to);
void operand_give_back(tape *t, operand *x);
/* Rows from `first` on, a multiple of GEMM_BF16_ROWS; n rows, rounded up likewise if they reach the
 * end. */
operand operand_rows(const operand *x, size_t first, size_t n);
bool operand_ok(const operand *x);

/* c = op(a) * op(b) + beta * c with beta 0 or 1, in the tape's compute mode. */
void operand_gemm(const tape *t, gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                  const operand *a, const operand *b, float beta, float *c, size_t ldc);
/* The same into bfloat16 with beta 0, in mode bf16. */
void operand_gemm_half(const tape *t, gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                       const operand *a, const operand *b, bf16 *c, size_t ldc);

#endif
