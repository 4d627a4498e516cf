/* What the headers of an answer say about limits: when to come again (retry-after, retry-after-ms),
 * and how much is left (x-ratelimit-limit, -remaining and -reset, each of -requests and -tokens).
 *
 *     openai_headers h = openai_headers_read(&response, rt_clock_wall_ms());
 *     if (h.has_retry) wait(h.retry_ms);
 *
 * Pure, and safe for any bytes: what cannot be read is as if it were not there.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_HEADERS_H
#define RT_WORKER_TEACHER_OPENAI_HEADERS_H

#include "common/http/http_client.h"

#define OPENAI_RETRY_AFTER_MS_MAX ((uint64_t)3600 * 1000) /* a longer wish counts as an hour */

typedef struct openai_quota {
    bool known;
    uint64_t n_left, n_limit; /* n_limit 0: not told */
    uint64_t reset_ms;        /* until it is whole again */
    bool is_exact;            /* the server tells parts of a second */
} openai_quota;

typedef struct openai_headers {
    bool has_retry;
    uint64_t retry_ms;
    openai_quota requests, tokens;
} openai_headers;

/* `wall_ms` is the wall clock now: some servers name a time of day. */
openai_headers openai_headers_read(const http_response *r, uint64_t wall_ms);

/* "20", "1.5s", "6m0s", "12ms", "1h2m", an HTTP date, an RFC 3339 time, or seconds or milliseconds
 * since 1970. */
bool openai_read_wait(const char *text, uint64_t wall_ms, uint64_t *out_ms);

#endif
