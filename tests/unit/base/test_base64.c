#include <criterion/criterion.h>
#include <string.h>

#include "common/base/base64.h"

/* RFC 4648, section 10. */
Test(base64, writes_and_reads_the_examples_of_its_standard)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rt_buf text = {0}, bytes = {0};
        cr_assert_eq(rt_base64_encode(cases[i][0], strlen(cases[i][0]), &text, NULL), RT_OK);
        cr_expect_eq(text.n, strlen(cases[i][1]));
        cr_expect_eq(memcmp(text.data, cases[i][1], text.n + 1), 0, "%s", cases[i][1]);
        cr_assert_eq(rt_base64_decode(text.data, text.n, &bytes, NULL), RT_OK);
        cr_expect_eq(bytes.n, strlen(cases[i][0]));
        cr_expect_eq(memcmp(bytes.data, cases[i][0], bytes.n + 1), 0, "%s", cases[i][0]);
        rt_buf_free(&text);
        rt_buf_free(&bytes);
    }
}

Test(base64, all_bytes_come_back_behind_what_was_there)
{
    char all[256];
    rt_buf text = {0}, bytes = {0};
    for (size_t i = 0; i < sizeof all; i++) all[i] = (char)i;
    cr_assert_eq(rt_base64_encode(all, sizeof all, &text, NULL), RT_OK);
    cr_assert_eq(rt_buf_add_text(&bytes, "before", NULL), RT_OK);
    cr_assert_eq(rt_base64_decode(text.data, text.n, &bytes, NULL), RT_OK);
    cr_expect_eq(bytes.n, 6 + sizeof all);
    cr_expect_eq(memcmp(bytes.data + 6, all, sizeof all), 0);
    rt_buf_free(&text);
    rt_buf_free(&bytes);
}

Test(base64, refuses_what_it_does_not_write)
{
    static const char *const cases[] = {"Z",    "Zg",         "Zg=",  "Zg===", "Zh==", "Zm9v\n",
                                        "Zm 9", "Zm9vYg==Zg", "Zm9-", "====",  "Zm9vY"};
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rt_buf bytes = {0};
        cr_assert_eq(rt_buf_add_text(&bytes, "kept", NULL), RT_OK);
        cr_expect_eq(rt_base64_decode(cases[i], strlen(cases[i]), &bytes, NULL), RT_CORRUPT, "%s",
                     cases[i]);
        cr_expect_str_eq(bytes.data, "kept");
        rt_buf_free(&bytes);
    }
}
