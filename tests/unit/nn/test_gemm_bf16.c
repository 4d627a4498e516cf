#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm_bf16.h"

static float *numbers(size_t n, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "gemm", (rt_id){0}, 0);
    float *x = rt_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i);
    return x;
}

static bf16 *halves(size_t n, uint64_t seed)
{
    float *x = numbers(n, seed);
    bf16 *h = rt_calloc(n, sizeof *h);
    bf16_from_f32(x, n, h);
    free(x);
    return h;
}

typedef struct gemm_case {
    size_t m, n, k, pad;
} gemm_case;

ParameterizedTestParameters(gemm_bf16, agrees_with_the_plain_loops)
{
    static gemm_case cases[] = {
        {1, 1, 1, 0},     {1, 7, 5, 2},     {3, 2, 40, 1},    {32, 32, 16, 0},  {64, 64, 32, 96},
        {65, 31, 129, 3}, {96, 300, 24, 0}, {32, 48, 600, 5}, {5, 520, 257, 0},
    };
    return cr_make_param_array(gemm_case, cases, RT_COUNT(cases));
}
ParameterizedTest(gemm_case *c, gemm_bf16, agrees_with_the_plain_loops)
{
    size_t side = RT_MAX(c->m, RT_MAX(c->n, c->k)), ld = side + c->pad;
    bf16 *a = halves(side * ld, 1), *b = halves(side * ld, 2);
    float *start = numbers(side * ld, 3);
    for (int way = 0; way < 8; way++) {
        gemm_op op_a = way & 1 ? GEMM_T : GEMM_N, op_b = way & 2 ? GEMM_T : GEMM_N;
        float beta = way & 4 ? 1 : 0;
        float *y = rt_calloc(side * ld, sizeof *y), *z = rt_calloc(side * ld, sizeof *z);
        memcpy(y, start, side * ld * sizeof *y);
        memcpy(z, start, side * ld * sizeof *z);
        if (beta == 0) y[0] = NAN; /* overwritten, whatever it held */
        gemm_bf16(op_a, op_b, c->m, c->n, c->k, a, ld, b, ld, beta, y, ld);
        gemm_bf16_reference(op_a, op_b, c->m, c->n, c->k, a, ld, b, ld, beta, z, ld);
        for (size_t i = 0; i < side * ld; i++)
            cr_assert_leq(fabs((double)y[i] - z[i]), 1e-5 * (double)c->k + 1e-6,
                          "way %d, element %zu: %g, expected %g", way, i, (double)y[i],
                          (double)z[i]);
        free(y);
        free(z);
    }
    free(a);
    free(b);
    free(start);
}

/* An ulp apart at most: a sum that lies between two may go to either. */
static bool near_half(bf16 x, bf16 y)
{
    int apart = (int)x - (int)y;
    return fabs((double)bf16_to_f32(x) - (double)bf16_to_f32(y)) < 1e-3 ||
           (apart >= -1 && apart <= 1);
}

Test(gemm_bf16, sums_may_be_written_as_bfloat16)
{
    enum { M = 33, N = 40, K = 65, LD = 70 };
    bf16 *a = halves(LD * LD, 1), *b = halves(LD * LD, 2);
    for (int way = 0; way < 4; way++) {
        gemm_op op_a = way & 1 ? GEMM_T : GEMM_N, op_b = way & 2 ? GEMM_T : GEMM_N;
        bf16 *y = halves(LD * LD, 3), *z = halves(LD * LD, 3);
        gemm_bf16_half(op_a, op_b, M, N, K, a, LD, b, LD, y, LD);
        gemm_bf16_half_reference(op_a, op_b, M, N, K, a, LD, b, LD, z, LD);
        for (size_t i = 0; i < LD * LD; i++)
            cr_assert(near_half(y[i], z[i]), "way %d, element %zu: %g, expected %g", way, i,
                      (double)bf16_to_f32(y[i]), (double)bf16_to_f32(z[i]));
        free(y);
        free(z);
    }
    free(a);
    free(b);
}

Test(gemm_bf16, sums_of_two_parts_multiply_nearly_as_float32_does)
{
    enum { M = 33, N = 40, K = 65, LD = 70 };
    float *a = numbers(LD * LD, 1), *b = numbers(LD * LD, 2);
    bf16 parts[4][LD * LD];
    bf16_split_f32(a, LD * LD, parts[0], parts[1]);
    bf16_split_f32(b, LD * LD, parts[2], parts[3]);
    for (int way = 0; way < 8; way++) {
        gemm_op op_a = way & 1 ? GEMM_T : GEMM_N, op_b = way & 2 ? GEMM_T : GEMM_N;
        float *y = numbers(LD * LD, 3), *z = numbers(LD * LD, 3), beta = way & 4 ? 1 : 0;
        gemm_bf16x3(op_a, op_b, M, N, K, (bf16_parts){parts[0], parts[1]}, LD,
                    (bf16_parts){parts[2], parts[3]}, LD, beta, y, LD);
        gemm_reference(op_a, op_b, M, N, K, 1, a, LD, b, LD, beta, z, LD);
        for (size_t i = 0; i < LD * LD; i++)
            cr_assert_float_eq(y[i], z[i], 5e-4, "way %d, element %zu: %g, expected %g", way, i,
                               (double)y[i], (double)z[i]);
        free(y);
        free(z);
    }
    free(a);
    free(b);
}

/* More shapes than a thread keeps kernels for, each used again after others took its place. */
Test(gemm_bf16, shapes_may_come_and_go)
{
    enum { K = 24 };
    bf16 *a = halves(64 * K, 1), *b = halves(64 * K, 2);
    float y[64 * 64], z[64 * 64];
    for (size_t turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < 300; i++) {
            size_t m = 1 + i % 60, n = 1 + i / 5;
            gemm_bf16(GEMM_N, GEMM_T, m, n, K, a, K, b, K, 0, y, n);
            gemm_bf16_reference(GEMM_N, GEMM_T, m, n, K, a, K, b, K, 0, z, n);
            for (size_t j = 0; j < m * n; j++)
                cr_assert_float_eq(y[j], z[j], 1e-4, "%zu x %zu, element %zu", m, n, j);
        }
    free(a);
    free(b);
}

Test(bf16, rounds_to_nearest_even_and_keeps_what_is_no_number)
{
    static const struct {
        float x;
        bf16 wanted;
    } cases[] = {
        {0, 0x0000},
        {-0.0f, 0x8000},
        {1, 0x3f80},
        {1.00390625f, 0x3f80},   /* halfway between 0x3f80 and 0x3f81: to the even one */
        {1.01171875f, 0x3f82},   /* halfway between 0x3f81 and 0x3f82 */
        {1.0039064f, 0x3f81},    /* just above halfway */
        {3.3895314e38f, 0x7f7f}, /* the largest */
        {3.4e38f, 0x7f80},       /* above it: infinity */
        {INFINITY, 0x7f80},
        {-INFINITY, 0xff80},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        bf16 got;
        bf16_from_f32(&cases[i].x, 1, &got);
        cr_expect_eq(got, cases[i].wanted, "%g: 0x%04x, expected 0x%04x", (double)cases[i].x, got,
                     cases[i].wanted);
    }
    uint32_t bits = 0x7f800001U; /* a NaN whose upper half alone would be infinity */
    float x;
    bf16 got;
    memcpy(&x, &bits, sizeof x);
    bf16_from_f32(&x, 1, &got);
    cr_expect(isnan(bf16_to_f32(got)));
}

Test(bf16, two_parts_keep_sixteen_bits)
{
    float *x = numbers(1000, 5);
    bf16 high[1000], low[1000];
    bf16_split_f32(x, 1000, high, low);
    for (size_t i = 0; i < 1000; i++) {
        double sum = (double)bf16_to_f32(high[i]) + (double)bf16_to_f32(low[i]);
        cr_assert_leq(fabs(sum - (double)x[i]), fabs((double)x[i]) / 65536, "number %zu", i);
    }
    free(x);
    float odd[] = {INFINITY, NAN};
    bf16_split_f32(odd, 2, high, low);
    cr_expect(isinf(bf16_to_f32(high[0])) && bf16_to_f32(low[0]) == 0);
    cr_expect(isnan(bf16_to_f32(high[1])));
}
