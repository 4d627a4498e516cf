#include "worker/teacher/openai/due_queue.h"

#include <stdlib.h>

#include "common/base/bytes.h"

rt_status due_queue_init(due_queue *q, size_t n_max, rt_error *err)
{
    q->items = rt_calloc(n_max, sizeof *q->items);
    if (q->items == NULL) return rt_fail(err, RT_NOMEM, "queue of %zu requests", n_max);
    q->capacity = n_max;
    return RT_OK;
}

void due_queue_free(due_queue *q)
{
    free(q->items);
    *q = (due_queue){0};
}

static bool is_before(due_item a, due_item b)
{
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.i < b.i;
}

static void swap(due_item *a, due_item *b)
{
    due_item t = *a;
    *a = *b;
    *b = t;
}

void due_queue_add(due_queue *q, size_t i, uint64_t due_ms)
{
    RT_ASSERT(q->n < q->capacity);
    size_t at = q->n++;
    q->items[at] = (due_item){.due_ms = due_ms, .i = i};
    for (; at > 0 && is_before(q->items[at], q->items[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&q->items[at], &q->items[(at - 1) / 2]);
}

bool due_queue_first(const due_queue *q, size_t *i, uint64_t *due_ms)
{
    if (q->n == 0) return false;
    *i = q->items[0].i;
    *due_ms = q->items[0].due_ms;
    return true;
}

void due_queue_drop_first(due_queue *q)
{
    RT_ASSERT(q->n > 0);
    q->items[0] = q->items[--q->n];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < q->n; child++)
            if (is_before(q->items[child], q->items[least])) least = child;
        if (least == at) return;
        swap(&q->items[at], &q->items[least]);
        at = least;
    }
}
