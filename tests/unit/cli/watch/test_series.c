#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "cli/watch/series.h"
#include "cli/watch/sparkline.h"

static series s; /* large; zero at the start of each test, which is a process of its own */

static void add(double t, double loss)
{
    series_point p = {.t = t};
    for (int c = 0; c < CURVE_COUNT; c++) p.y[c] = NAN;
    p.y[CURVE_LOSS] = loss;
    series_add(&s, &p);
}

Test(series, each_part_of_the_time_is_the_mean_of_its_points)
{
    double out[9];
    add(0, 4);
    add(1, 2);
    add(9, 1);
    add(10, 0);
    cr_assert_eq(series_sample(&s, CURVE_LOSS, out, 4), 3, "parts of 4 seconds: 10 / 3 and a bit");
    cr_expect_eq(out[0], 3);
    cr_expect_eq(out[1], 3, "a part without a point repeats the one before it");
    cr_expect_eq(out[2], 0.5);
    cr_expect_eq(series_sample(&s, CURVE_LOSS, out, 9), 3, "no finer than the points stand");
}

Test(series, before_the_first_value_nothing_is_known)
{
    double out[5];
    add(0, NAN);
    add(5, 7);
    add(10, 1);
    cr_assert_eq(series_sample(&s, CURVE_LOSS, out, 3), 2);
    cr_expect(isnan(out[0]) || out[0] == 7);
    cr_expect_eq(series_sample(&s, CURVE_LABELS, out, 3), 2);
    cr_expect(isnan(out[0]) && isnan(out[1]));
}

Test(series, an_empty_one_and_a_single_point_can_be_sampled)
{
    double out[3];
    cr_expect_eq(series_sample(&s, CURVE_LOSS, out, 3), 0);
    add(5, 2);
    cr_expect_eq(series_sample(&s, CURVE_LOSS, out, 3), 1);
    cr_expect_eq(out[0], 2);
}

Test(series, parts_stay_where_they_are_while_points_come_in)
{
    double before[40], after[40];
    for (int i = 0; i <= 100; i++) add(i, i % 7);
    size_t n = series_sample(&s, CURVE_LOSS, before, 40);
    add(101, 3);
    cr_assert_eq(series_sample(&s, CURVE_LOSS, after, 40), n);
    for (size_t i = 0; i + 1 < n; i++) cr_expect_eq(before[i], after[i]);
}

Test(series, a_point_that_is_not_later_is_passed_over)
{
    add(1, 1);
    add(1, 2);
    add(0.5, 3);
    add(NAN, 4);
    cr_expect_eq(s.n, 1);
    cr_expect_eq(s.points[0].y[CURVE_LOSS], 1);
}

Test(series, a_long_run_stays_bounded_and_keeps_its_shape)
{
    double out[4];
    for (int i = 0; i < 10 * SERIES_MAX; i++) add(i, i);
    cr_expect_leq(s.n, SERIES_MAX);
    cr_expect_eq(s.points[0].t, 0);
    cr_expect_eq(s.points[s.n - 1].t, 10 * SERIES_MAX - 1);
    cr_assert_eq(series_sample(&s, CURVE_LOSS, out, 4), 3, "parts of 8192 seconds");
    for (int i = 0; i < 2; i++)
        cr_expect_float_eq(out[i], (i + 0.5) * 8192, 400, "part %d: %g", i, out[i]);
}

Test(series, a_slope_looks_back_so_far_and_no_further)
{
    cr_expect(isnan(series_slope(&s, CURVE_LOSS, 10)));
    add(0, 0);
    add(90, 90);
    add(95, 190);
    add(100, 290);
    cr_expect_float_eq(series_slope(&s, CURVE_LOSS, 10), 20, 1e-9);
    cr_expect_float_eq(series_slope(&s, CURVE_LOSS, 1), 20, 1e-9, "at least two points");
}

static void expect_row(const double *values, size_t n, unsigned i_row, unsigned n_rows,
                       const char *text)
{
    rt_buf out = {0};
    sparkline_scale scale = sparkline_scale_of(values, n, true);
    cr_assert_eq(sparkline_row(values, n, scale, i_row, n_rows, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, text);
    rt_buf_free(&out);
}

Test(sparkline, eight_steps_from_the_lowest_to_the_highest)
{
    static const double values[] = {0, 1, 2, 3, 4, 5, 6, 7, NAN};
    expect_row(values, 9, 0, 1, "▁▂▃▄▅▆▇█ ");
}

Test(sparkline, two_rows_stand_on_each_other)
{
    static const double values[] = {0, 7, 8, 15};
    expect_row(values, 4, 0, 2, "  ▁█");
    expect_row(values, 4, 1, 2, "▁███");
}

Test(sparkline, nothing_but_zero_lies_low_and_equal_losses_stand_in_the_middle)
{
    static const double zero[] = {0, 0}, same[] = {3, 3};
    rt_buf out = {0};
    expect_row(zero, 2, 0, 1, "▁▁");
    cr_assert_eq(sparkline_row(same, 2, sparkline_scale_of(same, 2, false), 0, 1, &out, NULL),
                 RT_OK);
    cr_expect_str_eq(out.data, "▅▅");
    rt_buf_free(&out);
}

Test(sparkline, numbers_that_are_none_have_no_scale)
{
    static const double values[] = {NAN, INFINITY};
    sparkline_scale scale = sparkline_scale_of(values, 2, false);
    cr_expect_eq(scale.low, 0);
    cr_expect_eq(scale.high, 0);
}
