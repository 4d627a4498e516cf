#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/gemm_tiles.h"
#include "common/nn/model.h"

static float *numbers(size_t n, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "tiles", (rt_id){0}, 0);
    float *x = rt_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i);
    return x;
}

/* Operands as stored: rows of `ld`, with and without their low parts. */
typedef struct fixture {
    size_t side, ld;
    bf16 *a_high, *a_low, *b_high, *b_low;
} fixture;

static fixture fixture_make(size_t side, size_t pad)
{
    fixture f = {.side = side, .ld = side + pad};
    size_t n = side * f.ld;
    bf16 **parts[] = {&f.a_high, &f.a_low, &f.b_high, &f.b_low};
    for (size_t i = 0; i < RT_COUNT(parts); i++) *parts[i] = rt_calloc(n, sizeof(bf16));
    float *a = numbers(n, 1), *b = numbers(n, 2);
    bf16_split_f32(a, n, f.a_high, f.a_low);
    bf16_split_f32(b, n, f.b_high, f.b_low);
    free(a);
    free(b);
    return f;
}

static void fixture_free(fixture *f)
{
    free(f->a_high);
    free(f->a_low);
    free(f->b_high);
    free(f->b_low);
}

static tile_operand operand_a(const fixture *f, int way, bool parts)
{
    return (tile_operand){f->a_high, parts ? f->a_low : NULL, f->ld, (way & 1) != 0};
}

static tile_operand operand_b(const fixture *f, int way, bool parts)
{
    return (tile_operand){f->b_high, parts ? f->b_low : NULL, f->ld, (way & 2) != 0};
}

static double value(const tile_operand *x, size_t row, size_t column)
{
    size_t at = x->transposed ? column * x->ld + row : row * x->ld + column;
    double high = (double)bf16_to_f32(x->high[at]);
    return x->low == NULL ? high : high + (double)bf16_to_f32(x->low[at]);
}

static double element(const tile_operand *a, const tile_operand *b, size_t i, size_t j, size_t k)
{
    double sum = 0;
    for (size_t p = 0; p < k; p++) sum += value(a, i, p) * value(b, p, j);
    return sum;
}

typedef struct tiles_case {
    size_t m, n, k, pad;
} tiles_case;

/* Edges of tiles, panels, groups of strips, blocks of columns and runs of steps. */
ParameterizedTestParameters(gemm_tiles, agrees_with_the_plain_loops)
{
    static tiles_case cases[] = {
        {1, 1, 1, 0},    {1, 33, 5, 2},     {3, 2, 40, 1},      {11, 31, 16, 0},  {12, 32, 17, 3},
        {13, 64, 33, 0}, {96, 65, 20, 0},   {97, 40, 512, 0},   {5, 100, 513, 7}, {109, 8, 1030, 1},
        {2, 1100, 3, 0}, {14, 700, 530, 0}, {100, 24, 1600, 0},
    };
    return cr_make_param_array(tiles_case, cases, RT_COUNT(cases));
}
ParameterizedTest(tiles_case *c, gemm_tiles, agrees_with_the_plain_loops)
{
    fixture f = fixture_make(RT_MAX(c->m, RT_MAX(c->n, c->k)), c->pad);
    size_t ld = c->n + c->pad, n = c->m * ld;
    float *start = numbers(n, 3), *y = rt_calloc(n, sizeof *y);
    bf16 *half = rt_calloc(n, sizeof *half);
    for (int way = 0; way < 8; way++) {
        bool parts = (way & 4) != 0, adds = parts;
        tile_operand a = operand_a(&f, way, parts), b = operand_b(&f, way, parts);
        tile_result full = {.f32 = y, .ld = ld, .adds = adds}, rounded = {.half = half, .ld = ld};
        memcpy(y, start, n * sizeof *y);
        memset(half, 0x77, n * sizeof *half);
        if (!adds) y[0] = NAN; /* overwritten, whatever it held */
        cr_assert(gemm_tiles(c->m, c->n, c->k, &a, &b, &full));
        cr_assert(gemm_tiles(c->m, c->n, c->k, &a, &b, &rounded));
        for (size_t i = 0; i < n; i++) {
            if (i % ld >= c->n) {
                cr_assert_eq(y[i], start[i], "way %d wrote behind a row", way);
                cr_assert_eq(half[i], 0x7777, "way %d wrote behind a row", way);
                continue;
            }
            double wanted = element(&a, &b, i / ld, i % ld, c->k);
            double before = adds ? (double)start[i] : 0, slack = 1e-6 * (double)c->k + 1e-6;
            cr_assert_leq(fabs((double)y[i] - before - wanted), slack, "way %d, %zu: %g not %g",
                          way, i, (double)y[i], before + wanted);
            cr_assert_leq(fabs((double)bf16_to_f32(half[i]) - wanted), fabs(wanted) / 256 + slack,
                          "way %d, %zu", way, i);
        }
    }
    free(start);
    free(y);
    free(half);
    fixture_free(&f);
}

/* A micro-batch must not change the numbers of another one's rows, nor a core more. */
Test(gemm_tiles, an_element_has_its_bits_whatever_is_beside_it)
{
    enum { M = 150, N = 300, K = 600 };
    fixture f = fixture_make(K, 0);
    float *all = rt_calloc(M * N, sizeof *all), *again = rt_calloc(M * N, sizeof *again), one;
    for (int way = 0; way < 4; way++) {
        tile_operand a = operand_a(&f, way, false), b = operand_b(&f, way, false);
        nn_set_threads(1);
        gemm_tiles(M, N, K, &a, &b, &(tile_result){.f32 = all, .ld = N});
        nn_set_threads(3);
        gemm_tiles(M, N, K, &a, &b, &(tile_result){.f32 = again, .ld = N});
        for (size_t i = 0; i < (size_t)M * N; i++)
            cr_assert_eq(all[i], again[i], "way %d, %zu, three threads", way, i);
        nn_set_threads(1);
        tile_operand row = a, column = b;
        row.high += a.transposed ? 147 : 147 * a.ld;
        column.high += b.transposed ? 291 * b.ld : 291;
        gemm_tiles(1, 1, K, &row, &column, &(tile_result){.f32 = &one, .ld = 1});
        cr_expect_eq(one, all[147 * N + 291], "way %d, alone", way);
    }
    free(all);
    free(again);
    fixture_free(&f);
}

Test(gemm_tiles, infinity_and_no_number_stay_where_they_belong)
{
    enum { M = 13, N = 33, K = 20 };
    fixture f = fixture_make(40, 0);
    float y[M * N];
    f.a_high[3 * f.ld + 7] = 0x7f80; /* infinity, in row 3 */
    f.b_high[5 * f.ld + 2] = 0x7fc0; /* not a number, in column 2 */
    tile_operand a = operand_a(&f, 0, false), b = operand_b(&f, 0, false);
    gemm_tiles(M, N, K, &a, &b, &(tile_result){.f32 = y, .ld = N});
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++)
            cr_expect_eq(isfinite(y[i * N + j]) != 0, i != 3 && j != 2, "row %zu, column %zu", i,
                         j);
    fixture_free(&f);
}

Test(gemm_tiles, nothing_is_written_without_rows_or_columns)
{
    bf16 x[1] = {0};
    float y = 7;
    tile_operand a = {.high = x, .ld = 1};
    cr_expect(gemm_tiles(0, 1, 1, &a, &a, &(tile_result){.f32 = &y, .ld = 1}));
    cr_expect(gemm_tiles(1, 0, 1, &a, &a, &(tile_result){.f32 = &y, .ld = 1}));
    cr_expect_eq(y, 7);
}
