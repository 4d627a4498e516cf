#include <criterion/criterion.h>
#include <string.h>

#include "common/text/utf8.h"

typedef struct utf8_case {
    char text[16];
    size_t n;
    size_t n_valid;
} utf8_case;

/* Table 3-7 of the Unicode standard, its borders and one step beyond them. */
static const utf8_case cases[] = {
    {"abc", 3, 3},
    {"a\0b", 3, 3},
    {"\xC3\xA9", 2, 2},
    {"\xE3\x81\x82z", 4, 4},
    {"\xF0\x9F\x98\x80", 4, 4},
    {"\xF4\x8F\xBF\xBF", 4, 4}, /* U+10FFFF */
    {"\xF4\x90\x80\x80", 4, 0}, /* above it */
    {"\xED\x9F\xBF", 3, 3},     /* last before the surrogates */
    {"\xED\xA0\x80", 3, 0},     /* a surrogate */
    {"\xC0\x80", 2, 0},         /* overlong */
    {"\xC1\xBF", 2, 0},         /* overlong */
    {"\xE0\x9F\xBF", 3, 0},     /* overlong */
    {"\xF0\x8F\xBF\xBF", 4, 0}, /* overlong */
    {"ab\xE3\x81", 4, 2},       /* cut in mid-character */
    {"ab\x80", 3, 2},           /* continuation without a start */
    {"a\xC3(", 3, 1},           /* start without continuation */
    {"\xFF", 1, 0},
    {"", 0, 0},
};

Test(utf8, finds_the_longest_valid_prefix)
{
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        const utf8_case *c = &cases[i];
        cr_expect_eq(utf8_valid_prefix(c->text, c->n), c->n_valid, "case %zu", i);
        cr_expect_eq(utf8_is_valid(c->text, c->n), c->n_valid == c->n, "case %zu", i);
    }
}

Test(utf8, repair_replaces_each_invalid_byte_and_keeps_the_rest)
{
    rt_buf out = {0};
    cr_assert_eq(utf8_repair("a\xFF"
                             "b\xE3\x81",
                             5, &out, NULL),
                 RT_OK);
    cr_expect_str_eq(out.data, "a\xEF\xBF\xBD"
                               "b\xEF\xBF\xBD\xEF\xBF\xBD");
    cr_expect(utf8_is_valid(out.data, out.n));
    rt_buf_free(&out);
}

Test(utf8, repair_gives_valid_text_for_any_bytes_and_leaves_valid_text_alone)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        char bytes[24];
        uint32_t state = seed * 2654435761u + 1;
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525u + 1013904223u;
            bytes[i] = (char)(state >> 24);
        }
        rt_buf once = {0}, twice = {0};
        cr_assert_eq(utf8_repair(bytes, sizeof bytes, &once, NULL), RT_OK);
        cr_assert(utf8_is_valid(once.data, once.n), "seed %u", seed);
        cr_assert_eq(utf8_repair(once.data, once.n, &twice, NULL), RT_OK);
        cr_assert_eq(once.n, twice.n);
        cr_assert_arr_eq(once.data, twice.data, once.n);
        rt_buf_free(&once);
        rt_buf_free(&twice);
    }
}

Test(utf8, repair_of_nothing_is_an_empty_string)
{
    rt_buf out = {0};
    cr_assert_eq(utf8_repair("", 0, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "");
    rt_buf_free(&out);
}

Test(utf8, counts_columns_of_a_terminal)
{
    cr_expect_eq(utf8_columns("abc", 3), 3);
    cr_expect_eq(utf8_columns("\xE7\x8C\xAB\xE3\x81\xA7", 6), 4, "two wide characters");
    cr_expect_eq(utf8_columns("e\xCC\x81", 3), 1, "combining accent");
    cr_expect_eq(utf8_columns("\xF0\x9F\x98\x80", 4), 2, "emoji");
    cr_expect_eq(utf8_columns("a\xFFz", 3), 3, "an invalid byte shows as one");
    cr_expect_eq(utf8_columns("", 0), 0);
}

Test(utf8, reads_one_code_point_after_the_other)
{
    static const char text[] = "a\xC3\xA4\xE7\x8C\xAB\xF0\x9F\x98\x80\xFF\xE7z";
    static const uint32_t expected[] = {'a', 0xE4, 0x732B, 0x1F600, 0xFFFD, 0xFFFD, 'z'};
    size_t i = 0, n = 0;
    while (i < sizeof text - 1) {
        cr_assert_lt(n, RT_COUNT(expected));
        cr_expect_eq(utf8_next(text, sizeof text - 1, &i), expected[n], "code point %zu", n);
        n++;
    }
    cr_expect_eq(n, RT_COUNT(expected));
}
