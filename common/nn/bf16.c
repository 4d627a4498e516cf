#include <math.h>
#include <string.h>

#include "common/base/status.h"
#include "common/nn/gemm_bf16.h"

/* Below this many numbers a loop does not start threads. */
#define PARALLEL_MIN ((size_t)1 << 16)

static inline uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* Adding 0x7fff and the lowest kept bit rounds to nearest even; a NaN could lose its last bits and
 * become infinity, so it is made quiet instead. Branch-free, so that the compiler uses vectors. */
static inline bf16 round_one(float x)
{
    uint32_t u = bits_of(x);
    uint32_t rounded = (u + 0x7fffU + (u >> 16 & 1U)) >> 16;
    uint32_t quiet = u >> 16 | 0x40U;
    return (bf16)((u & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}

float bf16_to_f32(bf16 x)
{
    uint32_t u = (uint32_t)x << 16;
    float y;
    memcpy(&y, &u, sizeof y);
    return y;
}

void bf16_from_f32(const float *x, size_t n, bf16 *out)
{
    if (n < PARALLEL_MIN) { /* rows of an operation, which starts no threads of its own */
        for (size_t i = 0; i < n; i++) out[i] = round_one(x[i]);
        return;
    }
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) out[i] = round_one(x[i]);
}

void bf16_to_f32_row(const bf16 *x, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)x[i] << 16;
        memcpy(&out[i], &u, sizeof u);
    }
}

void bf16_split_f32(const float *x, size_t n, bf16 *high, bf16 *low)
{
#pragma omp parallel for simd schedule(static) if (n >= PARALLEL_MIN)
    for (size_t i = 0; i < n; i++) {
        bf16 h = round_one(x[i]);
        uint32_t u = (uint32_t)h << 16;
        float rest;
        memcpy(&rest, &u, sizeof rest);
        rest = x[i] - rest;
        high[i] = h;
        low[i] = round_one(rest == rest ? rest : 0.0f); /* inf - inf: high says it all */
    }
}

/* Row i of op(a) times column j of op(b). */
static double product_at(gemm_op op_a, gemm_op op_b, size_t i, size_t j, size_t k, const bf16 *a,
                         size_t lda, const bf16 *b, size_t ldb)
{
    double sum = 0;
    for (size_t p = 0; p < k; p++) {
        bf16 x = op_a == GEMM_T ? a[p * lda + i] : a[i * lda + p];
        bf16 y = op_b == GEMM_T ? b[j * ldb + p] : b[p * ldb + j];
        sum += (double)bf16_to_f32(x) * (double)bf16_to_f32(y);
    }
    return sum;
}

void gemm_bf16_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k, const bf16 *a,
                         size_t lda, const bf16 *b, size_t ldb, float beta, float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            double before = beta == 0 ? 0 : (double)c[i * ldc + j];
            c[i * ldc + j] = (float)(before + product_at(op_a, op_b, i, j, k, a, lda, b, ldb));
        }
    }
}

void gemm_bf16_half_reference(gemm_op op_a, gemm_op op_b, size_t m, size_t n, size_t k,
                              const bf16 *a, size_t lda, const bf16 *b, size_t ldb, bf16 *c,
                              size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            c[i * ldc + j] = round_one((float)product_at(op_a, op_b, i, j, k, a, lda, b, ldb));
}
