#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm_bf16.h"
#include "common/nn/model.h"
#include "common/nn/packed_matrix.h"

static float *numbers(size_t n, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "packed", (rt_id){0}, 0);
    float *x = rt_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i);
    return x;
}

static void *packed(const float *w, size_t d_out, size_t d_in, bool half)
{
    void *panels = rt_calloc(packed_matrix_bytes(d_out, d_in, half), 1);
    packed_matrix_fill(w, d_out, d_in, half, panels);
    return panels;
}

/* What bfloat16 keeps of n numbers. */
static void round_numbers(float *x, size_t n)
{
    bf16 *half = rt_calloc(n, sizeof *half);
    bf16_from_f32(x, n, half);
    bf16_to_f32_row(half, n, x);
    free(half);
}

typedef struct times_case {
    size_t n_rows, d_out, d_in;
    bool half;
} times_case;

ParameterizedTestParameters(packed_matrix, agrees_with_the_plain_loops)
{
    static times_case cases[] = {
        {1, 1, 1, false},    {1, 33, 7, false},    {2, 31, 5, false},    {3, 64, 16, false},
        {4, 40, 20, false},  {5, 32, 9, false},    {6, 32, 9, false},    {7, 63, 9, false},
        {8, 32, 9, false},   {9, 32, 9, false},    {10, 65, 9, false},   {11, 32, 9, false},
        {12, 32, 8, false},  {13, 100, 60, false}, {37, 257, 33, false}, {64, 96, 128, false},
        {1, 1, 1, true},     {1, 33, 7, true},     {3, 64, 16, true},    {12, 31, 8, true},
        {13, 100, 60, true}, {37, 257, 33, true},
    };
    return cr_make_param_array(times_case, cases, RT_COUNT(cases));
}
ParameterizedTest(times_case *c, packed_matrix, agrees_with_the_plain_loops)
{
    float *x = numbers(c->n_rows * c->d_in, 1), *w = numbers(c->d_out * c->d_in, 2);
    float *y = rt_calloc(c->n_rows * c->d_out + 1, sizeof *y);
    void *panels = packed(w, c->d_out, c->d_in, c->half);
    float *z = rt_calloc(c->n_rows * c->d_out, sizeof *z);
    y[c->n_rows * c->d_out] = 77;
    packed_matrix_times(c->n_rows, x, c->d_in, panels, c->half, c->d_out, y);
    if (c->half) round_numbers(w, c->d_out * c->d_in);
    gemm_reference(GEMM_N, GEMM_T, c->n_rows, c->d_out, c->d_in, 1, x, c->d_in, w, c->d_in, 0, z,
                   c->d_out);
    for (size_t i = 0; i < c->n_rows * c->d_out; i++)
        cr_assert_leq(fabs((double)y[i] - z[i]), 1e-5 * (double)c->d_in + 1e-6, "element %zu", i);
    cr_expect_eq(y[c->n_rows * c->d_out], 77, "something was written behind the result");
    free(x);
    free(w);
    free(y);
    free(z);
    free(panels);
}

static bool same_bits(const void *a, const void *b, size_t n_bytes)
{
    return memcmp(a, b, n_bytes) == 0;
}

static void check_rows(bool half)
{
    enum { ROWS = 29, OUT = 270, IN = 300 };
    float *x = numbers(ROWS * IN, 1), *w = numbers(OUT * IN, 2);
    void *panels = packed(w, OUT, IN, half);
    float *y = rt_calloc(ROWS * OUT, sizeof *y), *two = rt_calloc(ROWS * OUT, sizeof *two);
    float row[OUT];
    nn_set_threads(1);
    packed_matrix_times(ROWS, x, IN, panels, half, OUT, y);
    for (size_t i = 0; i < ROWS; i++) {
        packed_matrix_times(1, x + i * IN, IN, panels, half, OUT, row);
        cr_expect(same_bits(row, y + i * OUT, sizeof row), "row %zu", i);
    }
    nn_set_threads(2);
    packed_matrix_times(ROWS, x, IN, panels, half, OUT, two);
    cr_expect(same_bits(two, y, ROWS * OUT * sizeof *y));
    free(x);
    free(w);
    free(y);
    free(two);
    free(panels);
}

Test(packed_matrix, a_row_has_the_same_bits_alone_and_with_two_threads)
{
    check_rows(false);
    check_rows(true);
}
