/* The in-memory twin: a few small streams, each an array in the order of addition. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/queue/backend.h"

typedef struct item {
    uint64_t id;
    char *bytes;
    size_t n_bytes;
    uint32_t attempts;
    char *consumer; /* who holds it unacknowledged; NULL: not read yet */
    uint64_t delivered_ms;
} item;

typedef struct stream {
    char name[128];
    bool has_group;
    item *items;
    size_t n_items, capacity;
} stream;

typedef struct memory_queue {
    queue base;
    const uint64_t *now_ms;
    uint64_t next_id;
    stream *streams;
    size_t n_streams;
} memory_queue;

static stream *find(memory_queue *q, const char *name)
{
    for (size_t i = 0; i < q->n_streams; i++)
        if (strcmp(q->streams[i].name, name) == 0) return &q->streams[i];
    return NULL;
}

static stream *find_or_make(memory_queue *q, const char *name, rt_error *err)
{
    stream *s = find(q, name);
    if (s != NULL) return s;
    if (strlen(name) >= sizeof s->name) {
        (void)rt_fail(err, RT_INVALID, "stream name '%.32s...' is too long", name);
        return NULL;
    }
    stream *more = realloc(q->streams, (q->n_streams + 1) * sizeof *more);
    if (more == NULL) {
        (void)rt_fail(err, RT_NOMEM, "stream %s", name);
        return NULL;
    }
    q->streams = more;
    s = &more[q->n_streams++];
    *s = (stream){0};
    memcpy(s->name, name, strlen(name) + 1);
    return s;
}

static rt_status with_group(memory_queue *q, const char *name, stream **out, rt_error *err)
{
    stream *s = find(q, name);
    if (s == NULL || !s->has_group)
        return rt_fail(err, RT_NOTFOUND, "stream %s or its group is gone", name);
    *out = s;
    return RT_OK;
}

static void item_free(item *it)
{
    free(it->bytes);
    free(it->consumer);
}

static void remove_at(stream *s, size_t i)
{
    item_free(&s->items[i]);
    memmove(&s->items[i], &s->items[i + 1], (s->n_items - i - 1) * sizeof *s->items);
    s->n_items--;
}

static rt_status push(memory_queue *q, stream *s, const void *bytes, size_t n, uint32_t attempts,
                      rt_error *err)
{
    if (s->n_items == s->capacity) {
        size_t capacity = s->capacity == 0 ? 16 : 2 * s->capacity;
        item *items = realloc(s->items, capacity * sizeof *items);
        if (items == NULL) return rt_fail(err, RT_NOMEM, "stream %s", s->name);
        s->items = items;
        s->capacity = capacity;
    }
    item it = {.id = q->next_id, .n_bytes = n, .attempts = attempts};
    it.bytes = rt_strndup(n > 0 ? bytes : "", n);
    if (it.bytes == NULL) return rt_fail(err, RT_NOMEM, "entry of %zu bytes", n);
    q->next_id++;
    s->items[s->n_items++] = it;
    return RT_OK;
}

static void memory_close(queue *base)
{
    memory_queue *q = (memory_queue *)base;
    for (size_t i = 0; i < q->n_streams; i++) {
        for (size_t j = 0; j < q->streams[i].n_items; j++) item_free(&q->streams[i].items[j]);
        free(q->streams[i].items);
    }
    free(q->streams);
    free(q);
}

static rt_status memory_ensure(queue *base, const char *name, bool *made, rt_error *err)
{
    rt_error own = {0};
    stream *s = find_or_make((memory_queue *)base, name, &own);
    if (s == NULL) return rt_fail(err, own.status, "%s", own.text);
    *made = !s->has_group;
    s->has_group = true;
    return RT_OK;
}

static rt_status memory_add(queue *base, const char *name, const rt_buf *items, size_t n,
                            uint32_t attempts, rt_error *err)
{
    memory_queue *q = (memory_queue *)base;
    stream *s = NULL;
    rt_status st = with_group(q, name, &s, err);
    for (size_t i = 0; i < n && st == RT_OK; i++)
        st = push(q, s, items[i].data, items[i].n, attempts, err);
    return st;
}

static rt_status copy_out(const item *it, queue_entry *entry, rt_error *err)
{
    char *bytes = rt_strndup(it->bytes, it->n_bytes);
    if (bytes == NULL) return rt_fail(err, RT_NOMEM, "entry of %zu bytes", it->n_bytes);
    *entry = (queue_entry){.bytes = bytes, .n_bytes = it->n_bytes, .attempts = it->attempts};
    snprintf(entry->id, sizeof entry->id, "%" PRIu64 "-0", it->id);
    return RT_OK;
}

static rt_status hand_out(memory_queue *q, item *it, const char *consumer, queue_entry *entry,
                          rt_error *err)
{
    char *holder = rt_strndup(consumer, strlen(consumer));
    if (holder == NULL) return rt_fail(err, RT_NOMEM, "entry of %zu bytes", it->n_bytes);
    rt_status st = copy_out(it, entry, err);
    if (st != RT_OK) {
        free(holder);
        return st;
    }
    free(it->consumer);
    it->consumer = holder;
    it->delivered_ms = *q->now_ms;
    return RT_OK;
}

static rt_status memory_read(queue *base, const char *name, const char *consumer, bool pending,
                             size_t n_max, uint64_t block_ms, queue_entry *entries, size_t *n,
                             rt_error *err)
{
    memory_queue *q = (memory_queue *)base;
    stream *s = NULL;
    rt_status st = with_group(q, name, &s, err);
    (void)block_ms; /* one thread: nothing could come while it waits */
    if (st != RT_OK || s == NULL) return st;
    for (int round = pending ? 0 : 1; round < 2 && *n == 0 && st == RT_OK; round++)
        for (size_t i = 0; i < s->n_items && *n < n_max && st == RT_OK; i++) {
            item *it = &s->items[i];
            bool mine = it->consumer != NULL && strcmp(it->consumer, consumer) == 0;
            if (round == 0 ? !mine : it->consumer != NULL) continue;
            st = hand_out(q, it, consumer, &entries[*n], err);
            if (st == RT_OK) (*n)++;
        }
    if (st != RT_OK) {
        queue_entries_free(entries, *n);
        *n = 0;
    }
    return st;
}

static bool find_pending(const stream *s, const char *id, size_t *out)
{
    uint64_t n = strtoull(id, NULL, 10);
    for (size_t i = 0; i < s->n_items; i++)
        if (s->items[i].id == n && s->items[i].consumer != NULL) {
            *out = i;
            return true;
        }
    return false;
}

static rt_status memory_ack(queue *base, const char *name, const queue_entry *entries, size_t n,
                            rt_error *err)
{
    stream *s = find((memory_queue *)base, name);
    (void)err;
    for (size_t i = 0; s != NULL && i < n; i++) {
        size_t at = 0;
        if (find_pending(s, entries[i].id, &at)) remove_at(s, at);
    }
    return RT_OK;
}

static rt_status memory_length(queue *base, const char *name, uint64_t *out, rt_error *err)
{
    const stream *s = find((memory_queue *)base, name);
    (void)err;
    *out = s == NULL ? 0 : s->n_items;
    return RT_OK;
}

static rt_status memory_newest(queue *base, const char *name, size_t n_max, queue_entry *entries,
                               size_t *n, rt_error *err)
{
    const stream *s = find((memory_queue *)base, name);
    rt_status st = RT_OK;
    for (size_t i = s == NULL ? 0 : s->n_items; i > 0 && *n < n_max && st == RT_OK; i--) {
        st = copy_out(&s->items[i - 1], &entries[*n], err);
        if (st == RT_OK) (*n)++;
    }
    if (st != RT_OK) {
        queue_entries_free(entries, *n);
        *n = 0;
    }
    return st;
}

static rt_status memory_requeue(queue *base, const queue_requeue_ask *ask, size_t *n_requeued,
                                size_t *n_dead, rt_error *err)
{
    memory_queue *q = (memory_queue *)base;
    rt_error own = {0};
    stream *s = NULL;
    rt_status st = with_group(q, ask->stream, &s, err);
    if (st != RT_OK) return st;
    stream *dead = find_or_make(q, ask->dead, &own);
    if (dead == NULL) return rt_fail(err, own.status, "%s", own.text);
    s = find(q, ask->stream); /* the array may have moved */
    size_t i = 0;
    for (size_t n_left = s->n_items; n_left > 0 && st == RT_OK; n_left--) {
        const item *it = &s->items[i];
        bool theirs = it->consumer != NULL &&
                      (ask->consumer != NULL ? strcmp(it->consumer, ask->consumer) == 0
                                             : *q->now_ms - it->delivered_ms >= ask->idle_ms);
        if (!theirs) {
            i++;
            continue;
        }
        bool dies = it->attempts >= ask->attempts_max;
        char *bytes = it->bytes; /* the array may move while it grows */
        st = push(q, dies ? dead : s, bytes, it->n_bytes, it->attempts + 1, err);
        if (st != RT_OK) break;
        (*(dies ? n_dead : n_requeued))++;
        remove_at(s, i);
    }
    return st;
}

static rt_status memory_bury(queue *base, const char *name, const queue_entry *entry,
                             const char *dead_name, const char *reason, rt_error *err)
{
    memory_queue *q = (memory_queue *)base;
    rt_error own = {0};
    size_t at = 0;
    (void)reason;
    stream *dead = find_or_make(q, dead_name, &own);
    if (dead == NULL) return rt_fail(err, own.status, "%s", own.text);
    stream *s = find(q, name);
    if (s == NULL || !find_pending(s, entry->id, &at)) return RT_OK; /* somebody else did */
    rt_status st = push(q, dead, entry->bytes, entry->n_bytes, entry->attempts, err);
    if (st == RT_OK) remove_at(s, at);
    return st;
}

static rt_status memory_drop(queue *base, const char *name, rt_error *err)
{
    memory_queue *q = (memory_queue *)base;
    stream *s = find(q, name);
    (void)err;
    if (s == NULL) return RT_OK;
    while (s->n_items > 0) remove_at(s, s->n_items - 1);
    free(s->items);
    *s = q->streams[--q->n_streams];
    return RT_OK;
}

static const queue_backend memory_backend = {
    memory_close,  memory_ensure, memory_add,     memory_read, memory_ack,
    memory_length, memory_newest, memory_requeue, memory_bury, memory_drop,
};

rt_status queue_open_memory(const uint64_t *now_ms, queue **out, rt_error *err)
{
    memory_queue *q = rt_calloc(1, sizeof *q);
    if (q == NULL) return rt_fail(err, RT_NOMEM, "queue");
    q->base.backend = &memory_backend;
    q->now_ms = now_ms;
    q->next_id = 1;
    *out = &q->base;
    return RT_OK;
}
