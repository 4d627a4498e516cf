/* As much of a coordinator as students and shards need: it registers everybody, gives the shards
 * their orders, and feeds micro-batches that are a function of (step, index). No plan, no dataset.
 *
 *     toy_coordinator *t = toy_coordinator_new("toy", "unix:redis.sock", 2, 40, 48, folder);
 *     ... start workers with net.coordinator = toy_endpoint(t) ...
 *     while (!toy_is_finished(t)) toy_turn(t);
 *     toy_coordinator_free(t);
 */
#ifndef RT_TESTS_TOY_COORDINATOR_H
#define RT_TESTS_TOY_COORDINATOR_H

#include "common/net/endpoint.h"
#include "common/queue/queue.h"

#define TOY_MICRO_BATCHES 5
#define TOY_LOOKAHEAD     4 /* steps in the stream; train.staleness_max is below */

typedef struct toy_coordinator toy_coordinator;

toy_coordinator *toy_coordinator_new(const char *run, const char *queue_url, uint32_t n_shards,
                                     uint64_t n_steps, uint32_t n_vocab, const char *checkpoints);
void toy_coordinator_free(toy_coordinator *t);
const char *toy_endpoint(const toy_coordinator *t);

/* Wait a little for messages, handle them, feed. */
void toy_turn(toy_coordinator *t);
/* Trained, saved and scored: everybody is told to leave. */
bool toy_is_finished(const toy_coordinator *t);
uint64_t toy_version(const toy_coordinator *t);

/* A worker died: what it held goes back to the stream. */
void toy_requeue(toy_coordinator *t, const char *consumer);
/* Flush the queue, as when Redis lost its data; then feed again. */
void toy_flush(toy_coordinator *t);
/* Go back to version 0, as after a shard died before the first checkpoint. */
void toy_rewind(toy_coordinator *t);

/* Over all micro-batches of the evaluation. */
wire_sums toy_scores(const toy_coordinator *t);
/* A counter in student-0's newest heartbeat. */
double toy_student_counter(const toy_coordinator *t, const char *name);
/* What student-0 was doing then. */
const char *toy_student_busy(const toy_coordinator *t);
double toy_last_norm(const toy_coordinator *t);
/* Since the newest start from version 0, by any shard: micro-batches of applied steps, each of which had
 * all of its own, and how many versions one was behind its step at most. */
uint64_t toy_n_counted(const toy_coordinator *t);
uint64_t toy_staleness_max(const toy_coordinator *t);

#endif
