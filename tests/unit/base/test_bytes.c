#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"

Test(bytes, a_buffer_grows_and_is_always_a_string)
{
    rt_buf b = {0};
    char expected[1001] = {0};
    for (int i = 0; i < 1000; i++) {
        char c = (char)('a' + i % 26);
        expected[i] = c;
        cr_assert_eq(rt_buf_add(&b, &c, 1, NULL), RT_OK);
        cr_assert_eq(b.data[b.n], '\0');
    }
    cr_expect_eq(b.n, 1000);
    cr_expect_str_eq(b.data, expected);
    rt_buf_clear(&b);
    cr_expect_eq(b.n, 0);
    cr_expect_str_eq(b.data, "");
    rt_buf_free(&b);
    cr_expect_null(b.data);
    rt_buf_free(NULL);
}

Test(bytes, text_and_formats_append)
{
    rt_buf b = {0};
    cr_assert_eq(rt_buf_add_text(&b, "a=", NULL), RT_OK);
    cr_assert_eq(rt_buf_printf(&b, NULL, "%d %s", 42, "x"), RT_OK);
    cr_assert_eq(rt_buf_add(&b, NULL, 0, NULL), RT_OK);
    cr_expect_str_eq(b.data, "a=42 x");
    rt_buf_free(&b);
}

Test(bytes, a_format_longer_than_the_capacity_fits)
{
    rt_buf b = {0};
    cr_assert_eq(rt_buf_printf(&b, NULL, "%05000d", 7), RT_OK);
    cr_expect_eq(b.n, 5000);
    cr_expect_eq(strlen(b.data), 5000);
    rt_buf_free(&b);
}

Test(bytes, an_impossible_size_is_refused_and_changes_nothing)
{
    rt_buf b = {0};
    rt_error err = {0};
    cr_assert_eq(rt_buf_add_text(&b, "abc", NULL), RT_OK);
    cr_expect_eq(rt_buf_reserve(&b, SIZE_MAX, &err), RT_NOMEM);
    cr_expect_eq(rt_buf_reserve(&b, SIZE_MAX - 3, &err), RT_NOMEM);
    cr_expect_eq(err.status, RT_NOMEM);
    cr_expect_str_eq(b.data, "abc");
    rt_buf_free(&b);
}

Test(bytes, checked_sizes_tell_when_they_overflow)
{
    size_t out = 1;
    cr_expect(rt_checked_mul(6, 7, &out));
    cr_expect_eq(out, 42);
    cr_expect_not(rt_checked_mul(SIZE_MAX, 2, &out));
    cr_expect(rt_checked_add(SIZE_MAX, 0, &out));
    cr_expect_not(rt_checked_add(SIZE_MAX, 1, &out));
    void *p = rt_calloc(0, 8);
    cr_expect_not_null(p);
    free(p);
    volatile size_t huge = SIZE_MAX; /* hidden from the compiler, which would warn */
    p = rt_calloc(huge, 16);
    cr_expect_null(p);
    free(p);
}

Test(bytes, strndup_ends_the_copy)
{
    char *copy = rt_strndup("abcdef", 3);
    cr_expect_str_eq(copy, "abc");
    free(copy);
}

Test(bytes, numbers_are_whole_texts)
{
    static const char *const bad_u64[] = {"",   " 1", "1 ",   "-1",
                                          "+1", "1x", "0x10", "18446744073709551616"};
    static const char *const bad_double[] = {"", " 1", "1 ", "1x", "1e999", "--1"};
    uint64_t u = 9;
    double d = 9;
    for (size_t i = 0; i < RT_COUNT(bad_u64); i++)
        cr_expect_not(rt_parse_u64(bad_u64[i], &u), "'%s'", bad_u64[i]);
    for (size_t i = 0; i < RT_COUNT(bad_double); i++)
        cr_expect_not(rt_parse_double(bad_double[i], &d), "'%s'", bad_double[i]);
    cr_expect_eq(u, 9);
    cr_expect_eq(d, 9.0);
    cr_expect(rt_parse_u64("18446744073709551615", &u));
    cr_expect_eq(u, UINT64_MAX);
    cr_expect(rt_parse_double("-2.5e-3", &d));
    cr_expect_eq(d, -2.5e-3);
}
