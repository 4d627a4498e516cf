#include "coordinator/event_ring.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/cut_text.h"

#define REPEAT_S     60
#define REPEATS_SEEN 16 /* events back */

const char *event_kind_name(event_kind kind)
{
    static const char *const names[EVENT_KINDS] = {
        [EVENT_RUN] = "run",
        [EVENT_MEMBER] = "member",
        [EVENT_LEASE] = "lease",
        [EVENT_QUEUE] = "queue",
        [EVENT_CHECKPOINT] = "checkpoint",
        [EVENT_EVALUATION] = "evaluation",
        [EVENT_REWIND] = "rewind",
        [EVENT_PROBLEM] = "problem",
        [EVENT_MONEY] = "money",
    };
    return names[kind];
}

/* The i-th newest, 0 the newest. */
static const event *newest(const event_ring *r, size_t i)
{
    return &r->events[(r->seq - i) % EVENT_RING_MAX];
}

static bool was_said(const event_ring *r, const event *e)
{
    for (size_t i = 0; i < r->n && i < REPEATS_SEEN; i++) {
        const event *old = newest(r, i);
        if (e->time_s - old->time_s > REPEAT_S) return false;
        if (old->kind == e->kind && strcmp(old->who, e->who) == 0 &&
            strcmp(old->text, e->text) == 0)
            return true;
    }
    return false;
}

void event_ring_add(event_ring *r, double time_s, event_kind kind, const char *who,
                    const char *text)
{
    event e = {.seq = r->seq + 1, .time_s = time_s, .kind = kind};
    cut_text(who, e.who, sizeof e.who);
    cut_text(text, e.text, sizeof e.text);
    if (kind == EVENT_PROBLEM && was_said(r, &e)) return;
    r->seq++;
    r->events[r->seq % EVENT_RING_MAX] = e;
    if (r->n < EVENT_RING_MAX) r->n++;
}

const event *event_ring_after(const event_ring *r, uint64_t since)
{
    if (since > r->seq) since = 0;
    if (r->n == 0 || since == r->seq) return NULL;
    uint64_t first = r->seq - r->n + 1;
    return &r->events[RT_MAX(since + 1, first) % EVENT_RING_MAX];
}

rt_status event_to_json(const event *e, rt_buf *out, rt_error *err)
{
    json_t *top =
        json_pack("{s:I, s:f, s:s, s:s, s:s}", "seq", (json_int_t)e->seq, "time", e->time_s, "kind",
                  event_kind_name(e->kind), "who", e->who, "text", e->text);
    char *text = top == NULL ? NULL : json_dumps(top, JSON_COMPACT | JSON_REAL_PRECISION(14));
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "event") : rt_buf_add_text(out, text, err);
    free(text);
    json_decref(top);
    return st;
}

rt_status event_ring_to_json(const event_ring *r, uint64_t since, rt_buf *out, rt_error *err)
{
    rt_status st =
        rt_buf_printf(out, err, "{\"seq\":%llu,\"events\":[", (unsigned long long)r->seq);
    bool first = true;
    for (const event *e = event_ring_after(r, since); st == RT_OK && e != NULL;
         e = e->seq == r->seq ? NULL : event_ring_after(r, e->seq)) {
        if (!first) st = rt_buf_add_text(out, ",", err);
        first = false;
        if (st == RT_OK) st = event_to_json(e, out, err);
    }
    return st == RT_OK ? rt_buf_add_text(out, "]}\n", err) : st;
}
