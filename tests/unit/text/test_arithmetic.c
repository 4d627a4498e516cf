#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/text/arithmetic.h"

typedef struct value_case {
    const char *text;
    double value;
} value_case;

Test(arithmetic, evaluates_what_language_models_write)
{
    static const value_case cases[] = {
        {"(84 / 2)", 42},
        {"1 + 2 * 3", 7},
        {"(1 + 2) * 3", 9},
        {"10 - 4 - 3", 3},
        {"16 / 4 / 2", 2},
        {"(45 - (-1))", 46},
        {"--3", 3},
        {"-(2 + 3)", -5},
        {"2 * -3", -6},
        {"+4", 4},
        {"3 x 4", 12},
        {"3 \xC3\x97 4", 12},
        {"9 \xC3\xB7 3", 3},
        {"9 \xE2\x88\x92 3", 6},
        {"$1,200.50 + $0.50", 1201},
        {"\xC2\xA3"
         "5 * 2",
         10},
        {"1,234,567", 1234567},
        {".5 * 4", 2},
        {"5. + 1", 6},
        {"  7  ", 7},
        {"\xEF\xBC\x91\xEF\xBC\x92 + 3", 15},
        {"0.1 + 0.2", 0.3},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        double v = 0;
        rt_error err = {0};
        cr_expect_eq(arithmetic_evaluate(cases[i].text, strlen(cases[i].text), &v, &err), RT_OK,
                     "%s: %s", cases[i].text, err.text);
        cr_expect(arithmetic_equal(v, cases[i].value), "%s gave %g", cases[i].text, v);
    }
}

typedef struct refusal_case {
    const char *text;
    const char *column;
    const char *why;
} refusal_case;

Test(arithmetic, refuses_everything_else_with_the_column_and_leaves_the_output_alone)
{
    static const refusal_case cases[] = {
        {"", "column 1:", "ends where a number is due"},
        {"(23 + x)", "column 7:", "expected a number"},
        {"(12 - 2", "column 8:", "')' is missing"},
        {"12 - 2)", "column 7:", "expected an operator or the end"},
        {"3 +", "column 4:", "ends where"},
        {"4 / 0", "column 3:", "division by zero"},
        {"4 / (2 - 2)", "column 3:", "division by zero"},
        {"2 3", "column 3:", "expected an operator"},
        {"\xC3\x97 3", "column 1:", "expected a number"},
        {"3 \xC3\x97 y", "column 5:", "expected a number"},
        {"1,23", "column 2:", "expected an operator"},
        {"1,2345", "column 2:", "expected an operator"},
        {"1.2.3", "column 4:", "expected an operator"},
        {".", "column 1:", "expected a number"},
        {"system(\"true\")", "column 1:", "expected a number"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        double v = 123.0;
        rt_error err = {0};
        cr_expect_eq(arithmetic_evaluate(cases[i].text, strlen(cases[i].text), &v, &err),
                     RT_INVALID, "%s", cases[i].text);
        cr_expect_not_null(strstr(err.text, cases[i].column), "%s: %s", cases[i].text, err.text);
        cr_expect_not_null(strstr(err.text, cases[i].why), "%s: %s", cases[i].text, err.text);
        cr_expect_eq(v, 123.0);
    }
}

Test(arithmetic, refuses_a_value_that_is_not_finite)
{
    char text[1024];
    double v;
    memset(text, '9', 350);
    cr_expect_eq(arithmetic_evaluate(text, 350, &v, NULL), RT_INVALID);
    memset(text, '9', sizeof text);
    cr_expect_eq(arithmetic_evaluate(text, sizeof text, &v, NULL), RT_INVALID, "too many digits");
}

static size_t nest(char *text, size_t depth)
{
    memset(text, '(', depth);
    text[depth] = '1';
    memset(text + depth + 1, ')', depth);
    return 2 * depth + 1;
}

Test(arithmetic, bounds_the_depth_of_parentheses)
{
    char text[4096];
    double v = 0;
    rt_error err = {0};
    cr_expect_eq(arithmetic_evaluate(text, nest(text, ARITHMETIC_DEPTH_MAX), &v, NULL), RT_OK);
    cr_expect_eq(v, 1.0);
    cr_expect_eq(arithmetic_evaluate(text, nest(text, ARITHMETIC_DEPTH_MAX + 1), &v, &err),
                 RT_INVALID);
    cr_expect_not_null(strstr(err.text, "too many nested"), "%s", err.text);
    /* Side by side is not nested. */
    rt_buf wide = {0};
    cr_assert_eq(rt_buf_add_text(&wide, "(1)", NULL), RT_OK);
    for (int i = 0; i < 500; i++) cr_assert_eq(rt_buf_add_text(&wide, "+(1)", NULL), RT_OK);
    cr_expect_eq(arithmetic_evaluate(wide.data, wide.n, &v, NULL), RT_OK);
    cr_expect_eq(v, 501.0);
    rt_buf_free(&wide);
    memset(text, '-', sizeof text - 1); /* a run of signs costs no stack */
    text[sizeof text - 1] = '5';
    cr_expect_eq(arithmetic_evaluate(text, sizeof text, &v, NULL), RT_OK);
    cr_expect_eq(fabs(v), 5.0);
}

/* An independent evaluator: builds a random tree, prints it and computes its value on the way, so
 * the parser has no part in the expected value. */
typedef struct maker {
    rng_key key;
    uint64_t i;
    rt_buf text;
} maker;

static uint64_t draw(maker *m, uint64_t n)
{
    return rng_below(m->key, m->i++, n);
}

static void put(maker *m, const char *text)
{
    cr_assert_eq(rt_buf_add_text(&m->text, text, NULL), RT_OK);
    if (draw(m, 3) == 0) cr_assert_eq(rt_buf_add_text(&m->text, " ", NULL), RT_OK);
}

static double make_number(maker *m)
{
    char text[32];
    uint64_t whole = draw(m, 10000), hundredths = draw(m, 100);
    switch (draw(m, 3)) {
    case 0: snprintf(text, sizeof text, "%d", (int)whole); break;
    case 1: snprintf(text, sizeof text, "%d.%02d", (int)whole, (int)hundredths); break;
    default:
        snprintf(text, sizeof text, "%d,%03d", (int)(whole % 999 + 1), (int)(whole % 1000));
        put(m, text);
        return (double)((whole % 999 + 1) * 1000 + whole % 1000);
    }
    put(m, text);
    return strchr(text, '.') != NULL ? (double)whole + (double)hundredths / 100.0 : (double)whole;
}

/* Every operand that is not a number goes into parentheses, so no rule of precedence is needed to
 * know the value; precedence_agrees_with_c() covers those. */
static double make_expression(maker *m, int depth)
{
    static const char *const operators[] = {"+", "-", "*", "/", "x", "\xC3\x97"};
    if (depth == 0 || draw(m, 4) == 0) {
        bool is_negative = draw(m, 5) == 0;
        if (is_negative) put(m, "-");
        double v = make_number(m);
        return is_negative ? -v : v;
    }
    uint64_t op = draw(m, RT_COUNT(operators));
    put(m, "(");
    double a = make_expression(m, depth - 1);
    put(m, ")");
    put(m, operators[op]);
    put(m, "(");
    double b = make_expression(m, depth - 1);
    put(m, ")");
    switch (op) {
    case 0: return a + b;
    case 1: return a - b;
    case 3: return b == 0.0 ? NAN : a / b;
    default: return a * b;
    }
}

Test(arithmetic, agrees_with_an_independent_evaluator_on_1000_expressions)
{
    size_t n_checked = 0;
    for (uint64_t seed = 0; n_checked < 1000; seed++) {
        maker m = {.key = rng_key_make(seed, "expression", (rt_id){0}, 0)};
        double expected = make_expression(&m, 5), found = 0;
        rt_error err = {0};
        rt_status st = arithmetic_evaluate(m.text.data, m.text.n, &found, &err);
        if (isfinite(expected)) {
            n_checked++;
            cr_assert_eq(st, RT_OK, "%s: %s", m.text.data, err.text);
            cr_assert(arithmetic_equal(found, expected), "%s gave %.17g, not %.17g", m.text.data,
                      found, expected);
        } else {
            cr_assert_eq(st, RT_INVALID, "%s", m.text.data);
        }
        rt_buf_free(&m.text);
    }
}

Test(arithmetic, precedence_agrees_with_c)
{
    static const value_case cases[] = {
        {"1+2*3-4/2", 1 + 2 * 3 - 4 / 2.0},
        {"2*3+4*5", 2 * 3 + 4 * 5},
        {"100/10*2", 100 / 10 * 2},
        {"100-10+2", 100 - 10 + 2},
        {"-2*3+1", -2 * 3 + 1},
        {"2-3*4-5*6/3", 2 - 3 * 4 - 5 * 6 / 3.0},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        double v = 0;
        cr_expect_eq(arithmetic_evaluate(cases[i].text, strlen(cases[i].text), &v, NULL), RT_OK);
        cr_expect_float_eq(v, cases[i].value, 1e-12, "%s gave %g", cases[i].text, v);
    }
}

Test(arithmetic, equal_is_relative_for_large_and_absolute_for_small_values)
{
    cr_expect(arithmetic_equal(1e9, 1e9 + 100));
    cr_expect_not(arithmetic_equal(1e9, 1e9 + 10000));
    cr_expect(arithmetic_equal(0.0, 1e-7));
    cr_expect_not(arithmetic_equal(0.0, 1e-5));
    cr_expect_not(arithmetic_equal(NAN, NAN));
}
