/* The front of both queues: names, ownership, dispatch. */
#include "common/queue/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/queue/backend.h"

#define RUN_NAME_MAX 96 /* longer names are hashed, so that no two streams share a name */

void queue_names_of(const char *run, queue_names *out)
{
    char hex[RT_ID_HEX_SIZE];
    if (strlen(run) > RUN_NAME_MAX) {
        rt_id_to_hex(rt_id_of(run, strlen(run)), hex);
        run = hex;
    }
    snprintf(out->labels, sizeof out->labels, "retort:{%s}:labels", run);
    snprintf(out->batches, sizeof out->batches, "retort:{%s}:batches", run);
    snprintf(out->dead, sizeof out->dead, "retort:{%s}:dead", run);
}

void queue_entries_free(queue_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(entries[i].bytes);
        entries[i] = (queue_entry){0};
    }
}

void queue_close(queue *q)
{
    if (q != NULL) q->backend->close(q);
}

rt_status queue_ensure(queue *q, const char *stream, bool *made, rt_error *err)
{
    bool unused = false;
    return q->backend->ensure(q, stream, made != NULL ? made : &unused, err);
}

rt_status queue_add(queue *q, const char *stream, const void *bytes, size_t n_bytes,
                    uint32_t attempts, rt_error *err)
{
    rt_buf item = {.data = (char *)(uintptr_t)bytes, .n = n_bytes}; /* only read */
    return q->backend->add(q, stream, &item, 1, attempts, err);
}

rt_status queue_add_many(queue *q, const char *stream, const rt_buf *items, size_t n, rt_error *err)
{
    return q->backend->add(q, stream, items, n, 0, err);
}

rt_status queue_read(queue *q, const char *stream, const char *consumer, bool pending, size_t n_max,
                     uint64_t block_ms, queue_entry *entries, size_t *n, rt_error *err)
{
    *n = 0;
    if (n_max == 0) return RT_OK;
    return q->backend->read(q, stream, consumer, pending, n_max, block_ms, entries, n, err);
}

rt_status queue_ack(queue *q, const char *stream, const queue_entry *entries, size_t n,
                    rt_error *err)
{
    return n == 0 ? RT_OK : q->backend->ack(q, stream, entries, n, err);
}

rt_status queue_length(queue *q, const char *stream, uint64_t *out, rt_error *err)
{
    return q->backend->length(q, stream, out, err);
}

rt_status queue_newest(queue *q, const char *stream, size_t n_max, queue_entry *entries, size_t *n,
                       rt_error *err)
{
    *n = 0;
    return n_max == 0 ? RT_OK : q->backend->newest(q, stream, n_max, entries, n, err);
}

rt_status queue_requeue(queue *q, const char *stream, const char *consumer, uint64_t idle_ms,
                        uint32_t attempts_max, const char *dead, const char *reason,
                        size_t *n_requeued, size_t *n_dead, rt_error *err)
{
    queue_requeue_ask ask = {stream, consumer, idle_ms, attempts_max, dead, reason};
    size_t requeued = 0, died = 0;
    rt_status st = q->backend->requeue(q, &ask, &requeued, &died, err);
    if (n_requeued != NULL) *n_requeued = requeued;
    if (n_dead != NULL) *n_dead = died;
    return st;
}

rt_status queue_bury(queue *q, const char *stream, const queue_entry *entry, const char *dead,
                     const char *reason, rt_error *err)
{
    return q->backend->bury(q, stream, entry, dead, reason, err);
}

rt_status queue_drop(queue *q, const char *stream, rt_error *err)
{
    return q->backend->drop(q, stream, err);
}
