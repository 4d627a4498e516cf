/* Status codes and error text: how every fallible function in Retort reports.
 *
 * Three kinds of trouble, never mixed. *Expected* (bad file, bad message, no memory, timeout): a
 * function returns an rt_status and fills an rt_error for a human. *Bug* (a broken invariant):
 * RT_ASSERT, which stays on in release builds. *Degraded* (work can go on): a log line and a
 * counter. Bytes from a file, a peer, a model or a user never abort the process.
 *
 *     rt_error err = {0};
 *     if (thing_open(path, &thing, &err) != RT_OK) rt_log_error("thing.open", "%s", err.text);
 */
#ifndef RT_BASE_STATUS_H
#define RT_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RT_MUST_USE          __attribute__((warn_unused_result))
#define RT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* One list: code, short name for logs and --json, what it means. */
#define RT_STATUS_LIST(X)                                                           \
    X(RT_OK, "ok", "success")                                                       \
    X(RT_INVALID, "invalid", "an argument, option or configured value is wrong")    \
    X(RT_IO, "io", "the operating system refused a file or socket operation")       \
    X(RT_NOMEM, "nomem", "out of memory")                                           \
    X(RT_TIMEOUT, "timeout", "a deadline passed; safe to retry")                    \
    X(RT_CORRUPT, "corrupt", "bytes from outside do not have the expected form")    \
    X(RT_NOTFOUND, "notfound", "the named thing does not exist")                    \
    X(RT_EXISTS, "exists", "the named thing exists already")                        \
    X(RT_FULL, "full", "a configured limit was reached")                            \
    X(RT_UNAVAILABLE, "unavailable", "a peer cannot be reached now; safe to retry") \
    X(RT_REFUSED, "refused", "a peer answered and said no")                         \
    X(RT_CANCELLED, "cancelled", "stopped on request")                              \
    X(RT_UNSUPPORTED, "unsupported", "known, but not offered here")                 \
    X(RT_END, "end", "no more items")

typedef enum rt_status {
#define X(code, name, meaning) code,
    RT_STATUS_LIST(X)
#undef X
} rt_status;

/* Text for a human. `err` arguments may be NULL and are untouched on success. */
typedef struct rt_error {
    rt_status status;
    char text[1024];
} rt_error;

/* Short stable name of a status, such as "timeout". */
const char *rt_status_name(rt_status status);

/* Fill *err (when not NULL) and return `status`, so that a failure is one line. The message names
 * the thing, what was found, what was expected, and where possible the fix. */
rt_status rt_fail(rt_error *err, rt_status status, const char *fmt, ...) RT_PRINTF(3, 4);

/* Put "context: " before the text already in *err and return its status. */
rt_status rt_wrap(rt_error *err, rt_status status, const char *fmt, ...) RT_PRINTF(3, 4);

/* A broken invariant of our own: print where, then abort. Never for input from outside. */
#define RT_ASSERT(condition)                                                \
    do {                                                                    \
        if (!(condition)) rt_assert_failed(#condition, __FILE__, __LINE__); \
    } while (0)
_Noreturn void rt_assert_failed(const char *condition, const char *file, int line);

#define RT_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define RT_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define RT_MAX(a, b)    ((a) > (b) ? (a) : (b))

#endif
