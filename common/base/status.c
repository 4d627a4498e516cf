#include "common/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *rt_status_name(rt_status status)
{
    switch (status) {
#define X(code, name, meaning) \
    case code: return name;
        RT_STATUS_LIST(X)
#undef X
    }
    return "unknown";
}

/* Names in parentheses: the linter wraps these two in macros (cmake/lint.h). */
rt_status(rt_fail)(rt_error *err, rt_status status, const char *fmt, ...)
{
    if (err == NULL) return status;
    va_list args;
    va_start(args, fmt);
    err->status = status;
    vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    return status;
}

rt_status(rt_wrap)(rt_error *err, rt_status status, const char *fmt, ...)
{
    if (err == NULL) return status;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    inner[sizeof inner - 1] = '\0';
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    err->status = status;
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %.*s",
                 (int)(sizeof err->text - (size_t)n), inner);
    return status;
}

_Noreturn void rt_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "retort: bug: %s does not hold at %s:%d; please report it\n", condition, file,
            line);
    abort();
}
