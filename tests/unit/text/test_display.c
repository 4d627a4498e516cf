#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "common/text/display.h"
#include "common/text/token_estimate.h"
#include "common/text/utf8.h"

typedef struct line_case {
    char text[64];
    size_t columns;
    char expected[64];
} line_case;

ParameterizedTestParameters(display_line, shows_one_harmless_line)
{
    static line_case cases[] = {
        {"", 10, ""},
        {"  \n ", 10, ""},
        {"plain", 5, "plain"},
        {"plain", 4, "pla…"},
        {" two\n\n\twords \r\n", 20, "two words"},
        {"two words", 4, "two…"},
        {"two words", 5, "two …"},
        {"a\033[31mred", 20, "a\uFFFD[31mred"}, /* no colours */
        {"a\xC2\x9B"
         "31m",
         20, "a\uFFFD31m"},                       /* nor by the 8-bit form */
        {"a\u202Etxt.exe", 20, "a\uFFFDtxt.exe"}, /* no turned text */
        {"bad\xFF\xE3\x81", 20, "bad\uFFFD\uFFFD\uFFFD"},
        {"太郎は学校へ", 12, "太郎は学校へ"},
        {"太郎は学校へ", 11, "太郎は学校…"},
        {"太郎は学校へ", 10, "太郎は学…"},
        {"太郎\u2028と\u3000花子", 20, "太郎 と\u3000花子"},
    };
    return cr_make_param_array(line_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(line_case *c, display_line, shows_one_harmless_line)
{
    rt_buf out = {0};
    cr_assert_eq(display_line(c->text, strlen(c->text), c->columns, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, c->expected, "found '%s', expected '%s'", out.data, c->expected);
    cr_expect_leq(utf8_columns(out.data, out.n), c->columns);
    rt_buf_free(&out);
}

Test(display_block, indents_every_line_and_keeps_tabs)
{
    static const char text[] = "one\n\ntwo\tx\033[2J\nthree";
    rt_buf out = {0};
    cr_assert_eq(display_block(text, strlen(text), "| ", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "| one\n| \n| two\tx\uFFFD[2J\n| three\n");
    rt_buf_clear(&out);
    cr_assert_eq(display_block("a\n", 2, "", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "a\n");
    rt_buf_free(&out);
}

typedef struct estimate_case {
    char text[64];
    uint64_t expected;
} estimate_case;

ParameterizedTestParameters(token_estimate, goes_by_the_script)
{
    static estimate_case cases[] = {
        {"", 0},       {"a", 1},      {"four", 1},   {"fours", 2}, {"Ünïcödé!", 2},
        {"太郎は", 3}, {"한국어", 3}, {"Привет", 3}, {"ab太", 2},  {"\xFF\xFF", 1},
    };
    return cr_make_param_array(estimate_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(estimate_case *c, token_estimate, goes_by_the_script)
{
    cr_expect_eq(token_estimate(c->text, strlen(c->text)), c->expected, "%s", c->text);
}
