#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/gemm.h"
#include "common/nn/model.h"
#include "common/nn/packed_matrix.h"

static float *numbers(size_t n, uint64_t seed)
{
    rng_key key = rng_key_make(seed, "packed", (rt_id){0}, 0);
    float *x = rt_calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = rng_normal(key, i);
    return x;
}

static float *packed(const float *w, size_t d_out, size_t d_in)
{
    float *panels = rt_calloc(packed_matrix_floats(d_out, d_in), sizeof *panels);
    packed_matrix_fill(w, d_out, d_in, panels);
    return panels;
}

typedef struct times_case {
    size_t n_rows, d_out, d_in;
} times_case;

ParameterizedTestParameters(packed_matrix, agrees_with_the_plain_loops)
{
    static times_case cases[] = {
        {1, 1, 1},   {1, 33, 7},    {2, 31, 5},    {3, 64, 16},   {4, 40, 20},
        {12, 32, 8}, {13, 100, 60}, {37, 257, 33}, {64, 96, 128},
    };
    return cr_make_param_array(times_case, cases, RT_COUNT(cases));
}
ParameterizedTest(times_case *c, packed_matrix, agrees_with_the_plain_loops)
{
    float *x = numbers(c->n_rows * c->d_in, 1), *w = numbers(c->d_out * c->d_in, 2);
    float *y = rt_calloc(c->n_rows * c->d_out + 1, sizeof *y),
          *panels = packed(w, c->d_out, c->d_in);
    float *z = rt_calloc(c->n_rows * c->d_out, sizeof *z);
    y[c->n_rows * c->d_out] = 77;
    packed_matrix_times(c->n_rows, x, c->d_in, panels, c->d_out, y);
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

Test(packed_matrix, a_row_has_the_same_bits_alone_and_with_two_threads)
{
    enum { ROWS = 29, OUT = 270, IN = 300 };
    float *x = numbers(ROWS * IN, 1), *w = numbers(OUT * IN, 2), *panels = packed(w, OUT, IN);
    float *y = rt_calloc(ROWS * OUT, sizeof *y), *two = rt_calloc(ROWS * OUT, sizeof *two);
    float row[OUT];
    nn_set_threads(1);
    packed_matrix_times(ROWS, x, IN, panels, OUT, y);
    for (size_t i = 0; i < ROWS; i++) {
        packed_matrix_times(1, x + i * IN, IN, panels, OUT, row);
        cr_expect_eq(memcmp(row, y + i * OUT, sizeof row), 0, "row %zu", i);
    }
    nn_set_threads(2);
    packed_matrix_times(ROWS, x, IN, panels, OUT, two);
    cr_expect_eq(memcmp(two, y, ROWS * OUT * sizeof *y), 0);
    free(x);
    free(w);
    free(y);
    free(two);
    free(panels);
}
