/* Matrix products of bfloat16 numbers with float32 sums: by oneDNN where the processor multiplies them
 * faster than float32, else by float32 arithmetic (gemm_tiles.h).
 *
 *     bf16_from_f32(x, n, half);                                       // once per activation
 *     gemm_bf16(GEMM_N, GEMM_T, m, n, k, half, k, w_half, k, 0, y, n);   // y = x w^T
 *
 * oneDNN makes a kernel for each shape. A caller that rounds its rows up to GEMM_BF16_ROWS, with
 * zeros behind the last real one, needs few of them.
 */
#ifndef RT_NN_GEMM_BF16_H
#define RT_NN_GEMM_BF16_H

#include <stdbool.h>
#include <stdint.h>

#include "common/nn/gemm.h"

#define GEMM_BF16_ROWS 32

/* The upper half of a float32. */
typedef uint16_t bf16;

/* Whether this processor has instructions for products of bfloat16 that are faster than float32's. */
bool gemm_bf16_faster(void);

/**
 *   c = op(a) * op(b) + beta * c, as gemm() with alpha 1 and beta 0 or 1
 *
 * Safe from any thread. Equal shapes, values and thread counts give equal bits. Checked by:
 * tests/unit/nn/test_gemm_bf16.c
 */
void gemm_bf16(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a, size_t lda,
               const bf16 *b, size_t ldb, float beta, float *c, size_t ldc);
/* The same with beta 0, and each sum rounded to bfloat16 at its end: half the bytes to write. */
void gemm_bf16_half(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a,
                    size_t lda, const bf16 *b, size_t ldb, bf16 *c, size_t ldc);

/* A matrix as the sum of two (bf16_split_f32). */
typedef struct bf16_parts {
    const bf16 *high, *low;
} bf16_parts;
/* The product of two such sums, to 16 bits of mantissa: c = op(a) op(b) + beta c, otherwise as gemm_bf16(). */
void gemm_bf16x3(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, bf16_parts a, size_t lda,
                 bf16_parts b, size_t ldb, float beta, float *c, size_t ldc);

/* The plain loops they are tested against; same arguments, sums in double. */
void gemm_bf16_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a,
                         size_t lda, const bf16 *b, size_t ldb, float beta, float *c, size_t ldc);
void gemm_bf16_half_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                              const bf16 *a, size_t lda, const bf16 *b, size_t ldb, bf16 *c,
                              size_t ldc);

/* Nearest bfloat16, ties to even; NaN stays NaN. */
void bf16_from_f32(const float *x, size_t n, bf16 *out);
/* high + low is x to 16 bits of mantissa: high = bf16(x), low = bf16(x - high). */
void bf16_split_f32(const float *x, size_t n, bf16 *high, bf16 *low);
float bf16_to_f32(bf16 x);
void bf16_to_f32_row(const bf16 *x, size_t n, float *out);

#endif
