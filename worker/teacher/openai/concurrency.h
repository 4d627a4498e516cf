/* How many requests may be in flight at once: found out by trying.
 *
 *     concurrency c = concurrency_new(32);
 *     if (n_flying < concurrency_window(&c)) send();
 *     concurrency_on_answer(&c, n_flying, latency_ms, now_ms);
 *     concurrency_on_overload(&c, now_ms);        // 429, 503
 *
 * Additive increase, multiplicative decrease. Until the first decrease the window grows by one with
 * each answer, then by one with each window of answers. It is halved when the server says that it
 * is too much, and cut by a tenth when answers take CONCURRENCY_SLOW times as long as they did at
 * best: then requests only wait in the server's queue. "At best" is a minimum that slowly rises, so
 * that a server which became slower for good is not held against an old record. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_CONCURRENCY_H
#define RT_WORKER_TEACHER_OPENAI_CONCURRENCY_H

#include "common/base/status.h"

#define CONCURRENCY_START 8
#define CONCURRENCY_SLOW  4.0
#define CONCURRENCY_PAUSE_MS \
    1000 /* least time between two decreases: one storm is one decrease, not one for each answer */

typedef struct concurrency {
    double window, window_max;
    bool has_decreased;
    uint64_t decreased_ms;
    double latency_ms, latency_ms_best; /* running mean, and its slow minimum; 0: none yet */
} concurrency;

concurrency concurrency_new(size_t window_max);
/* At least 1. */
size_t concurrency_window(const concurrency *c);
/* n_flying: with this one, before it came. */
void concurrency_on_answer(concurrency *c, size_t n_flying, uint64_t latency_ms, uint64_t now_ms);
void concurrency_on_overload(concurrency *c, uint64_t now_ms);

#endif
