/* What happened last, in words, for people who watch. Pure: time is an argument.
 *
 *     event_ring_add(&ring, now_s, EVENT_MEMBER, "student-1", "joined from host h");
 *     st = event_ring_to_json(&ring, since, &out, err);
 *     // {"seq":7,"events":[{"seq":7,"time":1764430000.123,"kind":"member","who":"student-1","text":".."}]}
 *
 * Each event has a number that grows by one; the newest EVENT_RING_MAX are kept. A problem that is said
 * again within a minute is not a new event, so that a quarrel in a loop does not push out all else.
 */
#ifndef RT_COORDINATOR_EVENT_RING_H
#define RT_COORDINATOR_EVENT_RING_H

#include "common/base/bytes.h"

#define EVENT_RING_MAX  512
#define EVENT_WHO_SIZE  64
#define EVENT_TEXT_SIZE 384

typedef enum event_kind {
    EVENT_RUN,
    EVENT_MEMBER,
    EVENT_LEASE,
    EVENT_QUEUE,
    EVENT_CHECKPOINT,
    EVENT_EVALUATION,
    EVENT_REWIND,
    EVENT_PROBLEM,
    EVENT_MONEY,
    EVENT_KINDS
} event_kind;
const char *event_kind_name(event_kind kind); /* "run" ... */

typedef struct event {
    uint64_t seq;
    double time_s; /* since 1970 */
    event_kind kind;
    char who[EVENT_WHO_SIZE];   /* a process, or "" */
    char text[EVENT_TEXT_SIZE]; /* valid UTF-8, as `who` is */
} event;

/* Zero-initialise; then seq says what the newest event's number is (0: none yet). */
typedef struct event_ring {
    event events[EVENT_RING_MAX];
    size_t n; /* kept */
    uint64_t seq;
} event_ring;

/* Texts are cut where they do not fit, and mended where they are not UTF-8. */
void event_ring_add(event_ring *r, double time_s, event_kind kind, const char *who,
                    const char *text);
/* The oldest event after number `since` that is still there, or NULL. A number that was never given
 * (that of an earlier life) counts as 0. */
const event *event_ring_after(const event_ring *r, uint64_t since);
/* Append one event as a JSON object. */
RT_MUST_USE rt_status event_to_json(const event *e, rt_buf *out, rt_error *err);
/* Append all after `since`, with the newest number. */
RT_MUST_USE rt_status event_ring_to_json(const event_ring *r, uint64_t since, rt_buf *out,
                                         rt_error *err);

#endif
