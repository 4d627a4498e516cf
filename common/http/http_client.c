/* A fixed set of transfers, each FREE, FLYING (libcurl has it) or DONE (its response waits to be
 * taken). Free ones are a stack, so that the warmest connection is used next; done ones a queue.
 */
#include "common/http/http_client.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/http/http_transfer.h"

struct http_client {
    CURLM *multi;
    struct curl_slist *headers;
    http_transfer *transfers; /* [n] */
    size_t n;
    http_transfer *free;
    http_transfer *done_first, **done_end;
    size_t n_flying; /* and done */
};

/* libcurl's own state of the process; it asks to be set up once and never twice at a time. */
static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_code;

static void start_curl(void)
{
    global_code = curl_global_init(CURL_GLOBAL_ALL);
}

/* Headers may hold a key. */
static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *h = headers; h != NULL; h = h->next)
        for (volatile char *c = h->data; *c != '\0'; c++) *c = 'x';
    curl_slist_free_all(headers);
}

void http_client_free(http_client *c)
{
    if (c == NULL) return;
    for (size_t i = 0; c->transfers != NULL && i < c->n; i++) {
        http_transfer *t = &c->transfers[i];
        if (t->state == TRANSFER_FLYING) curl_multi_remove_handle(c->multi, t->easy);
        http_transfer_close(t);
    }
    if (c->multi != NULL) curl_multi_cleanup(c->multi);
    free_headers(c->headers);
    free(c->transfers);
    free(c);
}

/* "Expect:" keeps libcurl from asking for leave before a large body. */
static rt_status make_headers(http_client *c, const http_settings *s, rt_error *err)
{
    for (size_t i = 0; i <= s->n_headers; i++) {
        struct curl_slist *more =
            curl_slist_append(c->headers, i < s->n_headers ? s->headers[i] : "Expect:");
        if (more == NULL) return rt_fail(err, RT_NOMEM, "HTTP client");
        c->headers = more;
    }
    return RT_OK;
}

rt_status http_client_new(const http_settings *settings, http_client **out, rt_error *err)
{
    rt_status st = RT_OK;
    http_client *c = NULL;
    RT_ASSERT(settings->transfers_max > 0 && settings->transfers_max <= HTTP_TRANSFERS_MAX);
    pthread_once(&global_once, start_curl);
    if (global_code != CURLE_OK)
        return rt_fail(err, RT_IO, "libcurl: %s", curl_easy_strerror(global_code));
    if ((c = rt_calloc(1, sizeof *c)) == NULL) return rt_fail(err, RT_NOMEM, "HTTP client");
    c->n = settings->transfers_max;
    c->done_end = &c->done_first;
    c->transfers = rt_calloc(c->n, sizeof *c->transfers);
    c->multi = curl_multi_init();
    if (c->transfers == NULL || c->multi == NULL) {
        st = rt_fail(err, RT_NOMEM, "HTTP client of %zu transfers", c->n);
        goto out;
    }
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS, (long)c->n);
    curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    if ((st = make_headers(c, settings, err)) != RT_OK) goto out;
    for (size_t i = c->n; i-- > 0;) {
        http_transfer *t = &c->transfers[i];
        if ((st = http_transfer_open(t, settings, c->headers, err)) != RT_OK) goto out;
        t->next = c->free;
        c->free = t;
    }
    *out = c;
    c = NULL;
out:
    http_client_free(c);
    return st;
}

static void put_back(http_client *c, http_transfer *t)
{
    t->state = TRANSFER_FREE;
    t->generation++;
    t->next = c->free;
    c->free = t;
    c->n_flying--;
}

rt_status http_client_submit(http_client *c, const http_request *request, http_ticket *ticket,
                             rt_error *err)
{
    http_transfer *t = c->free;
    if (t == NULL) return rt_fail(err, RT_FULL, "%zu HTTP requests are in flight", c->n);
    rt_status st = http_transfer_prepare(t, request, err);
    if (st != RT_OK) return st;
    CURLMcode code = curl_multi_add_handle(c->multi, t->easy);
    if (code != CURLM_OK)
        return rt_fail(err, code == CURLM_OUT_OF_MEMORY ? RT_NOMEM : RT_IO, "HTTP client: %s",
                       curl_multi_strerror(code));
    c->free = t->next;
    t->next = NULL;
    t->state = TRANSFER_FLYING;
    c->n_flying++;
    ticket->n = (uint64_t)t->generation << 32 | (uint64_t)(t - c->transfers);
    return RT_OK;
}

static void collect(http_client *c)
{
    int n_left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &n_left)) != NULL;) {
        if (m->msg != CURLMSG_DONE) continue;
        http_transfer *t = NULL;
        CURLcode code = m->data.result; /* m ends with the next call */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        RT_ASSERT(t != NULL && t->state == TRANSFER_FLYING);
        curl_multi_remove_handle(c->multi, t->easy);
        t->code = code;
        t->state = TRANSFER_DONE;
        t->next = NULL;
        *c->done_end = t;
        c->done_end = &t->next;
    }
}

static rt_status check_multi(CURLMcode code, rt_error *err)
{
    if (code == CURLM_OK) return RT_OK;
    return rt_fail(err, code == CURLM_OUT_OF_MEMORY ? RT_NOMEM : RT_IO, "HTTP client: %s",
                   curl_multi_strerror(code));
}

rt_status http_client_turn(http_client *c, uint64_t wait_ms, rt_error *err)
{
    int n_running;
    rt_status st = check_multi(curl_multi_perform(c->multi, &n_running), err);
    if (st != RT_OK) return st;
    collect(c);
    if (c->done_first != NULL || wait_ms == 0) return RT_OK;
    CURLMcode code =
        curl_multi_poll(c->multi, NULL, 0, (int)RT_MIN(wait_ms, (uint64_t)INT32_MAX), NULL);
    /* A signal ends the wait; what asked for it is the caller's to see. */
    if (code != CURLM_OK && code != CURLM_UNRECOVERABLE_POLL) return check_multi(code, err);
    if ((st = check_multi(curl_multi_perform(c->multi, &n_running), err)) != RT_OK) return st;
    collect(c);
    return RT_OK;
}

bool http_client_take(http_client *c, http_response *out)
{
    http_transfer *t = c->done_first;
    if (t == NULL) return false;
    c->done_first = t->next;
    if (c->done_first == NULL) c->done_end = &c->done_first;
    http_transfer_finish(t, out);
    put_back(c, t);
    return true;
}

static void unlink_done(http_client *c, http_transfer *t)
{
    http_transfer **at = &c->done_first;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    if (t->next == NULL) c->done_end = at;
}

bool http_client_cancel(http_client *c, http_ticket ticket, bool *was_sent)
{
    size_t i = (uint32_t)ticket.n;
    if (was_sent != NULL) *was_sent = false;
    if (i >= c->n || c->transfers[i].generation != (uint32_t)(ticket.n >> 32)) return false;
    http_transfer *t = &c->transfers[i];
    if (t->state == TRANSFER_FREE) return false;
    bool was_flying = t->state == TRANSFER_FLYING;
    if (was_sent != NULL) *was_sent = http_transfer_was_sent(t);
    if (was_flying)
        curl_multi_remove_handle(c->multi, t->easy);
    else
        unlink_done(c, t);
    put_back(c, t);
    return was_flying;
}

size_t http_client_n_flying(const http_client *c)
{
    return c->n_flying;
}
