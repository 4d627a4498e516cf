#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

Test(status, every_status_has_a_name)
{
    cr_expect_str_eq(rt_status_name(RT_OK), "ok");
    cr_expect_str_eq(rt_status_name(RT_END), "end");
    cr_expect_str_eq(rt_status_name((rt_status)99), "unknown");
}

Test(status, a_failure_is_one_line_and_may_go_without_an_error)
{
    rt_error err = {0};
    cr_expect_eq(rt_fail(&err, RT_CORRUPT, "%s:%d", "file", 7), RT_CORRUPT);
    cr_expect_eq(err.status, RT_CORRUPT);
    cr_expect_str_eq(err.text, "file:7");
    cr_expect_eq(rt_fail(NULL, RT_IO, "x"), RT_IO);
    cr_expect_eq(rt_wrap(NULL, RT_IO, "x"), RT_IO);
}

Test(status, wrapping_puts_the_context_first)
{
    rt_error err = {0};
    cr_expect_eq(rt_fail(&err, RT_IO, "no space"), RT_IO);
    cr_expect_eq(rt_wrap(&err, RT_CORRUPT, "write %s", "a"), RT_CORRUPT);
    cr_expect_str_eq(err.text, "write a: no space");
    cr_expect_eq(err.status, RT_CORRUPT);
}

Test(status, long_messages_are_cut_and_stay_strings)
{
    rt_error err = {0};
    cr_expect_eq(rt_fail(&err, RT_IO, "%02000d", 1), RT_IO);
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
    cr_expect_eq(rt_wrap(&err, RT_IO, "context"), RT_IO);
    cr_expect_eq(strncmp(err.text, "context: 0000", 13), 0);
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
    cr_expect_eq(rt_wrap(&err, RT_IO, "%02000d", 1), RT_IO);
    cr_expect_eq(strlen(err.text), sizeof err.text - 1);
}

Test(log, levels_are_read_by_name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    rt_error err = {0};
    rt_log_level level = RT_LOG_WARN;
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        cr_expect_eq(rt_log_level_parse(names[i], &level, NULL), RT_OK);
        cr_expect_eq((size_t)level, i);
    }
    level = RT_LOG_WARN;
    static const char *const bad[] = {"", "INFO", "inf", "information", "1"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        cr_expect_eq(rt_log_level_parse(bad[i], &level, &err), RT_INVALID);
        cr_expect_not_null(strstr(err.text, "expected debug, info, warn or error"), "%s", err.text);
        cr_expect_eq(level, RT_LOG_WARN, "untouched");
    }
}

/* What a log call writes to stderr; the caller owns text[0..n). */
static size_t captured(char *text, size_t n, void (*body)(void))
{
    int ends[2], kept = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
    body();
    cr_assert_geq(dup2(kept, STDERR_FILENO), 0);
    close(ends[1]);
    close(kept);
    size_t n_read = 0;
    ssize_t k;
    while ((k = read(ends[0], text + n_read, n - 1 - n_read)) > 0) n_read += (size_t)k;
    close(ends[0]);
    text[n_read] = '\0';
    return n_read;
}

static void write_lines(void)
{
    rt_log_init(RT_LOG_INFO, "tester");
    rt_log_debug("too.low", "not shown");
    rt_log_info("lease.expired", "shard=%d text=%s", 17, "two\nlines\x1b[31m");
    rt_log_error("long", "%05000d", 1);
}

Test(log, a_line_has_event_and_values_and_never_tears)
{
    char text[8192];
    size_t n = captured(text, sizeof text, write_lines);
    cr_expect_null(strstr(text, "too.low"));
    cr_expect_not_null(strstr(text, "Z INFO  tester lease.expired shard=17 text=two lines [31m\n"),
                       "%s", text);
    cr_expect_not_null(strstr(text, "Z ERROR tester long 000"), "%s", text);
    size_t n_lines = 0;
    for (size_t i = 0; i < n; i++) n_lines += text[i] == '\n';
    cr_expect_eq(n_lines, 2);
    cr_expect_eq(text[n - 1], '\n');
}

Test(log, the_level_decides_what_is_enabled)
{
    rt_log_init(RT_LOG_WARN, "x");
    cr_expect_not(rt_log_enabled(RT_LOG_INFO));
    cr_expect(rt_log_enabled(RT_LOG_WARN));
    cr_expect(rt_log_enabled(RT_LOG_ERROR));
}
