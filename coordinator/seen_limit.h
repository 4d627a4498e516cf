/* Limits that nobody set: the teachers' server told them in its headers. Pure: time is an argument.
 *
 *     seen_limit_hear(&l, &told, &history, now_ms);                   // a teacher reports it
 *     room = seen_limit_room(&l, &history, held, landed, alone, largest, now_ms);
 *     seen_limit_begin(&l, amount);                                   // so much was begun
 *
 * Amounts are sums over all teachers and all time: `held` is what may have been sent by now, ceilings
 * that are not used up included; `landed` is what was surely counted by the server, because its
 * answers are there. An answer said that n were left. It was written at some time t between the
 * grant that came before its request was sent and its landing. What the server had counted by then
 * is at least what had landed by then, so of `held` at most held - landed(t) came on top, and
 *
 *     room = n + refill(now - t) - (held - landed(t)),        the least over all such t
 *
 * is surely there, whichever request the server counted first, and whoever sent it. The refill is
 * limit / period a millisecond where the server is known to fill in evenly, else nothing until the
 * reset, and all of it then. It never is more than limit - (held - landed): a full bucket is full.
 *
 * Beside it a pace, so that not all of a minute's limit goes at once: somewhat more than the even
 * rate, with bursts of a twentieth of the limit.
 */
#ifndef RT_COORDINATOR_SEEN_LIMIT_H
#define RT_COORDINATOR_SEEN_LIMIT_H

#include "common/wire/messages.h"

#define SEEN_SPACING_MS 100  /* between two entries of the history, at least */
#define SEEN_ENTRIES    8192 /* nearly a quarter of an hour */
#define SEEN_BURST_PART 20
#define SEEN_PACE       1.1
/* While nothing has been told, one request may be out; one more for each of these. */
#define SEEN_PROBE_MS 2000

/* What had landed when. */
typedef struct seen_history {
    struct {
        uint64_t at_ms;
        double landed[WIRE_LIMITS];
    } entries[SEEN_ENTRIES];
    uint64_t n; /* ever written; entry i is at i % SEEN_ENTRIES */
} seen_history;

/* Zero-initialise. */
typedef struct seen_limit {
    bool known;
    wire_limit_side side;
    uint64_t n_limit;     /* 0: not told */
    uint64_t period_ms;   /* filled in evenly in so long; 0: whole at the reset */
    uint64_t reset_ms;    /* the longest told */
    uint64_t reset_at_ms; /* whole again */
    uint64_t retry_at_ms; /* one may be sent then; 0: none was refused */
    double credit;        /* at credit_ms: held may grow up to here */
    uint64_t credit_ms;
    double pace; /* room of the pace, at pace_ms */
    uint64_t pace_ms;
} seen_limit;

/* Called often, in time's order, with sums that only grow. */
void seen_history_note(seen_history *h, const double landed[WIRE_LIMITS], uint64_t now_ms);

/* `told.after` is the time of the grant on this clock. One that cannot be placed is not used. */
void seen_limit_hear(seen_limit *l, const wire_server_limit *told, const seen_history *history,
                     uint64_t now_ms);
/* What may be given away besides `held`, less than 0 when that was too much; INT64_MAX when nothing
 * is known. `largest` is what the largest request needs, `alone` says that nothing is out: then one
 * goes that is larger than a limit that is whole, and one that the server asked to come again. */
int64_t seen_limit_room(seen_limit *l, const seen_history *history, double held, double landed,
                        bool alone, uint64_t largest, uint64_t now_ms);
/* Room of the pace; `idle` is held and not begun. */
int64_t seen_limit_pace(seen_limit *l, double idle, uint64_t largest, uint64_t now_ms);
/* Negative: it takes less than was thought. */
void seen_limit_begin(seen_limit *l, double amount);

#endif
