#include <criterion/criterion.h>
#include <string.h>

#include "common/text/template.h"

static const template_pair pairs[] = {
    {"question", "Why?"}, {"a.b", "deep"}, {"none", NULL}, {"empty", ""}};

static void expect_render(const char *text, const char *expected)
{
    template *t = NULL;
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(template_parse(text, &t, &err), RT_OK, "%s: %s", text, err.text);
    cr_assert_eq(template_render_pairs(t, pairs, RT_COUNT(pairs), &out, &err), RT_OK, "%s",
                 err.text);
    cr_expect_str_eq(out.data, expected);
    rt_buf_free(&out);
    template_free(t);
}

Test(template, replaces_fields_and_keeps_everything_else)
{
    expect_render("Q: {question}\nA:", "Q: Why?\nA:");
    expect_render("{question}{question}", "Why?Why?");
    expect_render("{a.b}", "deep");
    expect_render("", "");
    expect_render("[{empty}]", "[]");
    expect_render("{{\"q\": \"{question}\"}}", "{\"q\": \"Why?\"}");
    expect_render("{{{question}}}", "{Why?}");
    expect_render("\xE7\x8C\xAB {question}", "\xE7\x8C\xAB Why?");
}

typedef struct bad_case {
    const char *text;
    const char *expected;
} bad_case;

Test(template, names_line_and_column_of_an_unbalanced_brace)
{
    static const bad_case cases[] = {
        {"abc {question", "line 1, column 5: '{' is not closed"},
        {"abc } d", "line 1, column 5: '}' without '{'"},
        {"\xE7\x8C\xAB}", "line 1, column 2: '}'"},
        {"a\nb {c{d}", "line 2, column 3: '{' is not closed"},
        {"x {} y", "line 1, column 3: '{}' names no field"},
        {"{", "line 1, column 1: '{'"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        template *t = NULL;
        rt_error err = {0};
        cr_expect_eq(template_parse(cases[i].text, &t, &err), RT_INVALID, "%s", cases[i].text);
        cr_expect_not_null(strstr(err.text, cases[i].expected), "%s", err.text);
        cr_expect_null(t);
    }
}

Test(template, a_missing_field_is_named_and_nothing_is_appended)
{
    static const char *const texts[] = {"so {question} {nowhere}", "so {question} {none}"};
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        template *t = NULL;
        rt_buf out = {0};
        rt_error err = {0};
        cr_assert_eq(template_parse(texts[i], &t, NULL), RT_OK);
        cr_assert_eq(rt_buf_add_text(&out, "kept", NULL), RT_OK);
        cr_expect_eq(template_render_pairs(t, pairs, RT_COUNT(pairs), &out, &err), RT_NOTFOUND);
        cr_expect_not_null(strstr(err.text, i == 0 ? "'nowhere'" : "'none'"), "%s", err.text);
        cr_expect_str_eq(out.data, "kept");
        rt_buf_free(&out);
        template_free(t);
    }
}

Test(template, lists_each_field_once_in_order)
{
    template *t = NULL;
    cr_assert_eq(template_parse("{b} {a} {b} {{c}}", &t, NULL), RT_OK);
    cr_expect_eq(template_n_fields(t), 2);
    cr_expect_str_eq(template_field(t, 0), "b");
    cr_expect_str_eq(template_field(t, 1), "a");
    cr_expect_null(template_field(t, 2));
    template_free(t);
    template_free(NULL);
}

static rt_status failing_lookup(void *context, const char *field, rt_buf *out, rt_error *err)
{
    (void)context;
    rt_status st = rt_buf_add_text(out, "half", err);
    return st == RT_OK ? rt_fail(err, RT_CORRUPT, "%s is broken", field) : st;
}

Test(template, a_failing_lookup_is_passed_on_and_undone)
{
    template *t = NULL;
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(template_parse("x{f}", &t, NULL), RT_OK);
    cr_expect_eq(template_render(t, failing_lookup, NULL, &out, &err), RT_CORRUPT);
    cr_expect_str_eq(err.text, "f is broken");
    cr_expect_eq(out.n, 0);
    rt_buf_free(&out);
    template_free(t);
}
