/* How much of a limit per minute is left. Pure: time is an argument.
 *
 *     rate_window_start(&w, 600, true, now_ms);            // 600 a minute
 *     room = rate_window_room(&w, held, unused, now_ms);   // may be given away now
 *     rate_window_charge(&w, 3, now_ms);                   // three were begun
 *     rate_window_use(&w, 3, now_ms);                      // and used, once that is known
 *
 * Two rules, both must leave room:
 *
 *   window  used in the last minute + held by anybody <= limit. What is used is entered when it is
 *           heard of, never earlier than it happened, and until then it is held: so no minute,
 *           wherever it begins, sees more than the limit.
 *   bucket  fills at limit / 60 s up to a small part of the limit (or one request, where that is
 *           more): no burst at the beginning of a minute and silence for the rest of it.
 */
#ifndef RT_COORDINATOR_RATE_WINDOW_H
#define RT_COORDINATOR_RATE_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define RATE_WINDOW_MS 60000
#define RATE_SLOT_MS   500
#define RATE_SLOTS     (RATE_WINDOW_MS / RATE_SLOT_MS + 1)
/* The bucket holds this part of the limit: three seconds of it. */
#define RATE_BURST_PART 20

/* Everything is the window's own. */
typedef struct rate_window {
    uint64_t limit;             /* a minute; 0: none */
    double capacity;            /* of the bucket */
    double level;               /* below 0: debts */
    uint64_t level_ms;          /* when the level was right */
    uint64_t slots[RATE_SLOTS]; /* number of the half second + 1 that used[i] belongs to */
    uint64_t used[RATE_SLOTS];
} rate_window;

/* Not fresh: others may have used the limit up to now, nobody knows how much. */
void rate_window_start(rate_window *w, uint64_t limit, bool is_fresh, uint64_t now_ms);
/* The bucket holds at least one request of this size, or that could never be begun. */
void rate_window_fit(rate_window *w, uint64_t one_request);
/* Begun; negative: a request took less than it had reserved. */
void rate_window_charge(rate_window *w, int64_t amount, uint64_t now_ms);
/* Heard now that so much is used for good. */
void rate_window_use(rate_window *w, uint64_t amount, uint64_t now_ms);
uint64_t rate_window_used(const rate_window *w, uint64_t now_ms);
/* What may still be given away; `held` is what may yet be used, `unused` the part of it that is not
 * begun. Negative when there is less than nothing; INT64_MAX without a limit. */
int64_t rate_window_room(rate_window *w, uint64_t held, uint64_t unused, uint64_t now_ms);

#endif
