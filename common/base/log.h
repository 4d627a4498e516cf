/* Log lines: a stable event id, then key=value pairs, one line each, to stderr.
 *
 *     rt_log_init(RT_LOG_INFO, "coordinator");
 *     rt_log_info("lease.expired", "shard=%" PRIu64 " age_ms=%" PRIu64, shard, age);
 *
 *     2026-11-22T12:00:00.123Z INFO  coordinator lease.expired shard=17 age_ms=30012
 *
 * A line is written with one write(2), so processes that share a file do not tear each other's
 * lines. Secrets never go into a log.
 */
#ifndef RT_BASE_LOG_H
#define RT_BASE_LOG_H

#include "common/base/status.h"

typedef enum rt_log_level {
    RT_LOG_DEBUG,
    RT_LOG_INFO,
    RT_LOG_WARN,
    RT_LOG_ERROR,
} rt_log_level;

/* Set level and role of this process (`role` is copied, at most 31 bytes). Call once, early. */
void rt_log_init(rt_log_level level, const char *role);

/* "debug", "info", "warn", "error" to a level. RT_INVALID names what was found. */
RT_MUST_USE rt_status rt_log_level_parse(const char *text, rt_log_level *out, rt_error *err);

bool rt_log_enabled(rt_log_level level);
void rt_log_write(rt_log_level level, const char *event, const char *fmt, ...) RT_PRINTF(3, 4);

#define rt_log_debug(event, ...) rt_log_write(RT_LOG_DEBUG, event, __VA_ARGS__)
#define rt_log_info(event, ...)  rt_log_write(RT_LOG_INFO, event, __VA_ARGS__)
#define rt_log_warn(event, ...)  rt_log_write(RT_LOG_WARN, event, __VA_ARGS__)
#define rt_log_error(event, ...) rt_log_write(RT_LOG_ERROR, event, __VA_ARGS__)

#endif
