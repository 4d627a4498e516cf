#include "common/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Set once at start, before threads: the one piece of process-wide state, as in every logger. */
static rt_log_level log_level = RT_LOG_INFO;
static char log_role[32] = "retort";

static const char *const level_names[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};

void rt_log_init(rt_log_level level, const char *role)
{
    log_level = level;
    snprintf(log_role, sizeof log_role, "%s", role);
}

rt_status rt_log_level_parse(const char *text, rt_log_level *out, rt_error *err)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (rt_log_level)i;
            return RT_OK;
        }
    }
    return rt_fail(err, RT_INVALID, "log level '%s': expected debug, info, warn or error", text);
}

bool rt_log_enabled(rt_log_level level)
{
    return level >= log_level;
}

/* Control bytes would tear the line or colour a terminal: show them as spaces. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = ' ';
}

void rt_log_write(rt_log_level level, const char *event, const char *fmt, ...)
{
    if (!rt_log_enabled(level)) return;
    char line[2048];
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %s %s ", now.tv_nsec / 1000000,
                          level_names[level], log_role, event);
    if (n >= sizeof line - 1) n = sizeof line - 2;

    va_list args;
    va_start(args, fmt);
    vsnprintf(line + n, sizeof line - n - 1, fmt, args);
    va_end(args);
    flatten(line + n);
    n = strlen(line);
    line[n++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, n);
    (void)written; /* there is nobody left to tell */
}
