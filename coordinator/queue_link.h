/* The coordinator's connection to Redis: comes and goes, is made anew, and says when what was in the
 * streams may be lost.
 *
 *     queue *q = queue_link_get(link, now_ms);       // NULL while Redis is away
 *     if (q != NULL && (st = queue_add(q, ...)) != RT_OK) queue_link_failed(link, st, &err, now_ms);
 *     if (queue_link_take_reset(link)) ... publish again ...
 */
#ifndef RT_COORDINATOR_QUEUE_LINK_H
#define RT_COORDINATOR_QUEUE_LINK_H

#include "common/queue/queue.h"

typedef struct queue_link queue_link;

/* Keeps url and what login points to until it is closed. RT_INVALID or RT_UNSUPPORTED for a URL
 * that can never do. Opens nothing yet. What an earlier process left in BATCHES is dropped (it is
 * published again); is_new also drops LABELS and the dead letters: they are those of another run
 * that had this name. Returns new; queue_link_close(). */
RT_MUST_USE rt_status queue_link_new(const char *url, const queue_login *login, const char *run,
                                     bool is_new, queue_link **out, rt_error *err);
void queue_link_close(queue_link *l);
const queue_names *queue_link_names(const queue_link *l);

/* The queue with its streams and groups made, or NULL while Redis cannot be reached; tries again
 * every half second. */
queue *queue_link_get(queue_link *l, uint64_t now_ms);
/* A call failed: RT_UNAVAILABLE (try later) and RT_NOTFOUND (flushed) are Redis' condition and are
 * taken; anything else is handed back as it is. */
rt_status queue_link_failed(queue_link *l, rt_status st, const rt_error *why, uint64_t now_ms);
/* True once after each time the streams may have lost entries. */
bool queue_link_take_reset(queue_link *l);
/* Empty the stream BATCHES, which then holds only what is published from now on. Best effort: where
 * Redis does not answer, students find their way through what is left. */
void queue_link_clear_batches(queue_link *l, uint64_t now_ms);
/* Why Redis cannot be used now, or "". */
const char *queue_link_problem(const queue_link *l);
uint64_t queue_link_n_errors(const queue_link *l);

#endif
