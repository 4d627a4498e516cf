#include "worker/teacher/openai/headers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define VALUE_SIZE   128
#define EPOCH_S_MIN  1e9 /* a plain number of seconds from here on is a time, not a wait */
#define EPOCH_MS_MIN 1e12
#define RESET_MS_MAX ((uint64_t)31 * 24 * 3600 * 1000) /* limits of a day, of a month */

/* Decimal digits with a fraction, nothing that strtod() knows besides; NULL when there are none. */
static const char *read_number(const char *text, double *out)
{
    size_t n = strspn(text, "0123456789");
    if (text[n] == '.') n += 1 + strspn(text + n + 1, "0123456789");
    if (n == 0 || n > 24 || !isdigit((unsigned char)text[0])) return NULL;
    *out = strtod(text, NULL);
    return text + n;
}

/* Pairs of number and unit, as Go prints a duration. */
static bool read_units(const char *text, double *out_ms)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1},  {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ns", 1e-6},
                 {"s", 1e3}, {"m", 6e4},   {"h", 36e5},         {"d", 864e5}};
    *out_ms = 0;
    if (*text == '\0') return false;
    while (*text != '\0') {
        double x;
        size_t i = 0;
        if ((text = read_number(text, &x)) == NULL) return false;
        while (i < RT_COUNT(units) && strncmp(text, units[i].name, strlen(units[i].name)) != 0) i++;
        if (i == RT_COUNT(units)) return false;
        text += strlen(units[i].name);
        *out_ms += x * units[i].ms;
    }
    return true;
}

static bool read_date(const char *text, double *out_s)
{
    struct tm utc = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S", &utc);
    if (end == NULL) return false;
    *out_s = (double)timegm(&utc);
    return true;
}

/* "2026-11-28T00:01:00Z", "2026-11-28T01:01:00.250+01:00". */
static bool read_timestamp(const char *text, double *out_s)
{
    struct tm utc = {0};
    double fraction = 0;
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    if (end == NULL) return false;
    if (*end == '.') {
        size_t n = 1 + strspn(end + 1, "0123456789");
        if (n == 1 || n > 12) return false;
        fraction = strtod(end, NULL); /* ends at the zone: no digit, no exponent */
        end += n;
    }
    *out_s = (double)timegm(&utc) + fraction;
    if (strcasecmp(end, "Z") == 0) return true;
    unsigned hours = 0, minutes = 0;
    char sign = '\0', rest = '\0';
    if (sscanf(end, "%c%2u:%2u%c", &sign, &hours, &minutes, &rest) != 3) return false;
    if ((sign != '+' && sign != '-') || hours > 23 || minutes > 59) return false;
    *out_s += (sign == '+' ? -60.0 : 60.0) * (hours * 60 + minutes);
    return true;
}

static bool read_wait(const char *text, uint64_t wall_ms, uint64_t max_ms, uint64_t *out_ms)
{
    double x, ms;
    const char *end = read_number(text, &x);
    if (read_timestamp(text, &x)) {
        ms = x * 1e3 - (double)wall_ms;
    } else if (end != NULL && *end == '\0') {
        ms = x * 1e3;
        if (x >= EPOCH_MS_MIN)
            ms = x - (double)wall_ms;
        else if (x >= EPOCH_S_MIN)
            ms = x * 1e3 - (double)wall_ms;
    } else if (read_date(text, &x)) {
        ms = x * 1e3 - (double)wall_ms;
    } else if (!read_units(text, &ms)) {
        return false;
    }
    ms = RT_MAX(ms, 0.0);
    ms = RT_MIN(ms, (double)max_ms);
    *out_ms = (uint64_t)(ms + 0.999); /* never too early */
    return true;
}

bool openai_read_wait(const char *text, uint64_t wall_ms, uint64_t *out_ms)
{
    return read_wait(text, wall_ms, OPENAI_RETRY_AFTER_MS_MAX, out_ms);
}

/* Azure writes -1 where it means "not told": no number, so not known. */
static openai_quota read_quota(const http_response *r, const char *left, const char *limit,
                               const char *reset, uint64_t wall_ms)
{
    openai_quota q = {0};
    char text[VALUE_SIZE];
    if (!http_response_header(r, left, text, sizeof text) || !rt_parse_u64(text, &q.n_left))
        return q;
    if (!http_response_header(r, reset, text, sizeof text) ||
        !read_wait(text, wall_ms, RESET_MS_MAX, &q.reset_ms))
        return q;
    q.is_exact = strchr(text, '.') != NULL || strstr(text, "ms") != NULL;
    if (!http_response_header(r, limit, text, sizeof text) || !rt_parse_u64(text, &q.n_limit))
        q.n_limit = 0;
    q.known = q.reset_ms > 0;
    return q;
}

openai_headers openai_headers_read(const http_response *r, uint64_t wall_ms)
{
    openai_headers h = {0};
    char text[VALUE_SIZE];
    double ms;
    if (http_response_header(r, "retry-after-ms", text, sizeof text)) {
        const char *end = read_number(text, &ms);
        h.has_retry = end != NULL && *end == '\0';
        if (h.has_retry) h.retry_ms = (uint64_t)RT_MIN(ms, (double)OPENAI_RETRY_AFTER_MS_MAX);
    }
    if (!h.has_retry && http_response_header(r, "retry-after", text, sizeof text))
        h.has_retry = openai_read_wait(text, wall_ms, &h.retry_ms);
    h.requests = read_quota(r, "x-ratelimit-remaining-requests", "x-ratelimit-limit-requests",
                            "x-ratelimit-reset-requests", wall_ms);
    h.tokens = read_quota(r, "x-ratelimit-remaining-tokens", "x-ratelimit-limit-tokens",
                          "x-ratelimit-reset-tokens", wall_ms);
    return h;
}
