/* Text as it is written: stop strings and characters are never cut, however the bytes arrive. */
#include <criterion/criterion.h>
#include <string.h>

#include "common/http_server/sse.h"
#include "worker/serve/text_stream.h"

/* Feed `bytes` in parts of `size`, taking after each; every piece and the whole are checked. */
static void feed(const char *bytes, size_t n, size_t size, const char *const *stops, size_t n_stops,
                 const char *expected, bool stops_expected)
{
    text_stream s = {.stops = stops, .n_stops = n_stops};
    rt_buf all = {0};
    cr_assert_eq(rt_buf_add(&all, "", 0, NULL), RT_OK);
    for (size_t i = 0; i < n; i += size) {
        size_t before = all.n;
        cr_assert_eq(text_stream_add(&s, bytes + i, RT_MIN(size, n - i), NULL), RT_OK);
        cr_assert_eq(text_stream_take(&s, false, &all, NULL), RT_OK);
        cr_expect_eq(strncmp(expected, all.data, all.n), 0, "'%s' is not the start of '%s'",
                     all.data, expected);
        cr_expect_eq(utf8_unfinished(all.data + before, all.n - before), 0);
    }
    cr_assert_eq(text_stream_take(&s, true, &all, NULL), RT_OK);
    cr_expect_str_eq(all.data, expected, "in parts of %zu: '%s'", size, all.data);
    cr_expect_eq(s.stopped, stops_expected);
    rt_buf_free(&all);
    text_stream_free(&s);
}

static void feed_all_ways(const char *bytes, size_t n, const char *const *stops, size_t n_stops,
                          const char *expected, bool stops_expected)
{
    for (size_t size = 1; size <= n; size++)
        feed(bytes, n, size, stops, n_stops, expected, stops_expected);
}

Test(text_stream, ends_before_the_first_stop_string)
{
    static const char *const stops[] = {"\n\nQ:", "END", "\xE2\x82\xAC"};
    static const char *const texts[][2] = {
        {"The answer is 42\n\nQ: next", "The answer is 42"},
        {"\n\n\nQ:", "\n"},
        {"ENEND", "EN"},
        {"END", ""},
        {"5 \xE2\x82\xAC and END", "5 "},
    };
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        feed_all_ways(texts[i][0], strlen(texts[i][0]), stops, RT_COUNT(stops), texts[i][1], true);
}

Test(text_stream, what_only_looked_like_a_stop_string_comes_in_the_end)
{
    static const char *const stops[] = {"\n\nQ:", "END"};
    static const char *const texts[] = {"a\n\nQ", "EN", "\n\n", "EEEN\n", "plain"};
    for (size_t i = 0; i < RT_COUNT(texts); i++)
        feed_all_ways(texts[i], strlen(texts[i]), stops, RT_COUNT(stops), texts[i], false);
}

Test(text_stream, characters_come_whole)
{
    const char *text = "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80!";
    feed_all_ways(text, strlen(text), NULL, 0, text, false);
}

Test(text_stream, invalid_bytes_are_replaced_as_in_the_whole_text)
{
    feed_all_ways("a\xFF\xE2\x82 b\x80\xF0\x9F\x98", 10, NULL, 0,
                  "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                  "\xEF\xBF\xBD",
                  false);
    feed_all_ways("x\0y", 3, NULL, 0, "x y", false);
}

Test(text_stream, holds_back_no_more_than_it_must)
{
    static const char *const stops[] = {"abcd"};
    text_stream s = {.stops = stops, .n_stops = 1};
    rt_buf out = {0};
    cr_assert_eq(text_stream_add(&s, "zzabc", 5, NULL), RT_OK);
    cr_assert_eq(text_stream_take(&s, false, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "zz");
    cr_assert_eq(text_stream_add(&s, "x", 1, NULL), RT_OK);
    cr_assert_eq(text_stream_take(&s, false, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "zzabcx");
    cr_assert_eq(text_stream_add(&s, "abcdef", 6, NULL), RT_OK);
    cr_expect(s.stopped);
    cr_assert_eq(text_stream_add(&s, "more", 4, NULL), RT_OK);
    cr_assert_eq(text_stream_take(&s, true, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "zzabcx");
    rt_buf_free(&out);
    text_stream_free(&s);
}

Test(sse, is_one_event_whatever_the_text)
{
    rt_buf out = {0};
    cr_assert_eq(sse_add(&out, "{}", NULL), RT_OK);
    cr_assert_eq(sse_add(&out, "a\nb", NULL), RT_OK);
    cr_assert_eq(sse_add_done(&out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "data: {}\n\ndata: a\ndata: b\n\ndata: [DONE]\n\n");
    rt_buf_free(&out);
}
