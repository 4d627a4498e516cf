#include "cli/watch/link.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"

#define TIMEOUT_MS 1000

/* A coordinator that starts again may have another port. */
static rt_status find_coordinator(watch_link *l)
{
    if (l->run_dir[0] == '\0') return RT_OK;
    return stats_address(l->run_dir, l->address, sizeof l->address, &l->trouble);
}

static rt_status get(watch_link *l, const char *path, rt_buf *body, rt_error *err)
{
    return stats_get(l->address, path, l->key_file, TIMEOUT_MS, body, err);
}

typedef rt_status (*taker)(watch_data *d, const char *json, size_t n, rt_error *err);

/* What only newer coordinators answer: once refused, it is not asked for again. */
static void ask_since(watch_link *l, watch_data *d, const char *path, const uint64_t *seq,
                      taker take, bool *refused)
{
    char url[64];
    rt_buf body = {0};
    rt_error why = {0};
    uint64_t since = *seq;
    if (*refused) return;
    snprintf(url, sizeof url, "%s?since=%" PRIu64, path, since);
    rt_status st = get(l, url, &body, &why);
    if (st == RT_OK) st = take(d, body.data, body.n, &why);
    *refused = st == RT_REFUSED || st == RT_CORRUPT;
    if (st == RT_OK && *seq < since) watch_forget_numbering(d); /* another one; ask for all of it */
    rt_buf_free(&body);
}

static bool is_through(const watch_link *l)
{
    char path[4200];
    return l->run_dir[0] != '\0' &&
           rt_fs_join(path, sizeof path, l->run_dir, "result.json", NULL) == RT_OK &&
           rt_fs_exists(path);
}

static void note_silence(watch_link *l, rt_status st, const rt_error *why)
{
    (void)st;
    l->trouble = *why;
    if (is_through(l)) {
        l->state = VIEW_ENDED;
        l->trouble = (rt_error){0};
    } else if (l->state != VIEW_WAITING) {
        l->state = VIEW_LOST;
    }
}

rt_status watch_link_ask(watch_link *l, watch_data *d, double now_s, rt_error *err)
{
    rt_error why = {0};
    int64_t pid = d->pid;
    rt_status st = find_coordinator(l);
    if (st == RT_OK) {
        rt_buf_clear(&l->body);
        st = get(l, "/api/stats", &l->body, &why);
        if (st == RT_REFUSED) return rt_fail(err, st, "%s", why.text);
        if (st == RT_OK) st = watch_take_stats(d, l->body.data, l->body.n, now_s, &why);
    } else {
        why = l->trouble;
    }
    if (st != RT_OK) {
        note_silence(l, st, &why);
        return RT_OK;
    }
    if (d->pid != pid) l->no_history = l->no_events = false; /* perhaps of another version */
    l->state = VIEW_LIVE;
    l->trouble = (rt_error){0};
    l->answered_s = now_s;
    ask_since(l, d, "/api/history", &d->history_seq, watch_take_history, &l->no_history);
    ask_since(l, d, "/api/events", &d->events_seq, watch_take_events, &l->no_events);
    return RT_OK;
}

void watch_link_free(watch_link *l)
{
    rt_buf_free(&l->body);
}
