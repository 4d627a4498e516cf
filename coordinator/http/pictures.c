#include "coordinator/http/pictures.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/http_server/sse.h"

/* A little less than what is promised: pictures come each 250 ms, and a second is four of them. */
#define STATS_MS 900
#define ROWS_MS  1900
#define ALIVE_MS 5000 /* of silence, then a comment */

struct pictures {
    pthread_mutex_t mutex; /* guards all below */
    rt_buf pages[PICTURE_COUNT];
    uint64_t versions[PICTURE_COUNT];
    char why_not_ready[256];
    event_ring events;
    history history;
};

rt_status pictures_new(uint64_t first_seq, pictures **out, rt_error *err)
{
    pictures *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "pictures of the run");
    pthread_mutex_init(&p->mutex, NULL);
    snprintf(p->why_not_ready, sizeof p->why_not_ready, "starting");
    p->events.seq = first_seq - 1;
    history_start(&p->history);
    *out = p;
    return RT_OK;
}

void pictures_free(pictures *p)
{
    if (p == NULL) return;
    for (int i = 0; i < PICTURE_COUNT; i++) rt_buf_free(&p->pages[i]);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

void pictures_lock(pictures *p)
{
    pthread_mutex_lock(&p->mutex);
}

void pictures_unlock(pictures *p)
{
    pthread_mutex_unlock(&p->mutex);
}

history *pictures_history(pictures *p)
{
    return &p->history;
}

void pictures_put(pictures *p, picture which, rt_buf *text)
{
    pictures_lock(p);
    rt_buf old = p->pages[which];
    p->pages[which] = *text;
    p->versions[which]++;
    pictures_unlock(p);
    *text = (rt_buf){0};
    rt_buf_free(&old);
}

void pictures_set_ready(pictures *p, const char *why_not)
{
    pictures_lock(p);
    snprintf(p->why_not_ready, sizeof p->why_not_ready, "%s", why_not);
    pictures_unlock(p);
}

void pictures_event(pictures *p, event_kind kind, const char *who, const char *text)
{
    if (p == NULL) return;
    pictures_lock(p);
    event_ring_add(&p->events, (double)rt_clock_wall_ms() / 1000.0, kind, who, text);
    pictures_unlock(p);
}

rt_status pictures_copy(pictures *p, picture which, rt_buf *out, rt_error *err)
{
    pictures_lock(p);
    const rt_buf *page = &p->pages[which];
    rt_status st = page->n == 0 ? rt_fail(err, RT_NOTFOUND, "starting")
                                : rt_buf_add(out, page->data, page->n, err);
    pictures_unlock(p);
    return st;
}

void pictures_get_ready(pictures *p, char *why_not, size_t n)
{
    pictures_lock(p);
    snprintf(why_not, n, "%s", p->why_not_ready);
    pictures_unlock(p);
}

/* A copy of `part` of the pictures, which free() frees, or NULL. What is rendered from it takes a while, and the loop
 * must not wait for that. */
static void *copy_part(pictures *p, const void *part, size_t n)
{
    void *copy = malloc(n);
    if (copy == NULL) return NULL;
    pictures_lock(p);
    memcpy(copy, part, n);
    pictures_unlock(p);
    return copy;
}

rt_status pictures_history_json(pictures *p, uint64_t since, rt_buf *out, rt_error *err)
{
    history *copy = copy_part(p, &p->history, sizeof *copy);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "history");
    rt_status st = history_to_json(copy, since, out, err);
    free(copy);
    return st;
}

rt_status pictures_events_json(pictures *p, uint64_t since, rt_buf *out, rt_error *err)
{
    event_ring *copy = copy_part(p, &p->events, sizeof *copy);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "events");
    rt_status st = event_ring_to_json(copy, since, out, err);
    free(copy);
    return st;
}

/* ---- streams ---- */

void pictures_place_now(pictures *p, picture_place *out)
{
    pictures_lock(p);
    *out = (picture_place){.event_seq = p->events.seq, .point_seq = p->history.seq};
    pictures_unlock(p);
}

/* The rest of these is called with the mutex held. */
static rt_status add_page(const pictures *p, picture which, const char *name, uint64_t every_ms,
                          uint64_t now_ms, uint64_t *version, uint64_t *sent_ms, rt_buf *out,
                          rt_error *err)
{
    const rt_buf *page = &p->pages[which];
    bool due = *sent_ms == 0 || now_ms - *sent_ms >= every_ms;
    if (page->n == 0 || p->versions[which] == *version || !due) return RT_OK;
    rt_status st = rt_buf_printf(out, err, "event: %s\ndata: ", name);
    if (st == RT_OK) st = rt_buf_add(out, page->data, page->n, err); /* with its newline */
    if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    *version = p->versions[which];
    *sent_ms = now_ms;
    return st;
}

static rt_status add_events(const pictures *p, picture_place *at, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf text = {0};
    while (st == RT_OK && at->event_seq < p->events.seq) {
        const event *e = event_ring_after(&p->events, at->event_seq);
        at->event_seq = e->seq;
        rt_buf_clear(&text);
        st = event_to_json(e, &text, err);
        if (st == RT_OK) st = sse_add_event(out, "event", text.data, err);
    }
    rt_buf_free(&text);
    return st;
}

static rt_status add_points(const pictures *p, picture_place *at, rt_buf *out, rt_error *err)
{
    const history *h = &p->history;
    rt_status st = RT_OK;
    rt_buf text = {0};
    size_t i = h->n, k = h->n_evaluations;
    while (i > 0 && h->points[i - 1].seq > at->point_seq) i--;
    while (k > 0 && h->evaluations[k - 1].seq > at->point_seq) k--;
    for (; st == RT_OK && i < h->n; i++) {
        rt_buf_clear(&text);
        st = history_point_to_json(&h->points[i], &text, err);
        if (st == RT_OK) st = sse_add_event(out, "point", text.data, err);
    }
    for (; st == RT_OK && k < h->n_evaluations; k++) {
        rt_buf_clear(&text);
        st = history_evaluation_to_json(&h->evaluations[k], &text, err);
        if (st == RT_OK) st = sse_add_event(out, "evaluation", text.data, err);
    }
    at->point_seq = h->seq;
    rt_buf_free(&text);
    return st;
}

rt_status pictures_next(pictures *p, picture_place *at, uint64_t now_ms, rt_buf *out, rt_error *err)
{
    size_t n = out->n;
    pictures_lock(p);
    rt_status st =
        add_page(p, PICTURE_STATS, "stats", STATS_MS, now_ms, &at->stats, &at->stats_ms, out, err);
    if (st == RT_OK) st = add_points(p, at, out, err);
    if (st == RT_OK) st = add_events(p, at, out, err);
    if (st == RT_OK)
        st = add_page(p, PICTURE_ROWS, "rows", ROWS_MS, now_ms, &at->rows, &at->rows_ms, out, err);
    pictures_unlock(p);
    if (st == RT_OK && out->n == n && now_ms - at->any_ms >= ALIVE_MS)
        st = sse_add_comment(out, "still here", err);
    if (out->n > n) at->any_ms = now_ms;
    return st;
}
