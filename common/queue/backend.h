/* What a queue can do, for its two implementations. Inside common/queue only. */
#ifndef RT_QUEUE_BACKEND_H
#define RT_QUEUE_BACKEND_H

#include "common/queue/queue.h"

typedef struct queue_requeue_ask {
    const char *stream;
    const char *consumer; /* NULL: anyone idle for idle_ms */
    uint64_t idle_ms;
    uint32_t attempts_max;
    const char *dead;
    const char *reason;
} queue_requeue_ask;

typedef struct queue_backend {
    void (*close)(queue *q);
    rt_status (*ensure)(queue *q, const char *stream, bool *made, rt_error *err);
    rt_status (*add)(queue *q, const char *stream, const rt_buf *items, size_t n, uint32_t attempts,
                     rt_error *err);
    rt_status (*read)(queue *q, const char *stream, const char *consumer, bool pending,
                      size_t n_max, uint64_t block_ms, queue_entry *entries, size_t *n,
                      rt_error *err);
    rt_status (*ack)(queue *q, const char *stream, const queue_entry *entries, size_t n,
                     rt_error *err);
    rt_status (*length)(queue *q, const char *stream, uint64_t *out, rt_error *err);
    rt_status (*newest)(queue *q, const char *stream, size_t n_max, queue_entry *entries, size_t *n,
                        rt_error *err);
    rt_status (*requeue)(queue *q, const queue_requeue_ask *ask, size_t *n_requeued, size_t *n_dead,
                         rt_error *err);
    rt_status (*bury)(queue *q, const char *stream, const queue_entry *entry, const char *dead,
                      const char *reason, rt_error *err);
    rt_status (*drop)(queue *q, const char *stream, rt_error *err);
} queue_backend;

/* First member of both. */
struct queue {
    const queue_backend *backend;
};

#endif
