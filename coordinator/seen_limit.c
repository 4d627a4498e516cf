#include "coordinator/seen_limit.h"

#include <math.h>

#include "common/base/status.h"

/* A window is not taken to be whole again sooner, should the server tell nothing any more. */
#define RESET_MS_MIN 1000

void seen_history_note(seen_history *h, const double landed[WIRE_LIMITS], uint64_t now_ms)
{
    if (h->n > 0 && now_ms < h->entries[(h->n - 1) % SEEN_ENTRIES].at_ms + SEEN_SPACING_MS) return;
    size_t i = (size_t)(h->n++ % SEEN_ENTRIES);
    h->entries[i].at_ms = now_ms;
    for (size_t k = 0; k < WIRE_LIMITS; k++) h->entries[i].landed[k] = landed[k];
}

static double rate_of(const seen_limit *l)
{
    return l->period_ms > 0 ? (double)l->n_limit / (double)l->period_ms : 0;
}

/* landed(t) + rate * (now - t), the least over all t in [from, to]; negative infinity when the
 * history does not go back so far. Between two entries it is least at the end. */
static double least_credit(const seen_limit *l, const seen_history *h, uint64_t from_ms,
                           uint64_t to_ms, uint64_t now_ms)
{
    uint64_t end_ms = to_ms;
    double least = INFINITY, rate = rate_of(l);
    for (uint64_t i = h->n; i-- > 0 && i + SEEN_ENTRIES >= h->n;) {
        uint64_t at_ms = h->entries[i % SEEN_ENTRIES].at_ms;
        if (at_ms <= to_ms) {
            double credit = h->entries[i % SEEN_ENTRIES].landed[l->side] +
                            rate * (double)(now_ms - RT_MIN(end_ms, to_ms));
            least = RT_MIN(least, credit);
            /* Before its first entry there was nobody to hear it. */
            if (at_ms <= from_ms || i == 0) return least;
        }
        end_ms = at_ms;
    }
    return -INFINITY;
}

/* At most what had landed by then. */
static double landed_at(const seen_limit *l, const seen_history *h, uint64_t at_ms)
{
    for (uint64_t i = h->n; i-- > 0 && i + SEEN_ENTRIES >= h->n;)
        if (h->entries[i % SEEN_ENTRIES].at_ms <= at_ms)
            return h->entries[i % SEEN_ENTRIES].landed[l->side];
    return 0;
}

void seen_limit_hear(seen_limit *l, const wire_server_limit *told, const seen_history *history,
                     uint64_t now_ms)
{
    uint64_t to_ms = now_ms - RT_MIN(told->age_ms, now_ms), pace = told->n_limit / SEEN_BURST_PART;
    if (told->after > to_ms) return;
    if (!l->known || l->n_limit != told->n_limit)
        *l = (seen_limit){
            .side = l->side, .n_limit = told->n_limit, .pace = (double)pace, .pace_ms = now_ms};
    if (told->period_ms > 0) l->period_ms = told->period_ms;
    l->reset_ms = RT_MAX(l->reset_ms, told->reset_ms);
    double credit = least_credit(l, history, told->after, to_ms, now_ms);
    if (credit == -INFINITY) return;
    l->known = true;
    l->credit = (double)told->n_left + credit;
    l->credit_ms = now_ms;
    l->reset_at_ms = to_ms + told->reset_ms;
    l->retry_at_ms = told->retry_ms > 0 ? to_ms + told->retry_ms : 0;
}

/* Bring the credit up to now. */
static void advance(seen_limit *l, const seen_history *history, double landed, uint64_t now_ms)
{
    double most = (double)l->n_limit + landed;
    if (l->period_ms > 0) {
        l->credit += rate_of(l) * (double)(now_ms - l->credit_ms);
        l->credit_ms = now_ms;
    } else if (now_ms >= l->reset_at_ms) {
        l->credit = (double)l->n_limit + landed_at(l, history, l->reset_at_ms);
        l->credit_ms = now_ms;
        l->reset_at_ms = now_ms + RT_MAX(l->reset_ms, (uint64_t)RESET_MS_MIN);
        l->known = l->n_limit > 0;
    }
    if (l->n_limit > 0) l->credit = RT_MIN(l->credit, most);
}

static int64_t whole(double room)
{
    if (room <= -9e15) return INT64_MIN / 2;
    return room >= 9e15 ? INT64_MAX / 2 : (int64_t)floor(room);
}

int64_t seen_limit_room(seen_limit *l, const seen_history *history, double held, double landed,
                        bool alone, uint64_t largest, uint64_t now_ms)
{
    if (l->known) advance(l, history, landed, now_ms);
    if (!l->known) return INT64_MAX;
    int64_t room = whole(l->credit - held);
    bool is_full = l->n_limit > 0 && l->credit >= (double)l->n_limit + landed;
    bool may_retry = l->retry_at_ms > 0 && now_ms >= l->retry_at_ms;
    if (alone && (is_full || may_retry)) room = RT_MAX(room, (int64_t)largest);
    return room;
}

int64_t seen_limit_pace(seen_limit *l, double idle, uint64_t largest, uint64_t now_ms)
{
    if (!l->known || l->n_limit == 0) return INT64_MAX;
    uint64_t period_ms = l->period_ms > 0 ? l->period_ms : RT_MAX(l->reset_ms, (uint64_t)1);
    double burst = RT_MAX((double)l->n_limit / SEEN_BURST_PART, (double)largest);
    if (now_ms > l->pace_ms)
        l->pace +=
            SEEN_PACE * (double)l->n_limit * (double)(now_ms - l->pace_ms) / (double)period_ms;
    l->pace = RT_MIN(l->pace, burst);
    l->pace_ms = RT_MAX(l->pace_ms, now_ms);
    return whole(l->pace - idle);
}

void seen_limit_begin(seen_limit *l, double amount)
{
    l->pace -= amount;
}
