/* Whatever a text holds, on the page it is text. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "worker/report/html.h"

typedef struct escape_case {
    char text[40];
    size_t n;
    char expected[96];
} escape_case;

ParameterizedTestParameters(html, what_could_end_a_text_is_escaped)
{
    static escape_case cases[] = {
        {"", 0, ""},
        {"plain", 5, "plain"},
        {"<script>", 8, "&lt;script&gt;"},
        {"a & b", 5, "a &amp; b"},
        {"\"'", 2, "&quot;&#39;"},
        {"&lt;", 4, "&amp;lt;"},
        {"a\tb\nc", 5, "a\tb\nc"},
        {"a\rb", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"a\0b", 3,
         "a\xef\xbf\xbd"
         "b"},
        {"\x1b[31m", 5, "\xef\xbf\xbd[31m"},
        {"\x7f", 1, "\xef\xbf\xbd"},
        {"\xc2\x85", 2, "\xef\xbf\xbd"},             /* a control of the second set */
        {"\xef\xbf\xbf", 3, "\xef\xbf\xbd"},         /* U+FFFF */
        {"\xef\xbf\xbd", 3, "\xef\xbf\xbd"},         /* U+FFFD itself */
        {"\xff<", 2, "\xef\xbf\xbd&lt;"},            /* no UTF-8 */
        {"\xe3\x81", 2, "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut inside a character */
        {"\xc0\xbc", 2, "\xef\xbf\xbd\xef\xbf\xbd"}, /* an overlong '<' */
        {"\xe5\x92\x8c\xf0\x9f\x98\x80", 7, "\xe5\x92\x8c\xf0\x9f\x98\x80"}, /* kept as it is */
    };
    return cr_make_param_array(escape_case, cases, sizeof cases / sizeof *cases);
}

ParameterizedTest(escape_case *c, html, what_could_end_a_text_is_escaped)
{
    rt_buf out = {0};
    cr_assert_eq(html_escape(c->text, c->n, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data == NULL ? "" : out.data, c->expected);
    rt_buf_free(&out);
}

Test(html, our_own_goes_in_as_it_is_and_text_does_not)
{
    rt_buf out = {0};
    html h = {0};
    html_raw(&h, "<p>");
    html_text(&h, "<b>");
    html_text(&h, NULL);
    html_printf(&h, " %d</p>", 7);
    cr_assert_eq(html_end(&h, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "<p>&lt;b&gt; 7</p>");
    rt_buf_free(&out);
}

Test(html, the_first_failure_sticks_and_nothing_is_handed_out)
{
    rt_buf out = {0};
    html h = {0};
    rt_error err = {0};
    html_raw(&h, "<p>");
    html_printf(&h, "%*d", 5000, 1); /* longer than a piece may be */
    html_raw(&h, "</p>");
    cr_expect_eq(html_end(&h, &out, &err), RT_FULL);
    cr_expect_not_null(strstr(err.text, "piece of a page"));
    cr_expect_eq(out.n, 0);
    rt_buf_free(&out);
}
