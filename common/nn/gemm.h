/* Matrix products: the one seam to the libraries that compute them. For bfloat16: gemm_bf16.h.
 *
 *     gemm(GEMM_N, GEMM_T, n_tokens, d_out, d_in, 1, x, d_in, w, d_in, 0, y, d_out);  // y = x w^T
 *
 * All matrices are row-major; a leading dimension is the distance of two rows in elements.
 */
#ifndef RT_NN_GEMM_H
#define RT_NN_GEMM_H

#include <stddef.h>

typedef enum gemm_op {
    GEMM_N, /* as stored */
    GEMM_T, /* transposed */
} gemm_op;

/**
 *   c = alpha * op(a) * op(b) + beta * c
 *
 * @param m, n, k  op(a) is [m, k], op(b) is [k, n], c is [m, n].
 * @param beta     0 overwrites c, whatever it held.
 * Equal input and thread count give equal bits. Checked by: tests/unit/nn/test_gemm.c
 */
void gemm(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha, const float *a,
          size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* Who computes gemm(). */
typedef enum gemm_engine {
    GEMM_AUTO,     /* whichever is faster on this processor */
    GEMM_OPENBLAS, /* everywhere */
    GEMM_ONEDNN,   /* small products stay with OpenBLAS */
} gemm_engine;
/* Choose for the whole process, before the first product; GEMM_AUTO unless called. */
void gemm_use(gemm_engine engine);

/* The plain loops that gemm() is tested and measured against; same arguments, sums in double. */
void gemm_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc);

void gemm_set_threads(size_t n_threads);
/* Name of the kernel that gemm() uses, for reports: results repeat between equal names. */
const char *gemm_kernel_name(void);

#endif
