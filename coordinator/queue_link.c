#include "coordinator/queue_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"

#define RETRY_MS 500

struct queue_link {
    const char *url;
    queue_login login;
    queue_names names;
    queue *queue;
    bool ready;     /* streams and groups are there */
    bool was_ready; /* at some time: a later failure may have lost entries */
    bool reset;
    bool is_new;
    uint64_t next_try_ms;
    uint64_t n_errors;
    char problem[256];
};

rt_status queue_link_new(const char *url, const queue_login *login, const char *run, bool is_new,
                         queue_link **out, rt_error *err)
{
    rt_status st;
    if (url[0] == '\0')
        return rt_fail(err, RT_INVALID,
                       "queue.url: is empty, expected redis://HOST:PORT or unix:PATH (`retort run` "
                       "starts a Redis of its own)");
    if ((st = queue_check_url(url, login, err)) != RT_OK) return rt_wrap(err, st, "queue.url");
    queue_link *l = rt_calloc(1, sizeof *l);
    if (l == NULL) return rt_fail(err, RT_NOMEM, "queue");
    l->url = url;
    l->login = *login;
    l->is_new = is_new;
    queue_names_of(run, &l->names);
    *out = l;
    return RT_OK;
}

void queue_link_close(queue_link *l)
{
    if (l == NULL) return;
    queue_close(l->queue);
    free(l);
}

const queue_names *queue_link_names(const queue_link *l)
{
    return &l->names;
}

static void note_failure(queue_link *l, const rt_error *why, uint64_t now_ms)
{
    l->n_errors++;
    if (l->problem[0] == '\0') rt_log_warn("queue.away", "why=\"%s\"", why->text);
    snprintf(l->problem, sizeof l->problem, "%.*s", (int)sizeof l->problem - 1, why->text);
    l->ready = false;
    l->next_try_ms = now_ms + RETRY_MS;
}

static rt_status drop_leftovers(queue_link *l, rt_error *err)
{
    rt_status st = queue_drop(l->queue, l->names.batches, err);
    if (st == RT_OK && l->is_new) st = queue_drop(l->queue, l->names.labels, err);
    if (st == RT_OK && l->is_new) st = queue_drop(l->queue, l->names.dead, err);
    return st == RT_NOTFOUND ? RT_OK : st;
}

static rt_status make_ready(queue_link *l, rt_error *err)
{
    rt_status st = RT_OK;
    if (l->queue == NULL) st = queue_open_redis_as(l->url, &l->login, &l->queue, err);
    if (st == RT_OK && !l->was_ready) st = drop_leftovers(l, err);
    if (st == RT_OK) st = queue_ensure(l->queue, l->names.labels, NULL, err);
    if (st == RT_OK) st = queue_ensure(l->queue, l->names.batches, NULL, err);
    return st;
}

queue *queue_link_get(queue_link *l, uint64_t now_ms)
{
    rt_error why = {0};
    if (l->ready) return l->queue;
    if (now_ms < l->next_try_ms) return NULL;
    if (make_ready(l, &why) != RT_OK) {
        note_failure(l, &why, now_ms);
        return NULL;
    }
    if (l->problem[0] != '\0') rt_log_info("queue.back", "url=%s", l->url);
    l->problem[0] = '\0';
    l->ready = true;
    l->reset = l->was_ready;
    l->was_ready = true;
    return l->queue;
}

rt_status queue_link_failed(queue_link *l, rt_status st, const rt_error *why, uint64_t now_ms)
{
    if (st == RT_OK ||
        (st != RT_UNAVAILABLE && st != RT_NOTFOUND && st != RT_TIMEOUT && st != RT_FULL))
        return st;
    note_failure(l, why, now_ms);
    if (st == RT_NOTFOUND) l->next_try_ms = now_ms; /* Redis is there: make the groups at once */
    return RT_OK;
}

void queue_link_clear_batches(queue_link *l, uint64_t now_ms)
{
    rt_error why = {0};
    queue *q = queue_link_get(l, now_ms);
    if (q == NULL) return;
    rt_status st = queue_drop(q, l->names.batches, &why);
    if (st == RT_OK || st == RT_NOTFOUND) st = queue_ensure(q, l->names.batches, NULL, &why);
    if (st != RT_OK) note_failure(l, &why, now_ms);
}

bool queue_link_take_reset(queue_link *l)
{
    bool reset = l->reset;
    l->reset = false;
    return reset;
}

const char *queue_link_problem(const queue_link *l)
{
    return l->problem;
}

uint64_t queue_link_n_errors(const queue_link *l)
{
    return l->n_errors;
}
