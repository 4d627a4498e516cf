/* Which of many waits is over first: a binary heap of (time, number). Pure.
 *
 *     due_queue_add(&q, i_ask, due_ms);
 *     if (due_queue_first(&q, &i_ask, &due_ms) && due_ms <= now_ms) due_queue_drop_first(&q);
 */
#ifndef RT_WORKER_TEACHER_OPENAI_DUE_QUEUE_H
#define RT_WORKER_TEACHER_OPENAI_DUE_QUEUE_H

#include "common/base/status.h"

typedef struct due_item {
    uint64_t due_ms;
    size_t i;
} due_item;

/* Zero-initialise; due_queue_free(). */
typedef struct due_queue {
    due_item *items;
    size_t n, capacity;
} due_queue;

/* Room for n_max items, once. */
RT_MUST_USE rt_status due_queue_init(due_queue *q, size_t n_max, rt_error *err);
void due_queue_free(due_queue *q);
/* There must be room. Of equal times the smaller number is first. */
void due_queue_add(due_queue *q, size_t i, uint64_t due_ms);
bool due_queue_first(const due_queue *q, size_t *i, uint64_t *due_ms);
void due_queue_drop_first(due_queue *q);

#endif
