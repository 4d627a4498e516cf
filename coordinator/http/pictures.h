/* What watchers may see of the run. The coordinator's loop puts things in, threads of the HTTP server
 * take copies; nobody looks into the coordinator itself.
 *
 *     pictures_put(p, PICTURE_STATS, &json);              // the loop; takes the bytes
 *     pictures_event(p, EVENT_MEMBER, "student-1", "joined");
 *     ...
 *     pictures_copy(p, PICTURE_STATS, &out, err);         // any thread
 *     pictures_next(p, &place, now_ms, &out, err);        // what a stream has not seen yet
 *
 * One mutex guards all of it and is held for copies and single lines only. Everything in it is bounded:
 * HISTORY_POINTS_MAX points, EVENT_RING_MAX events, RECENT_ROWS_MAX rows. */
#ifndef RT_COORDINATOR_HTTP_PICTURES_H
#define RT_COORDINATOR_HTTP_PICTURES_H

#include "coordinator/event_ring.h"
#include "coordinator/history.h"

typedef enum picture { PICTURE_STATS, PICTURE_METRICS, PICTURE_ROWS, PICTURE_COUNT } picture;

typedef struct pictures pictures;

/* The first event gets number first_seq, so that those of a restarted coordinator go on growing.
 * Returns new; pictures_free(). */
RT_MUST_USE rt_status pictures_new(uint64_t first_seq, pictures **out, rt_error *err);
void pictures_free(pictures *p);

/* ---- the loop ---- */

/* Takes the bytes: one line with its newline (PICTURE_METRICS: more); *text is empty afterwards. */
void pictures_put(pictures *p, picture which, rt_buf *text);
/* Why the run is not ready to work, "" when it is. */
void pictures_set_ready(pictures *p, const char *why_not);
/* NULL for p: nothing happens. */
void pictures_event(pictures *p, event_kind kind, const char *who, const char *text);
/* The history, for the one thread that changes it. */
history *pictures_history(pictures *p);
/* The loop's thread is about to change the history, or has done so. */
void pictures_lock(pictures *p);
void pictures_unlock(pictures *p);

/* ---- any thread ---- */

/* Append it. RT_NOTFOUND when there is none yet. */
RT_MUST_USE rt_status pictures_copy(pictures *p, picture which, rt_buf *out, rt_error *err);
/* "starting" before the first. */
void pictures_get_ready(pictures *p, char *why_not, size_t n);
/* Append what came after number `since`, as /api/history and /api/events show it. */
RT_MUST_USE rt_status pictures_history_json(pictures *p, uint64_t since, rt_buf *out,
                                            rt_error *err);
RT_MUST_USE rt_status pictures_events_json(pictures *p, uint64_t since, rt_buf *out, rt_error *err);

/* What a stream has been sent. */
typedef struct picture_place {
    uint64_t stats, rows;          /* version of the picture */
    uint64_t event_seq, point_seq; /* numbers */
    uint64_t stats_ms, rows_ms, any_ms;
} picture_place;

/* From now on: only the pictures themselves are new. */
void pictures_place_now(pictures *p, picture_place *out);
/* Append what is new as server-sent events, or nothing: stats once a second, rows every 2 s at most. */
RT_MUST_USE rt_status pictures_next(pictures *p, picture_place *at, uint64_t now_ms, rt_buf *out,
                                    rt_error *err);

#endif
