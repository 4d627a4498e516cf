#include "common/nn/gemm.h"

#include <cblas.h>
#include <limits.h>
#include <stdatomic.h>
#include <strings.h>

#include "common/base/status.h"
#include "common/nn/gemm_tile.h"

/* Which product serves this process: 0 not chosen yet. */
enum { UNDECIDED, TILE, BLAS };
static atomic_int chosen;

/* BLAS, unless it runs kernels for 256 bits on a processor with 512: see gemm_tile.h. */
static int choose(void)
{
    static const char *const wide[] = {"SkylakeX", "Cooperlake", "SapphireRapids"};
    int now = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (now != UNDECIDED) return now;
    now = gemm_tile_available() ? TILE : BLAS;
    for (size_t i = 0; i < RT_COUNT(wide); i++)
        if (strcasecmp(openblas_get_corename(), wide[i]) == 0) now = BLAS;
    atomic_store(&chosen, now);
    return now;
}

void gemm_blas(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha,
               const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
               size_t ldc)
{
    RT_ASSERT(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
              ldc <= INT_MAX);
    cblas_sgemm(CblasRowMajor, op_a == GEMM_T ? CblasTrans : CblasNoTrans,
                op_b == GEMM_T ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a,
                (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void gemm(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha, const float *a,
          size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (choose() == TILE)
        gemm_tile(m, n, k, alpha, a, op_a == GEMM_T ? 1 : lda, op_a == GEMM_T ? lda : 1, b,
                  op_b == GEMM_T ? 1 : ldb, op_b == GEMM_T ? ldb : 1, beta, c, ldc);
    else
        gemm_blas(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
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

const char *gemm_kernel_name(void)
{
    return choose() == TILE ? "tile-avx512" : openblas_get_corename();
}
