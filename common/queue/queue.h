/* The queue: Redis Streams with one consumer group each, and an in-memory twin for unit tests.
 *
 * Delivery is at least once; ids of the content make the effect exactly once. An entry is deleted
 * only after its acknowledgement. After a lost connection the context is thrown away and made anew.
 *
 *     queue *q = NULL;
 *     queue_open_redis("unix:runs/x/redis.sock", "", &q, err);
 *     queue_names names; queue_names_of("x", &names);
 *     queue_ensure(q, names.labels, err);
 *     queue_add(q, names.labels, bytes, n, 0, err);
 *     queue_read(q, names.labels, "coordinator", 100, 50, entries, &n, err);
 *     ... make it durable ...
 *     queue_ack(q, names.labels, entries, n, err);
 */
#ifndef RT_QUEUE_QUEUE_H
#define RT_QUEUE_QUEUE_H

#include "common/queue/login.h"

typedef struct queue queue;

#define QUEUE_ENTRY_ID_SIZE 48
#define QUEUE_GROUP         "retort"

/* retort:{RUN}:labels and so on; the braces keep a run in one cluster slot. */
typedef struct queue_names {
    char labels[128];
    char batches[128];
    char dead[128];
} queue_names;
void queue_names_of(const char *run, queue_names *out);

/* Owned by the caller; freed by queue_entries_free(). */
typedef struct queue_entry {
    char id[QUEUE_ENTRY_ID_SIZE];
    void *bytes;
    size_t n_bytes;
    uint32_t attempts; /* deliveries that failed before this one, carried along on re-adding */
} queue_entry;
void queue_entries_free(queue_entry *entries, size_t n);

/* "redis://HOST:PORT", "rediss://HOST:PORT" (TLS) or "unix:PATH". Connects at once: RT_UNAVAILABLE,
 * RT_REFUSED for a wrong password, RT_UNSUPPORTED for a server older than 6.2 and for TLS without
 * it. Every later call has a deadline of its own and reconnects
 * once; RT_UNAVAILABLE means try later. RT_NOTFOUND from any call means that the stream or its
 * group is gone (flushed): the coordinator calls queue_ensure() and re-sends. */
RT_MUST_USE rt_status queue_open_redis(const char *url, const char *password, queue **out,
                                       rt_error *err);
RT_MUST_USE rt_status queue_open_redis_as(const char *url, const queue_login *login, queue **out,
                                          rt_error *err);
/* What queue_open_redis_as() says before it connects: RT_INVALID, RT_UNSUPPORTED. */
RT_MUST_USE rt_status queue_check_url(const char *url, const queue_login *login, rt_error *err);
/* The in-memory twin: one process, one thread; same behaviour, driven by a fake clock for idle
 * times. */
RT_MUST_USE rt_status queue_open_memory(const uint64_t *now_ms, queue **out, rt_error *err);
void queue_close(queue *q);

/* Make stream and group if they are not there; *made (may be NULL) tells. */
RT_MUST_USE rt_status queue_ensure(queue *q, const char *stream, bool *made, rt_error *err);
RT_MUST_USE rt_status queue_add(queue *q, const char *stream, const void *bytes, size_t n_bytes,
                                uint32_t attempts, rt_error *err);
/* Several at once, pipelined. */
RT_MUST_USE rt_status queue_add_many(queue *q, const char *stream, const rt_buf *items, size_t n,
                                     rt_error *err);
/* Up to n_max new entries for `consumer`; *n may be 0 after block_ms. Entries that this consumer
 * already holds unacknowledged are handed out first when `pending` is true (after a restart); they
 * are also handed out once more after a lost connection, since their first delivery may have been
 * lost with it. Entries without a body (ghosts) or of a foreign form are acknowledged and skipped. */
RT_MUST_USE rt_status queue_read(queue *q, const char *stream, const char *consumer, bool pending,
                                 size_t n_max, uint64_t block_ms, queue_entry *entries, size_t *n,
                                 rt_error *err);
/* Acknowledge, then delete. */
RT_MUST_USE rt_status queue_ack(queue *q, const char *stream, const queue_entry *entries, size_t n,
                                rt_error *err);
/* Entries in the stream, read or not; 0 when it does not exist. */
RT_MUST_USE rt_status queue_length(queue *q, const char *stream, uint64_t *out, rt_error *err);
/* Up to n_max entries, newest first, whoever may hold them; nothing is changed. The caller frees them. */
RT_MUST_USE rt_status queue_newest(queue *q, const char *stream, size_t n_max, queue_entry *entries,
                                   size_t *n, rt_error *err);
/* Entries of a dead consumer, or of anyone idle longer than idle_ms when consumer is NULL, go back
 * to the stream as new entries with attempts + 1; those beyond attempts_max go to `dead` with
 * `reason`. Re-adding and deleting is one transaction, so no crash loses an entry. */
RT_MUST_USE rt_status queue_requeue(queue *q, const char *stream, const char *consumer,
                                    uint64_t idle_ms, uint32_t attempts_max, const char *dead,
                                    const char *reason, size_t *n_requeued, size_t *n_dead,
                                    rt_error *err);
/* Put one entry aside with its reason, then acknowledge and delete it. */
RT_MUST_USE rt_status queue_bury(queue *q, const char *stream, const queue_entry *entry,
                                 const char *dead, const char *reason, rt_error *err);
/* Drop a stream and its group. */
RT_MUST_USE rt_status queue_drop(queue *q, const char *stream, rt_error *err);

#endif
