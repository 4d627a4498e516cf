#include "worker/student/shard_links.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/base/stop.h"

#define PATIENCE_MS 10000 /* a shard answers everything, if only with `not yet` ... */
#define BYTES_EACH_MS \
    1000 /* ... after what is on its way there or here has passed the slowest network */
#define LOOK_AROUND_MS 250  /* how often a wait looks whether it still makes sense */
#define LAND_MS        1000 /* after a request to stop, for what is under way */

typedef struct shard_link {
    char *endpoint;
    net_client *net;
    param_slice slice;
} shard_link;

/* One shard's part in a question. */
typedef struct shard_reply {
    uint64_t first_id; /* its ids begin here; UINT64_MAX: not sent yet */
    bool waiting;
} shard_reply;

struct shard_question {
    shard_links *links;
    shard_question *next; /* of those that are open */
    bool open;
    rt_status st;         /* of a question that failed while another was waited for ... */
    rt_error why;         /* ... and why */
    shard_ask *asks;      /* [n] borrowed */
    shard_reply *replies; /* [n] */
    uint32_t n;
    question_terms terms;
    shard_listener listener;
    uint64_t generation;
    uint64_t waited_ms, again_at_ms; /* of waiting */
    uint64_t look_at_ms;             /* of the clock */
    uint64_t stopping_ms;            /* when a stop was first seen; 0: not yet */
};

struct shard_links {
    runtime *rt;
    const param_table *table;
    shard_link *items;
    net_poll_item *polls; /* [n] */
    uint32_t n;
    shard_question *open; /* a list */
};

rt_status shard_links_new(runtime *rt, const param_table *table, shard_links **out, rt_error *err)
{
    shard_links *links = rt_calloc(1, sizeof *links);
    if (links == NULL) return rt_fail(err, RT_NOMEM, "connections to shards");
    links->rt = rt;
    links->table = table;
    *out = links;
    return RT_OK;
}

/* Answers will not come any more: whoever asked finds out when it looks. */
static void fail_open(shard_links *links, const char *why)
{
    for (shard_question *q = links->open; q != NULL; q = q->next)
        if (q->st == RT_OK) q->st = rt_fail(&q->why, RT_UNAVAILABLE, "%s", why);
}

static void disconnect(shard_links *links)
{
    fail_open(links, "connections to the shards were made anew");
    for (uint32_t i = 0; i < links->n; i++) {
        net_client_close(links->items[i].net);
        free(links->items[i].endpoint);
        param_slice_free(&links->items[i].slice);
    }
    free(links->items);
    free(links->polls);
    links->items = NULL;
    links->polls = NULL;
    links->n = 0;
}

void shard_links_free(shard_links *links)
{
    if (links == NULL) return;
    RT_ASSERT(links->open == NULL);
    disconnect(links);
    free(links);
}

static uint64_t patience_ms(const shard_links *links)
{
    return PATIENCE_MS + links->table->n_total * sizeof(float) / BYTES_EACH_MS;
}

static rt_status connect_one(shard_links *links, uint32_t shard, const char *endpoint,
                             rt_error *err)
{
    net_client *net = NULL;
    shard_link *link = &links->items[shard];
    char *copy = strdup(endpoint);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "endpoint of shard %" PRIu32, shard);
    net_lock lock = {runtime_keyring(links->rt), NET_BIT(NET_ROLE_SERVER)};
    rt_status st = net_client_open(runtime_identity(links->rt), endpoint, &lock, &net, err);
    if (st != RT_OK) {
        free(copy);
        return rt_wrap(err, st, "shard %" PRIu32, shard);
    }
    fail_open(links, "a shard of the parameter server moved");
    net_client_set_patience(net, patience_ms(links));
    net_client_close(link->net);
    free(link->endpoint);
    link->net = net;
    link->endpoint = copy;
    rt_log_info("student.shard", "shard=%" PRIu32 " endpoint=%s", shard, endpoint);
    return RT_OK;
}

/* Another number of shards: other slices. */
static rt_status cut_slices(shard_links *links, uint32_t n, rt_error *err)
{
    rt_status st = RT_OK;
    disconnect(links);
    links->items = rt_calloc(n, sizeof *links->items);
    links->polls = rt_calloc(n, sizeof *links->polls);
    if (links->items == NULL || links->polls == NULL)
        return rt_fail(err, RT_NOMEM, "connections to %" PRIu32 " shards", n);
    links->n = n;
    for (uint32_t i = 0; st == RT_OK && i < n; i++)
        st = param_slice_build(links->table, i, n, &links->items[i].slice, err);
    if (st != RT_OK) disconnect(links);
    return st;
}

static bool is_connected(const shard_links *links, const runtime_view *view)
{
    if (view->servers == NULL || view->n_servers != links->n) return false;
    for (uint32_t i = 0; i < links->n; i++)
        if (links->items[i].endpoint == NULL ||
            strcmp(links->items[i].endpoint, view->servers[i]) != 0)
            return false;
    return true;
}

rt_status shard_links_update(shard_links *links, const runtime_view *view, bool *changed,
                             rt_error *err)
{
    rt_status st = RT_OK;
    *changed = false;
    if (is_connected(links, view)) return RT_OK;
    if (view->servers == NULL || view->n_servers == 0)
        return rt_fail(err, RT_UNAVAILABLE, "the parameter server is not complete");
    if (view->n_servers != links->n) {
        if ((st = cut_slices(links, view->n_servers, err)) != RT_OK) return st;
        *changed = true;
    }
    for (uint32_t i = 0; i < links->n; i++) {
        const char *known = links->items[i].endpoint;
        if (known != NULL && strcmp(known, view->servers[i]) == 0) continue;
        if ((st = connect_one(links, i, view->servers[i], err)) != RT_OK) return st;
    }
    return RT_OK;
}

uint32_t shard_links_count(const shard_links *links)
{
    return links->n;
}

const param_slice *shard_links_slice(const shard_links *links, uint32_t shard)
{
    return &links->items[shard].slice;
}

/* ---- questions ---- */

rt_status shard_question_new(shard_links *links, shard_question **out, rt_error *err)
{
    shard_question *q = rt_calloc(1, sizeof *q);
    if (q == NULL) return rt_fail(err, RT_NOMEM, "a question to shards");
    q->links = links;
    *out = q;
    return RT_OK;
}

static void close_question(shard_question *q)
{
    shard_question **at = &q->links->open;
    while (*at != NULL && *at != q) at = &(*at)->next;
    if (*at == q) *at = q->next;
    q->next = NULL;
    q->open = false;
}

void shard_question_free(shard_question *q)
{
    if (q == NULL) return;
    close_question(q);
    free(q->replies);
    free(q);
}

bool shard_question_is_open(const shard_question *q)
{
    return q->open;
}

static rt_status send_ask(shard_link *link, shard_ask *ask, shard_reply *reply, rt_error *err)
{
    uint64_t id = 0;
    rt_status st = net_client_send(link->net, &ask->ask, ask->frames, ask->n_frames, &id, err);
    if (st == RT_UNAVAILABLE) return RT_OK; /* its queue is full: again when the shard is back */
    if (st == RT_OK && reply->first_id == UINT64_MAX) reply->first_id = id;
    return st;
}

static rt_status send_asks(shard_question *q, rt_error *err)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; st == RT_OK && i < q->n; i++) {
        if (i > 0) fault_point("student.between_asks");
        if (q->replies[i].waiting)
            st = send_ask(&q->links->items[i], &q->asks[i], &q->replies[i], err);
    }
    return st;
}

rt_status shard_links_begin(shard_links *links, shard_question *q, shard_ask *asks,
                            const question_terms *terms, const shard_listener *listener,
                            rt_error *err)
{
    RT_ASSERT(!q->open);
    if (links->n == 0) return rt_fail(err, RT_UNAVAILABLE, "no shard is connected");
    if (q->n != links->n) {
        free(q->replies);
        q->n = 0;
        q->replies = rt_calloc(links->n, sizeof *q->replies);
        if (q->replies == NULL)
            return rt_fail(err, RT_NOMEM, "a question to %" PRIu32 " shards", links->n);
        q->n = links->n;
    }
    for (uint32_t i = 0; i < q->n; i++)
        q->replies[i] = (shard_reply){.first_id = UINT64_MAX, .waiting = !asks[i].skip};
    q->st = RT_OK;
    q->asks = asks;
    q->terms = *terms;
    q->listener = *listener;
    q->generation = runtime_generation(links->rt);
    q->waited_ms = 0;
    q->again_at_ms = terms->again_ms;
    q->look_at_ms = rt_clock_mono_ms() + LOOK_AROUND_MS;
    q->stopping_ms = 0;
    rt_status st = send_asks(q, err);
    if (st != RT_OK) return st;
    q->open = true;
    q->next = links->open;
    links->open = q;
    return RT_OK;
}

/* An answer to something asked earlier comes late and is of no use. */
static bool is_answer(const shard_question *q, uint32_t shard, const net_incoming *in)
{
    return q->st == RT_OK && q->replies[shard].waiting &&
           in->message.message_id >= q->replies[shard].first_id &&
           (in->message.type == q->listener.awaited || in->message.type == WIRE_REFUSED);
}

/* A refusal carries the id of what was refused: it belongs to the newest question that is not younger. */
static shard_question *asked_by(const shard_links *links, uint32_t shard, const net_incoming *in)
{
    shard_question *found = NULL;
    for (shard_question *q = links->open; q != NULL; q = q->next)
        if (is_answer(q, shard, in) &&
            (found == NULL || q->replies[shard].first_id > found->replies[shard].first_id))
            found = q;
    return found;
}

static void hear_link(shard_links *links, uint32_t shard)
{
    net_client *net = links->items[shard].net;
    while (net_client_ready(net)) {
        net_incoming in = {0};
        if (net_client_receive(net, 0, &in, NULL) != RT_OK) break;
        shard_question *q = asked_by(links, shard, &in);
        if (q != NULL) {
            q->replies[shard].waiting = false;
            q->st = q->listener.hear(q->listener.context, shard, &in, &q->why);
        }
        net_incoming_free(&in);
    }
}

static uint32_t count_waiting(const shard_question *q)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->n; i++) n += q->replies[i].waiting;
    return n;
}

/* At once when it may be cancelled; what is under way gets a moment to land, for a shard that is
 * there answers soon, and one that has left never does. */
static bool must_stop(const shard_links *links, shard_question *q, uint64_t now_ms)
{
    if (rt_stop_requested() == RT_STOP_NOW) return true;
    if (!runtime_stopping(links->rt)) return false;
    if (q->stopping_ms == 0) q->stopping_ms = now_ms;
    return q->terms.may_cancel || now_ms - q->stopping_ms >= LAND_MS;
}

/* Whether waiting still makes sense. */
static rt_status look_around(shard_links *links, shard_question *q, uint64_t now_ms, rt_error *err)
{
    runtime_view view = {0};
    rt_status st = RT_OK;
    if (must_stop(links, q, now_ms))
        return rt_fail(err, RT_CANCELLED, "stopped while waiting for a shard");
    if ((st = runtime_get_view(links->rt, &view, err)) != RT_OK) return st;
    if (view.generation != q->generation)
        st = rt_fail(err, RT_UNAVAILABLE, "the run went back while a shard was asked");
    else if (view.servers != NULL && !is_connected(links, &view))
        st = rt_fail(err, RT_UNAVAILABLE, "shards of the parameter server moved");
    runtime_view_free(&view);
    return st;
}

static rt_status hear_all(shard_links *links, uint64_t wait_ms, rt_error *err)
{
    for (uint32_t i = 0; i < links->n; i++)
        links->polls[i] = (net_poll_item){.client = links->items[i].net};
    rt_status st =
        net_poll(links->polls, links->n, runtime_config(links->rt)->net.spin_us, wait_ms, err);
    if (st == RT_TIMEOUT || st == RT_CANCELLED) return RT_OK;
    for (uint32_t i = 0; st == RT_OK && i < links->n; i++)
        if (links->polls[i].ready) hear_link(links, i);
    return st;
}

/* Ask again, or give up, when it is time. */
static rt_status urge(shard_links *links, shard_question *q, rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t now_ms = rt_clock_mono_ms();
    if (q->waited_ms >= q->terms.timeout_ms)
        return rt_fail(err, RT_TIMEOUT,
                       "%" PRIu32 " of %" PRIu32 " shards gave no answer in %" PRIu64 " ms",
                       count_waiting(q), q->n, q->terms.timeout_ms);
    if (now_ms >= q->look_at_ms) {
        q->look_at_ms = now_ms + LOOK_AROUND_MS;
        if ((st = look_around(links, q, now_ms, err)) != RT_OK) return st;
    }
    if (q->waited_ms >= q->again_at_ms) {
        q->terms.again_ms *= 2; /* a large answer may be under way */
        q->again_at_ms = q->waited_ms + q->terms.again_ms;
        st = send_asks(q, err);
    }
    return st;
}

/* Hear for at most wait_ms. */
static rt_status turn(shard_links *links, shard_question *q, uint64_t wait_ms, bool *over,
                      rt_error *err)
{
    uint64_t start_ms = rt_clock_mono_ms();
    RT_ASSERT(q->open);
    rt_status st = q->st == RT_OK ? hear_all(links, wait_ms, err) : RT_OK;
    q->waited_ms += wait_ms == 0 ? 0 : rt_clock_mono_ms() - start_ms;
    if (st == RT_OK && q->st != RT_OK) st = rt_fail(err, q->st, "%s", q->why.text);
    *over = st == RT_OK && count_waiting(q) == 0;
    if (st == RT_OK && !*over) st = urge(links, q, err);
    if (st != RT_OK || *over) close_question(q);
    if (st == RT_TIMEOUT) disconnect(links); /* new sockets, in case the old ones went deaf */
    return st;
}

rt_status shard_links_look(shard_links *links, shard_question *q, bool *over, rt_error *err)
{
    return turn(links, q, 0, over, err);
}

rt_status shard_links_wait(shard_links *links, shard_question *q, rt_error *err)
{
    bool over = false;
    rt_status st = RT_OK;
    while (st == RT_OK && !over) st = turn(links, q, LOOK_AROUND_MS, &over, err);
    return st;
}
