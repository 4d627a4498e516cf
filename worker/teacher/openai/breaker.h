/* A circuit breaker: when the server fails each time, stop asking, and look now and then.
 *
 *          too many failures              pause over
 *     CLOSED ───────────────► OPEN ───────────────────► PROBING (one request)
 *       ▲                       ▲                          │  │
 *       └───────────────────────┼────────── it answers ────┘  │
 *                               └────────── it fails, pause doubled
 *
 *     breaker b = breaker_new(10);
 *     if (breaker_allows(&b, now_ms)) { send(); breaker_on_send(&b); }
 *     breaker_on_success(&b);
 *     breaker_on_failure(&b, now_ms, "status 500: ...");
 *
 * Pure. Only failures that are the server's count, not those of a row and not limits of rate.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_BREAKER_H
#define RT_WORKER_TEACHER_OPENAI_BREAKER_H

#include "common/base/status.h"

#define BREAKER_OUTCOMES       64  /* the latest, of which a share is taken */
#define BREAKER_SHARE          0.9 /* so many of them failed: open, even when not all in a row */
#define BREAKER_PAUSE_FIRST_MS 2000
#define BREAKER_PAUSE_MAX_MS   60000

typedef enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING } breaker_state;

typedef struct breaker {
    breaker_state state;
    uint64_t failures_max; /* in a row; 0: never opens */
    uint64_t n_in_a_row;
    uint64_t outcomes; /* one bit each, the latest lowest; 1: failed */
    uint64_t n_outcomes;
    uint64_t until_ms; /* of BREAKER_OPEN */
    uint64_t pause_ms; /* the next one */
    uint64_t n_opened;
    char reason[256]; /* of the latest failure */
} breaker;

breaker breaker_new(uint64_t failures_max);
/* May one be sent now? While probing only when none is on its way. */
bool breaker_allows(const breaker *b, uint64_t now_ms);
void breaker_on_send(breaker *b);
void breaker_on_success(breaker *b);
void breaker_on_failure(breaker *b, uint64_t now_ms, const char *reason);
/* What was sent ended without saying anything about the server: cancelled, or a limit of rate. */
void breaker_on_nothing(breaker *b);

#endif
