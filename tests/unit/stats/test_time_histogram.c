/* Durations by powers of two. */
#include "common/stats/time_histogram.h"

#include <criterion/criterion.h>
#include <math.h>

Test(time_histogram, a_duration_is_counted_at_its_bound_and_below)
{
    time_histogram h = {0};
    time_histogram_add(&h, 0);
    time_histogram_add(&h, 0.0001); /* the bound itself is below */
    time_histogram_add(&h, 0.00011);
    time_histogram_add(&h, 1);
    time_histogram_add(&h, 1e6);
    cr_expect_eq(h.buckets[0], 2);
    cr_expect_eq(h.buckets[1], 1);
    cr_expect_eq(h.buckets[14], 1, "0.8192 < 1 <= 1.6384");
    cr_expect_eq(h.buckets[TIME_BUCKETS - 1], 1);
    cr_expect_eq(time_histogram_n(&h), 5);
    cr_expect_float_eq(h.sum, 1000001.00021, 1e-6);
    cr_expect_float_eq(time_histogram_bound(14), 1.6384, 1e-12);
    cr_expect(isinf(time_histogram_bound(TIME_BUCKETS - 1)));
}

Test(time_histogram, what_is_no_duration_is_left_out)
{
    time_histogram h = {0};
    time_histogram_add(&h, -1e-9);
    time_histogram_add(&h, NAN);
    time_histogram_add(&h, INFINITY);
    cr_expect_eq(time_histogram_n(&h), 0);
    cr_expect_eq(h.sum, 0);
}

Test(time_histogram, two_come_together_bucket_by_bucket)
{
    time_histogram a = {0}, b = {0};
    time_histogram_add(&a, 0.3);
    time_histogram_add(&b, 0.3);
    time_histogram_add(&b, 500);
    time_histogram_merge(&a, &b);
    cr_expect_eq(time_histogram_n(&a), 3);
    cr_expect_eq(a.buckets[12], 2, "0.2048 < 0.3 <= 0.4096");
    cr_expect_float_eq(a.sum, 500.6, 1e-9);
}
