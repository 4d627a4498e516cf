#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm.h"
#include "common/nn/model.h"
#include "common/nn/vec.h"

static float *numbers(size_t n, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "gemm", (rt_id){0}, 0);
    float *x = rt_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i);
    return x;
}

typedef struct gemm_case {
    size_t m, n, k, pad;
    gemm_engine engine;
} gemm_case;

ParameterizedTestParameters(gemm, agrees_with_the_plain_loops)
{
    static gemm_case cases[] = {
        {1, 1, 1, 0},
        {1, 7, 5, 2},
        {3, 2, 40, 1},
        {12, 32, 16, 0},
        {16, 16, 16, 0},
        {64, 64, 32, 96},
        {65, 31, 129, 3},
        {23, 17, 33, 1},
        {100, 300, 24, 0},
        {37, 48, 600, 5},
        {5, 520, 257, 0},
        {1, 1, 1, 0, GEMM_OPENBLAS},
        {65, 31, 129, 3, GEMM_OPENBLAS},
        {90, 70, 129, 3, GEMM_ONEDNN},
        {130, 80, 65, 0, GEMM_ONEDNN},
    };
    return cr_make_param_array(gemm_case, cases, RT_COUNT(cases));
}
ParameterizedTest(gemm_case *c, gemm, agrees_with_the_plain_loops)
{
    gemm_use(c->engine);
    size_t side = RT_MAX(c->m, RT_MAX(c->n, c->k)), ld = side + c->pad;
    float *a = numbers(side * ld, 1), *b = numbers(side * ld, 2), *start = numbers(side * ld, 3);
    for (int way = 0; way < 8; way++) {
        gemm_op op_a = way & 1 ? GEMM_T : GEMM_N, op_b = way & 2 ? GEMM_T : GEMM_N;
        float beta = way & 4 ? 1 : 0;
        float *y = rt_calloc(side * ld, sizeof *y), *z = rt_calloc(side * ld, sizeof *z);
        memcpy(y, start, side * ld * sizeof *y);
        memcpy(z, start, side * ld * sizeof *z);
        if (beta == 0) y[0] = NAN; /* overwritten, whatever it held */
        gemm(op_a, op_b, c->m, c->n, c->k, 0.5f, a, ld, b, ld, beta, y, ld);
        gemm_reference(op_a, op_b, c->m, c->n, c->k, 0.5f, a, ld, b, ld, beta, z, ld);
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

/* Buffers at other addresses must give the same bits, or results would not repeat. */
Test(gemm, bits_do_not_depend_on_addresses)
{
    enum { M = 45, N = 70, K = 33, ROOM = M * N + N * K + M * K };
    nn_set_threads(1);
    float *x = numbers(ROOM, 1), *first = rt_calloc(M * N, sizeof *first);
    for (size_t shift = 0; shift < 17; shift++) {
        float *a = rt_calloc(M * K + 32, sizeof *a), *b = rt_calloc(N * K + 32, sizeof *b);
        float *c = rt_calloc(M * N + 32, sizeof *c);
        memcpy(a + shift, x, M * K * sizeof *a);
        memcpy(b + 2 * shift % 17, x + M * K, N * K * sizeof *b);
        float *y = c + 3 * shift % 17;
        gemm(GEMM_N, GEMM_T, M, N, K, 1, a + shift, K, b + 2 * shift % 17, K, 0, y, N);
        if (shift == 0) memcpy(first, y, M * N * sizeof *first);
        cr_expect_eq(memcmp(first, y, M * N * sizeof *first), 0, "shift %zu", shift);
        free(a);
        free(b);
        free(c);
    }
    free(x);
    free(first);
}

Test(vec, exp_is_within_its_promise_over_the_whole_range)
{
    for (float x = -87.2f; x < 88.3f; x += 0.00117f) {
        double wanted = exp((double)x);
        cr_assert_leq(fabs((double)vec_exp1(x) - wanted), 3e-7 * wanted, "exp(%g)", (double)x);
    }
    cr_expect_eq(vec_exp1(0), 1.0f);
    cr_expect_eq(vec_exp1(-INFINITY), 0.0f);
    cr_expect_eq(vec_exp1(-100), 0.0f);
    cr_expect_eq(vec_exp1(1000), INFINITY);
    cr_expect(isnan(vec_exp1(NAN)));
}

Test(vec, reductions_agree_with_plain_loops_at_every_length_and_address)
{
    float *x = numbers(200, 1), *y = numbers(200, 2), *z = numbers(200, 3), work[200], moved[200];
    for (size_t n = 0; n < 100; n++) {
        double dot = 0, dot3 = 0, sum = 0;
        float top = -INFINITY;
        for (size_t i = 0; i < n; i++) {
            dot += (double)x[i] * y[i];
            dot3 += (double)x[i] * y[i] * z[i];
            top = fmaxf(top, x[i]);
        }
        for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - top);
        cr_expect_float_eq(vec_dot(x, y, n), dot, 1e-4);
        cr_expect_float_eq(vec_dot3(x, y, z, n), dot3, 1e-4);
        cr_expect_eq(vec_max(x, n), top);
        memcpy(work, x, n * sizeof *x);
        float whole = vec_exp_sum(work, n, n > 0 ? top : 0);
        cr_expect_float_eq(whole, sum, 1e-4);
        memcpy(moved + 3, x, n * sizeof *x);
        cr_expect_eq(vec_exp_sum(moved + 3, n, n > 0 ? top : 0), whole);
        cr_expect_eq(memcmp(work, moved + 3, n * sizeof *x), 0);
        cr_expect_eq(vec_dot(moved + 3, moved + 3, n), vec_dot(work, work, n));
    }
    free(x);
    free(y);
    free(z);
}

Test(vec, weighted_rows_are_the_plain_sum)
{
    float *w = numbers(20, 1), *rows = numbers(20 * 150, 2), out[150];
    for (size_t n_cols = 0; n_cols < 140; n_cols += 7) {
        vec_weighted_rows(w, rows, 20, 150, n_cols, out);
        for (size_t c = 0; c < n_cols; c++) {
            double sum = 0;
            for (size_t j = 0; j < 20; j++) sum += (double)w[j] * rows[j * 150 + c];
            cr_assert_float_eq(out[c], sum, 1e-4);
        }
    }
    free(w);
    free(rows);
}
