/* What the server's own headers leave to be sent, so that its limits are kept and not run into.
 *
 *     if (rate_limit_allows(&l, &flying, &need, now_ms, &retry_ms)) number = rate_limit_on_send(&l);
 *     rate_limit_on_headers(&l, number, &headers, now_ms);     // its answer
 *     rate_limit_on_silence(&l, &need);                        // or none
 *
 * Answers come out of order, so the one that lands last need not know the most. Of those that may
 * have been in the server's hands at one time the lowest "remaining" is the latest; an answer to a
 * request that was sent after it had landed is later, even if it says more. What is in flight may
 * not be counted by any of them and is subtracted. When the reset is over, the whole limit is there
 * again, or, where the server does not tell it, nothing is known. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_RATE_LIMIT_H
#define RT_WORKER_TEACHER_OPENAI_RATE_LIMIT_H

#include "worker/teacher/openai/headers.h"

typedef struct rate_limit_side {
    bool known;
    uint64_t n_left, n_limit; /* n_limit 0: not told */
    uint64_t reset_at_ms;
    uint64_t n_sent; /* requests sent when n_left was learned */
} rate_limit_side;

/* Zero-initialise. */
typedef struct rate_limit {
    rate_limit_side requests, tokens;
    uint64_t n_sent;
} rate_limit;

/* Of one request, or of all that are in flight. */
typedef struct rate_limit_load {
    uint64_t n_requests, n_tokens;
} rate_limit_load;

/* *retry_ms says when to look again. */
bool rate_limit_allows(rate_limit *l, const rate_limit_load *flying, const rate_limit_load *need,
                       uint64_t now_ms, uint64_t *retry_ms);
/* The number of the request. */
uint64_t rate_limit_on_send(rate_limit *l);
void rate_limit_on_headers(rate_limit *l, uint64_t number, const openai_headers *h,
                           uint64_t now_ms);
/* A request of which the server may know, and that brought no headers. */
void rate_limit_on_silence(rate_limit *l, const rate_limit_load *load);

#endif
