/* What the server's own headers leave to be sent, so that its limits are kept and not run into.
 *
 *     if (rate_limit_allows(&l, &flying, &need, now_ms, &retry_ms)) number = rate_limit_on_send(&l);
 *     rate_limit_on_headers(&l, &sent, &headers, now_ms);      // its answer
 *     rate_limit_on_silence(&l, &need);                        // or none
 *
 * Answers come out of order, so the one that lands last need not know the most. Of those that may
 * have been in the server's hands at one time the lowest "remaining" is the latest; an answer to a
 * request that was sent after it had landed is later, even if it says more. What is in flight may
 * not be counted by any of them and is subtracted.
 *
 * Servers keep limits in two ways, and do not say which:
 *
 *   window  whole again at the reset, and not a bit earlier: the time of the reset stands still.
 *   bucket  filled in evenly; the reset is when it would be full, and moves on with each use.
 *
 * An answer was written between the sending of its request and its landing, so its reset is an
 * interval. Two intervals that do not meet, both seen before the earlier one could be over, are a
 * bucket's. Until they are seen nothing is taken to be there before the reset. Of a bucket each
 * answer tells how long a whole limit takes,
 *
 *     period <= reset * limit / (limit - remaining - 1)
 *
 * for "remaining" is rounded down; the smallest such bound counts. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_RATE_LIMIT_H
#define RT_WORKER_TEACHER_OPENAI_RATE_LIMIT_H

#include "worker/teacher/allowance.h"
#include "worker/teacher/openai/headers.h"

typedef struct rate_limit_side {
    bool known;
    double n_left;
    uint64_t n_limit;     /* 0: not told */
    uint64_t heard_ms;    /* when n_left was */
    uint64_t reset_at_ms; /* whole again */
    uint64_t reset_ms;    /* the longest that a server told */
    uint64_t retry_at_ms; /* it refused, and one request may be sent then; 0: it did not */
    uint64_t n_sent;      /* requests sent when n_left was learned */
    /* Of a bucket. */
    bool is_even;
    uint64_t period_ms; /* at least what a whole limit takes; 0: not told yet */
    bool has_reset;     /* a window would be whole between these two */
    uint64_t reset_from_ms, reset_to_ms;
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

/* The request that was answered. */
typedef struct rate_limit_sent {
    uint64_t number; /* rate_limit_on_send() */
    uint64_t sent_ms;
    bool was_refused; /* 429 */
} rate_limit_sent;

/* *retry_ms says when to look again. */
bool rate_limit_allows(rate_limit *l, const rate_limit_load *flying, const rate_limit_load *need,
                       uint64_t now_ms, uint64_t *retry_ms);
/* The number of the request. */
uint64_t rate_limit_on_send(rate_limit *l);
void rate_limit_on_headers(rate_limit *l, const rate_limit_sent *sent, const openai_headers *h,
                           uint64_t now_ms);
/* A request of which the server may know, and that brought no headers. */
void rate_limit_on_silence(rate_limit *l, const rate_limit_load *load);

/* What this answer says, with what is known of the server beside. */
allowance_limit rate_limit_told(const rate_limit_side *s, const openai_quota *q,
                                const openai_headers *h, bool was_refused);

#endif
