#include "common/nn/gemm.h"

#include <cblas.h>
#include <limits.h>

#include "common/base/status.h"

void gemm(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha, const float *a,
          size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    RT_ASSERT(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
              ldc <= INT_MAX);
    if (m == 0 || n == 0) return;
    cblas_sgemm(CblasRowMajor, op_a == GEMM_T ? CblasTrans : CblasNoTrans,
                op_b == GEMM_T ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a,
                (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void gemm_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t p = 0; p < k; p++) {
                double x = op_a == GEMM_T ? a[p * lda + i] : a[i * lda + p];
                double y = op_b == GEMM_T ? b[j * ldb + p] : b[p * ldb + j];
                sum += x * y;
            }
            float before = beta == 0 ? 0 : beta * c[i * ldc + j];
            c[i * ldc + j] = (float)(alpha * sum) + before;
        }
    }
}

void gemm_set_threads(size_t n_threads)
{
    openblas_set_num_threads((int)n_threads);
}

const char *gemm_blas_name(void)
{
    return openblas_get_corename();
}
