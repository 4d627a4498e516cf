#include "cli/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/text/display.h"
#include "common/text/utf8.h"

#define COLUMNS_MAX 4096 /* wider than any text of a finding: none is cut for its width */
#define CHECK_WIDTH 16

#define FILL(field)                                   \
    do {                                              \
        va_list args;                                 \
        va_start(args, fmt);                          \
        vsnprintf((field), sizeof(field), fmt, args); \
        va_end(args);                                 \
    } while (0)

finding finding_ok(const char *fmt, ...)
{
    finding f = {.level = FINDING_OK};
    FILL(f.found);
    return f;
}

finding finding_warn(const char *fmt, ...)
{
    finding f = {.level = FINDING_WARN};
    FILL(f.found);
    return f;
}

finding finding_fail(rt_status why, const char *fmt, ...)
{
    finding f = {.level = FINDING_FAIL, .why = why};
    FILL(f.found);
    return f;
}

void finding_expect(finding *f, const char *fmt, ...)
{
    FILL(f->expected);
}

void finding_fix(finding *f, const char *fmt, ...)
{
    FILL(f->fix);
}

const char *finding_level_name(finding_level level)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    return names[level];
}

/* display_line() prints what it does not show as U+FFFD, so its text may grow: cut between two
 * characters. Without memory the text goes. */
static void clean_text(char *text, size_t size)
{
    rt_buf line = {0};
    if (text[0] == '\0') return;
    if (display_line(text, strlen(text), COLUMNS_MAX, &line, NULL) != RT_OK) rt_buf_clear(&line);
    size_t n = RT_MIN(line.n, size - 1);
    if (n < line.n) n = utf8_valid_prefix(line.data, n);
    if (n > 0) memcpy(text, line.data, n);
    text[n] = '\0';
    rt_buf_free(&line);
}

void finding_clean(finding *f)
{
    clean_text(f->check, sizeof f->check);
    clean_text(f->found, sizeof f->found);
    clean_text(f->expected, sizeof f->expected);
    clean_text(f->fix, sizeof f->fix);
}

rt_status finding_line(const finding *f, bool colours, rt_buf *out, rt_error *err)
{
    static const char *const begin[] = {"\033[32m", "\033[33m", "\033[31m"};
    rt_status st = rt_buf_printf(out, err, "%s%-4s%s  %-*s  %s", colours ? begin[f->level] : "",
                                 finding_level_name(f->level), colours ? "\033[0m" : "",
                                 CHECK_WIDTH, f->check, f->found);
    /* Where all is well nobody needs to know what else was allowed. */
    if (st == RT_OK && f->level != FINDING_OK && f->expected[0] != '\0')
        st = rt_buf_printf(out, err, "; expected: %s", f->expected);
    if (st == RT_OK && f->level != FINDING_OK && f->fix[0] != '\0')
        st = rt_buf_printf(out, err, "; fix: %s", f->fix);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

json_t *finding_to_json(const finding *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", f->check, "status",
                     finding_level_name(f->level), "found", f->found, "expected", f->expected,
                     "fix", f->fix);
}
