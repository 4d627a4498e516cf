/* Axes are round, hold their values, and survive any number. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>

#include "worker/report/axis.h"

typedef struct axis_case {
    double low, high;
    size_t n_ticks_max;
    double expected_low, expected_high, step;
} axis_case;

ParameterizedTestParameters(axis, ends_and_steps_are_round)
{
    static axis_case cases[] = {
        {0, 873, 6, 0, 1000, 200},
        {0, 1, 6, 0, 1, 0.2},
        {1, 7, 6, 0, 8, 2},
        {-3, 3, 6, -4, 4, 2},
        {0.013, 0.019, 6, 0.012, 0.02, 0.002},
        {5, 5, 6, 4.5, 5.5, 0.5},
        {0, 0, 6, 0, 1, 0.2},
        {9, 1, 6, 0, 10, 2},
    };
    return cr_make_param_array(axis_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(axis_case *c, axis, ends_and_steps_are_round)
{
    axis a = axis_linear(c->low, c->high, c->n_ticks_max);
    cr_expect_float_eq(a.low, c->expected_low, 1e-9, "low %g", a.low);
    cr_expect_float_eq(a.high, c->expected_high, 1e-9, "high %g", a.high);
    cr_expect_float_eq(a.step, c->step, 1e-9, "step %g", a.step);
    cr_expect_leq(axis_n_ticks(&a), c->n_ticks_max);
}

/* Every pair of these, linear and logarithmic. */
Test(axis, any_two_numbers_make_an_axis_that_holds_what_is_between)
{
    static const double numbers[] = {NAN, -INFINITY, -1e300, -1e15,   -1, -1e-300,
                                     0,   1e-300,    1e-9,   0.5,     1,  1 + 1e-15,
                                     1e6, 1e15,      1e300,  INFINITY};
    size_t n = sizeof numbers / sizeof *numbers;
    for (size_t i = 0; i < n * n * 2; i++) {
        double low = numbers[i % n], high = numbers[i / n % n];
        axis a = i < n * n ? axis_linear(low, high, 6) : axis_logarithmic(low, high, 6);
        cr_assert(isfinite(a.low) && isfinite(a.high) && a.low < a.high, "%g %g", low, high);
        size_t n_ticks = axis_n_ticks(&a);
        cr_assert(n_ticks >= 1 && n_ticks <= AXIS_TICKS_MAX, "%g %g: %zu", low, high, n_ticks);
        for (size_t k = 0; k < n_ticks; k++) {
            char text[AXIS_TEXT_SIZE];
            double place = axis_place(&a, axis_tick(&a, k), 100);
            cr_assert(place >= 0 && place <= 100, "%g %g tick %zu: %g", low, high, k, place);
            axis_text(&a, axis_tick(&a, k), text);
            cr_assert(text[0] != '\0');
        }
        for (size_t k = 0; k < n; k++) {
            double place = axis_place(&a, numbers[k], 100);
            cr_assert(place >= 0 && place <= 100, "%g on %g..%g: %g", numbers[k], low, high, place);
        }
    }
}

Test(axis, places_are_proportional)
{
    axis a = axis_linear(0, 10, 6), log = axis_logarithmic(0.01, 100, 6);
    cr_expect_float_eq(axis_place(&a, 2.5, 200), 50, 1e-9);
    cr_expect_float_eq(axis_place(&log, 1, 200), 100, 1e-9);
    cr_expect_float_eq(axis_place(&log, 0, 200), 0, 1e-9, "zero has no logarithm");
    cr_expect(log.logarithmic);
    cr_expect_not(axis_logarithmic(-1, 5, 6).logarithmic);
    cr_expect(axis_wants_logarithm(0.01, 5));
    cr_expect_not(axis_wants_logarithm(1, 50));
    cr_expect_not(axis_wants_logarithm(0, 50));
}

typedef struct text_case {
    double low, high, value;
    char expected[AXIS_TEXT_SIZE];
} text_case;

ParameterizedTestParameters(axis, ticks_are_short)
{
    static text_case cases[] = {
        {0, 1, 0.2, "0.2"},       {0, 0.05, 0.01, "0.01"},  {0, 6000, 2000, "2,000"},
        {0, 60000, 20000, "20k"}, {0, 15000, 5000, "5k"},   {0, 3e7, 1e7, "10M"},
        {-4, 4, -2, "-2"},        {0, 1e-7, 2e-8, "2e-08"}, {-40000, 0, -20000, "-20,000"},
        {0, 1, 0, "0"},
    };
    return cr_make_param_array(text_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(text_case *c, axis, ticks_are_short)
{
    char text[AXIS_TEXT_SIZE];
    axis a = axis_linear(c->low, c->high, 6);
    if (c->low == -40000) a.low = -9999; /* below the unit: whole numbers with commas */
    axis_text(&a, c->value, text);
    cr_expect_str_eq(text, c->expected);
}

Test(axis, numbers_for_people)
{
    char text[AXIS_TEXT_SIZE];
    number_text(1234567, text);
    cr_expect_str_eq(text, "1,234,567");
    number_text(0.012345, text);
    cr_expect_str_eq(text, "0.0123");
    number_text(NAN, text);
    cr_expect_str_eq(text, "not finite");
}
