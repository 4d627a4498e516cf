/* A chart says what its numbers say, also to those who do not see it. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "worker/report/chart.h"

static char *draw(const chart *c)
{
    static rt_buf out;
    html h = {0};
    rt_buf_clear(&out);
    chart_svg(c, 3, &h);
    cr_assert_eq(html_end(&h, &out, NULL), RT_OK);
    return out.data;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += strlen(what)) n++;
    return n;
}

Test(chart, has_axes_ticks_legend_title_and_description)
{
    double x[] = {0, 50, 100}, y[] = {3, 2, 1};
    chart_line lines[] = {{.name = "predict", .x = x, .y = y, .n = 3},
                          {.name = "a <b>", .x = x, .y = y, .n = 3, .marks = true}};
    chart c = {
        .title = "Loss & more", .x_name = "step", .y_name = "nats", .lines = lines, .n_lines = 2};
    const char *svg = draw(&c);
    cr_expect_not_null(strstr(svg, "<title id=\"t3\">Loss &amp; more</title>"));
    cr_expect_not_null(strstr(svg, "predict: from 3 at 0 to 1 at 100."));
    cr_expect_not_null(strstr(svg, "role=\"img\""));
    cr_expect_not_null(strstr(svg, ">a &lt;b&gt;</text>"));
    cr_expect_null(strstr(svg, "<b>"));
    cr_expect_eq(count(svg, "class=\"line l0\""), 2, "the line and its key");
    cr_expect_eq(count(svg, "<circle"), 3);
    cr_expect_not_null(strstr(svg, "M60.0 28.0 "), "the largest value is at the top left");
}

Test(chart, a_value_that_is_none_breaks_the_line)
{
    double x[] = {0, 1, 2, 3, 4}, y[] = {1, 2, NAN, 2, 1};
    chart_line line = {.name = "a", .x = x, .y = y, .n = 5};
    chart c = {.title = "t", .x_name = "x", .y_name = "y", .lines = &line, .n_lines = 1};
    cr_expect_eq(count(draw(&c), "class=\"line l0\""), 3, "two pieces and the key");
    cr_expect_null(strstr(draw(&c), "nan"));
}

Test(chart, extreme_values_stay_inside_and_finite)
{
    double x[] = {-1e300, 0, 1e300}, y[] = {1e-300, INFINITY, 1e300};
    chart_line line = {.name = "a", .x = x, .y = y, .low = y, .high = y, .n = 3};
    chart c = {.title = "t", .x_name = "x", .y_name = "y", .lines = &line, .n_lines = 1};
    const char *svg = draw(&c);
    cr_expect_null(strstr(svg, "inf"));
    cr_expect_null(strstr(svg, "nan"));
}

Test(chart, without_values_it_says_so)
{
    double none = NAN;
    chart_line line = {.name = "a", .x = &none, .y = &none, .n = 1};
    chart c = {.title = "t", .x_name = "x", .y_name = "y", .lines = &line, .n_lines = 1};
    cr_expect_not_null(strstr(draw(&c), "No values were recorded."));
    c.n_lines = 0;
    cr_expect_null(strstr(draw(&c), "<svg"));
}
