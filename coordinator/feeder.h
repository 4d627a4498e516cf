/* Which steps to put into BATCHES now, and when to put them in again. Pure.
 *
 *     version v          next                     limit
 *        │  published     │  to publish now ...     │  (mark, plan's end, lookahead)
 *        ▼────────────────▼─────────────────────────▼
 *
 * Steps go out whole, in order, once. After a rewind, a flush of Redis or a loss, publishing starts
 * again from v: repeats are harmless (the shards answer DUPLICATE or STALE).
 */
#ifndef RT_COORDINATOR_FEEDER_H
#define RT_COORDINATOR_FEEDER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct feeder_settings {
    uint64_t lookahead_steps;
    uint64_t batches_max;   /* micro-batches in the stream; one step always fits */
    uint64_t micro_batches; /* most micro-batches of a step */
    uint64_t stall_ms;      /* no gradient and no new version for so long: publish again; doubles
                               each time that did not help, so that slow students are not flooded */
} feeder_settings;

/* Zero-initialise and set `settings`; everything else is the feeder's. */
typedef struct feeder {
    feeder_settings settings;
    uint64_t version;
    uint64_t next;
    uint64_t resend_below; /* steps below were published before: only what is missing goes out */
    uint64_t
        before_below; /* steps below may lie in the stream from before: a resend, a rewind without
                              Redis, another life of the coordinator */
    bool began;
    uint64_t n_resends;
    uint64_t progress;    /* last seen measure of progress */
    uint64_t progress_ms; /* when it changed, or the last resend */
    unsigned n_stalls;    /* resends since it changed */
    uint64_t empty_ms;    /* since when the stream is seen empty while work is missing; 0: not */
} feeder;

/* What all shards hold now. */
void feeder_set_version(feeder *f, uint64_t version);
/* All shards restored `version`, which may be the one they held: publish everything from there. */
void feeder_rewind(feeder *f, uint64_t version);
/* The next step to publish, if any: below `limit`, planned, within the window. */
bool feeder_next(const feeder *f, uint64_t limit, uint64_t n_planned, uint64_t *step);
/* Step feeder_next() gave is in the stream. */
void feeder_published(feeder *f);
/* Whether a step that goes out now went out before. */
bool feeder_is_resend(const feeder *f, uint64_t step);
/* Of what may lie in the stream already, the step that is needed now is always published: another one,
 * of n_of_step micro-batches, waits while the stream holds too much, n_in_stream of n_max. */
bool feeder_must_wait(const feeder *f, uint64_t step, uint64_t n_in_stream, uint64_t n_of_step,
                      uint64_t n_max);
/* The stream may have lost entries: publish again from the version. */
void feeder_resend(feeder *f);
/* True when published work of the current step seems to be lost: nothing moved for stall_ms, or the
 * stream has been empty for a second while gradients are missing. `progress` is any number that
 * changes when a gradient arrives or a step is applied. Resets itself after each true. */
bool feeder_watch(feeder *f, uint64_t progress, bool is_gathering, bool stream_empty,
                  uint64_t now_ms);

#endif
