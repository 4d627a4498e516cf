/* How many requests may be in flight at once: found out by trying.
 *
 *     concurrency c = concurrency_new(32);
 *     if (n_flying < concurrency_window(&c)) send();
 *     concurrency_on_answer(&c, was_full, latency_ms, now_ms);
 *     concurrency_on_overload(&c, now_ms);        // 429, 503
 *
 * Additive increase, multiplicative decrease. Until the server says for the first time that it is
 * too much, the window grows by one with each answer, then by one with each window of answers. Of
 * each window of answers (of CONCURRENCY_BATCH_MIN at least) the share F is taken that said "too
 * much":
 *
 *     window *= 1 - min(1, (F - 0.1) / 0.4) / 2        where F > 0.1
 *
 * and it does not grow during the next. So a storm halves it, and some few that any busy service refuses now and then leave it as it is: a
 * window that is halved for each of those ends at one, whatever the server could do. It is cut by a
 * tenth when answers take CONCURRENCY_SLOW times as long as they did at best: then requests only
 * wait in the server's queue. "At best" is a minimum that slowly rises, so that a server which
 * became slower for good is not held against an old record. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_CONCURRENCY_H
#define RT_WORKER_TEACHER_OPENAI_CONCURRENCY_H

#include "common/base/status.h"

#define CONCURRENCY_START     8
#define CONCURRENCY_SLOW      4.0
#define CONCURRENCY_BATCH_MIN 16
#define CONCURRENCY_PAUSE_MS \
    1000 /* one storm is one decrease, not one for each answer: in this time the largest counts */

typedef struct concurrency {
    double window, window_max;
    size_t n_outcomes, n_overloads; /* of the batch */
    bool is_refused; /* of the batch before, more than can be borne: no time to grow */
    bool has_decreased, was_overloaded;
    uint64_t decreased_ms;
    double cut;                         /* then */
    double latency_ms, latency_ms_best; /* running mean, and its slow minimum; 0: none yet */
} concurrency;

concurrency concurrency_new(size_t window_max);
/* At least 1. */
size_t concurrency_window(const concurrency *c);
/* was_full: as many were in flight as the window allows, before it came and those that came together
 * with it. */
void concurrency_on_answer(concurrency *c, bool was_full, uint64_t latency_ms, uint64_t now_ms);
void concurrency_on_overload(concurrency *c, uint64_t now_ms);

#endif
