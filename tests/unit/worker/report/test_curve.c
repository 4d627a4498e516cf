/* A curve of any length is a few points that say the same. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "worker/report/curve.h"

Test(curve, few_values_are_kept_as_they_are)
{
    curve *c = calloc(1, sizeof *c);
    for (int i = 0; i < CURVE_POINTS_MAX; i++) curve_add(c, i, 2.0 * i);
    cr_expect_eq(c->n, CURVE_POINTS_MAX);
    cr_expect_eq(c->width, 1);
    cr_expect_eq(curve_at(c, 7).y, 14);
    cr_expect_eq(curve_at(c, 7).low, curve_at(c, 7).high);
    free(c);
}

Test(curve, many_values_keep_their_mean_and_their_extremes)
{
    curve *c = calloc(1, sizeof *c);
    size_t n = 100003;
    double sum = 0, found = 0, low = INFINITY, high = -INFINITY;
    uint64_t n_found = 0;
    for (size_t i = 0; i < n; i++) {
        double y = sin((double)i) + (i == 777 ? 50 : 0);
        sum += y;
        curve_add(c, (double)i, y);
    }
    cr_assert_leq(c->n, CURVE_POINTS_MAX);
    cr_assert_gt(c->n, CURVE_POINTS_MAX / 2 - 1);
    for (size_t i = 0; i < c->n; i++) {
        curve_point p = curve_at(c, i);
        found += p.y * (double)c->buckets[i].n;
        n_found += c->buckets[i].n;
        low = fmin(low, p.low);
        high = fmax(high, p.high);
        if (i > 0) cr_assert_gt(p.x, curve_at(c, i - 1).x);
    }
    cr_expect_eq(n_found, n);
    cr_expect_float_eq(found, sum, 1e-6);
    cr_expect_gt(high, 48, "one value that stands out stays visible");
    cr_expect_lt(low, -0.99);
    free(c);
}

Test(curve, what_is_no_number_is_counted_and_left_out)
{
    curve *c = calloc(1, sizeof *c);
    curve_add(c, 1, NAN);
    curve_add(c, 2, INFINITY);
    curve_add(c, NAN, 1);
    curve_add(c, 3, 1e200);
    curve_add(c, 4, 5);
    cr_expect_eq(c->n_skipped, 4);
    cr_expect_eq(c->n, 1);
    cr_expect_eq(curve_at(c, 0).y, 5);
    free(c);
}
