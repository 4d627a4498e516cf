/* A worker's sign of life for its supervisor: one line in a file, written by the heartbeat thread
 * about once a second (net.alive_file) and judged by `retort probe`.
 *
 *     retort-alive 1 beat_ms=8123450 turn_ms=8123100 heard_ms=8123000
 *
 *     alive_sign s = {.beat_ms = now, .turn_ms = turned, .heard_ms = heard};
 *     if ((st = alive_sign_write("/tmp/retort.alive", &s, err)) != RT_OK) ...
 *     st = alive_sign_read(path, &s, err);
 *     if (st == RT_OK) st = alive_sign_judge(&s, rt_clock_mono_ms(), &limits, err);
 *
 * Two questions that must not be mixed up: whether the process itself still turns (liveness: nobody
 * else's fault restarts it), and whether it hears its coordinator (readiness). All times are of the
 * machine's monotonic clock, so a jump of the wall clock kills nobody. Target rt::worker_task.
 */
#ifndef RT_WORKER_RUNTIME_ALIVE_SIGN_H
#define RT_WORKER_RUNTIME_ALIVE_SIGN_H

#include "common/base/bytes.h"

typedef struct alive_sign {
    uint64_t beat_ms;  /* when it was written */
    uint64_t turn_ms;  /* when the main thread last looked at phase or signals */
    uint64_t heard_ms; /* when the coordinator last answered; 0: never */
} alive_sign;

typedef struct alive_limits {
    uint64_t beat_max_ms;  /* oldest sign */
    uint64_t work_max_ms;  /* longest piece of work between two turns of the main thread */
    uint64_t heard_max_ms; /* longest silence of the coordinator; 0: not asked */
} alive_limits;

/* The line, ended by \n, appended to *out; and back: RT_CORRUPT names what was expected. */
RT_MUST_USE rt_status alive_sign_print(const alive_sign *sign, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status alive_sign_parse(const char *text, alive_sign *out, rt_error *err);

/* RT_OK, or RT_TIMEOUT with what is too old. A time that lies ahead of now_ms (the file outlived a
 * restart of the machine) is too old as well. Pure. */
RT_MUST_USE rt_status alive_sign_judge(const alive_sign *sign, uint64_t now_ms,
                                       const alive_limits *limits, rt_error *err);

/* Replaces the file at once, so that a reader sees a whole line. Not synced: it tells of now. */
RT_MUST_USE rt_status alive_sign_write(const char *path, const alive_sign *sign, rt_error *err);
RT_MUST_USE rt_status alive_sign_read(const char *path, alive_sign *out, rt_error *err);

#endif
