#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "common/stats/wilson.h"

typedef struct wilson_case {
    uint64_t n_right, n;
    double low, high;
} wilson_case;

/* Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3. */
ParameterizedTestParameters(wilson, gives_the_published_intervals)
{
    static wilson_case cases[] = {
        {81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0.0, 0.1611},
        {1, 29, 0.0061, 0.1718},   {29, 29, 0.8830, 1.0},
    };
    return cr_make_param_array(wilson_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(wilson_case *c, wilson, gives_the_published_intervals)
{
    double low = -1, high = -1;
    wilson_interval(c->n_right, c->n, &low, &high);
    cr_expect_float_eq(low, c->low, 5e-5, "%f", low);
    cr_expect_float_eq(high, c->high, 5e-5, "%f", high);
}

Test(wilson, knows_nothing_without_rows)
{
    double low = -1, high = -1;
    wilson_interval(0, 0, &low, &high);
    cr_expect_eq(low, 0);
    cr_expect_eq(high, 1);
}

Test(wilson, stays_within_zero_and_one_and_holds_the_share)
{
    for (uint64_t n = 1; n < 200; n += 7) {
        for (uint64_t k = 0; k <= n; k++) {
            double low, high, share = (double)k / (double)n;
            wilson_interval(k, n, &low, &high);
            cr_assert(low >= 0 && high <= 1 && low <= share + 1e-12 && high >= share - 1e-12,
                      "%zu of %zu: %f to %f", (size_t)k, (size_t)n, low, high);
        }
    }
}
