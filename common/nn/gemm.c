#include "common/nn/gemm.h"

#include <cblas.h>
#include <dnnl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/status.h"

/* Below this many multiplications BLAS starts faster than oneDNN (blocks of attention). */
#define ONEDNN_MIN ((size_t)1 << 19)

static atomic_int chosen = GEMM_AUTO;
static atomic_int small_by_blas = -1; /* 1, 0, or not asked yet */

/* oneDNN where it has vectors of 512 bits: faster than OpenBLAS there (bench_gemm), which besides
 * stays with 256 bits on processors it does not know. */
static gemm_engine choose(void)
{
    int now = atomic_load_explicit(&chosen, memory_order_relaxed);
    if (now != GEMM_AUTO) return (gemm_engine)now;
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    bool wide = ((unsigned)isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    now = wide ? GEMM_ONEDNN : GEMM_OPENBLAS;
    atomic_store(&chosen, now);
    return (gemm_engine)now;
}

/* Whether OpenBLAS has chosen kernels with vectors of at least 256 bits. It goes back to those of the
 * first 64-bit processors where it does not know the one it is on, as on virtual machines. */
static bool blas_knows_processor(void)
{
    static const char *const known[] = {"Haswell", "Zen", "SkylakeX", "Cooperlake",
                                        "SapphireRapids"};
    const char *name = openblas_get_corename();
    for (size_t i = 0; i < RT_COUNT(known); i++)
        if (strcmp(name, known[i]) == 0) return true;
    return false;
}

static size_t onednn_min(void)
{
    int now = atomic_load_explicit(&small_by_blas, memory_order_relaxed);
    if (now < 0) atomic_store(&small_by_blas, now = blas_knows_processor());
    return now != 0 ? ONEDNN_MIN : 0;
}

void gemm_use(gemm_engine engine)
{
    atomic_store(&chosen, (int)engine);
}

static void by_blas(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha,
                    const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                    size_t ldc)
{
    RT_ASSERT(m <= INT_MAX && n <= INT_MAX && k <= INT_MAX && lda <= INT_MAX && ldb <= INT_MAX &&
              ldc <= INT_MAX);
    cblas_sgemm(CblasRowMajor, op_a == GEMM_T ? CblasTrans : CblasNoTrans,
                op_b == GEMM_T ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, alpha, a,
                (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

/* False for sizes that oneDNN refuses. */
static bool by_onednn(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c,
                      size_t ldc)
{
    return dnnl_sgemm(op_a == GEMM_T ? 'T' : 'N', op_b == GEMM_T ? 'T' : 'N', (dnnl_dim_t)m,
                      (dnnl_dim_t)n, (dnnl_dim_t)k, alpha, a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb,
                      beta, c, (dnnl_dim_t)ldc) == dnnl_success;
}

void gemm(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, float alpha, const float *a,
          size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    if (m == 0 || n == 0) return;
    if (choose() == GEMM_ONEDNN && m * n * k >= onednn_min() &&
        by_onednn(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc))
        return;
    by_blas(op_a, op_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
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
    return choose() == GEMM_ONEDNN ? "oneDNN" : openblas_get_corename();
}
