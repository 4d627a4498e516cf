#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf/config.h"
#include "common/conf/document.h"
#include "common/conf/expand.h"

static void expect_expanded(const char *text, const char *expected)
{
    rt_buf out = {0};
    rt_error err = {0};
    cr_expect_eq(expand_text(text, &out, &err), RT_OK, "'%s': %s", text, err.text);
    cr_expect_str_eq(out.data, expected, "'%s'", text);
    rt_buf_free(&out);
}

Test(expand, replaces_variables_once_and_leaves_other_dollars)
{
    setenv("RT_A", "x${RT_A}y", 1);
    setenv("RT_EMPTY", "", 1);
    expect_expanded("", "");
    expect_expanded("plain $5 {a} $", "plain $5 {a} $");
    expect_expanded("${RT_A}", "x${RT_A}y");
    expect_expanded("<${RT_EMPTY}${RT_EMPTY}>", "<>");
    expect_expanded("$${RT_A}", "${RT_A}");
    expect_expanded("$$${RT_A}", "$${RT_A}");
    expect_expanded("$$", "$$");
}

Test(expand, escaping_and_expanding_gives_the_text_back)
{
    const char *texts[] = {"", "$", "$$", "${", "$${", "$$${A}", "a${b}c$${d}", "{input}$"};
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        rt_buf out = {0};
        cr_assert_eq(expand_escape(texts[i], &out, NULL), RT_OK);
        expect_expanded(out.data, texts[i]);
        rt_buf_free(&out);
    }
}

Test(expand, refuses_what_is_not_a_variable)
{
    const char *texts[] = {"${", "${}", "${A", "${A B}", "${1A}", "x${-}"};
    for (size_t i = 0; i < RT_COUNT(texts); i++) {
        rt_buf out = {0};
        rt_error err = {0};
        cr_expect_eq(expand_text(texts[i], &out, &err), RT_INVALID, "%s", texts[i]);
        cr_expect_not_null(strstr(err.text, "${NAME}"), "%s", err.text);
        rt_buf_free(&out);
    }
    setenv("RT_BYTES", "\xff", 1);
    rt_buf out = {0};
    rt_error err = {0};
    cr_expect_eq(expand_text("${RT_BYTES}", &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "RT_BYTES is not UTF-8"), "%s", err.text);
    rt_buf_free(&out);
}

Test(expand, reads_a_secret_from_a_file_or_the_environment)
{
    char path[] = "/tmp/rt-secret-XXXXXX", written[64];
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "hunter2\n", 8), 8);
    close(fd);
    rt_buf out = {0};
    rt_error err = {0};
    snprintf(written, sizeof written, "file:%s", path);
    cr_expect_eq(config_secret("queue.password", written, &out, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(out.data, "hunter2");
    unlink(path);
    cr_expect_eq(config_secret("queue.password", written, &out, &err), RT_NOTFOUND);
    cr_expect_eq(strncmp(err.text, "queue.password: ", 16), 0, "%s", err.text);
    setenv("RT_SECRET", "swordfish", 1);
    cr_expect_eq(config_secret("queue.password", "${RT_SECRET}", &out, &err), RT_OK);
    cr_expect_str_eq(out.data, "swordfish");
    cr_expect_eq(config_secret("queue.password", "", &out, &err), RT_OK);
    cr_expect_eq(out.n, 0);
    setenv("RT_SECRET", "", 1);
    cr_expect_eq(config_secret("queue.password", "${RT_SECRET}", &out, &err), RT_INVALID);
    unsetenv("RT_SECRET");
    cr_expect_eq(config_secret("queue.password", "${RT_SECRET}", &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "RT_SECRET is not set"), "%s", err.text);
    cr_expect_eq(config_secret("queue.password", "hunter2", &out, &err), RT_INVALID);
    cr_expect_null(strstr(err.text, "hunter2"), "%s", err.text);
    rt_buf_free(&out);
}

Test(expand, knows_utf8)
{
    const char *good[] = {
        "", "a", "\xc2\x80", "\xe2\x82\xac", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
    const char *bad[] = {"\x80",         "\xc2",         "\xc0\x80",         "\xe0\x80\x80",
                         "\xed\xa0\x80", "\xf4\x90\x80", "\xf4\x90\x80\x80", "\xff",
                         "\xe2\x82"};
    size_t i_bad = 99;
    for (size_t i = 0; i < RT_COUNT(good); i++)
        cr_expect(text_is_utf8(good[i], strlen(good[i]), &i_bad), "good %zu", i);
    cr_expect_eq(i_bad, 99);
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        cr_expect_not(text_is_utf8(bad[i], strlen(bad[i]), &i_bad), "bad %zu", i);
}
