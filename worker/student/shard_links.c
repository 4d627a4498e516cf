#include "worker/student/shard_links.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/base/stop.h"

#define LOOK_AROUND_MS 250 /* how often a wait looks whether it still makes sense */

typedef struct shard_link {
    char *endpoint;
    net_client *net;
    param_slice slice;
    uint64_t first_id; /* ids of the open question begin here; UINT64_MAX: not sent yet */
    bool waiting;
} shard_link;

struct shard_links {
    runtime *rt;
    const param_table *table;
    shard_link *items;
    net_poll_item *polls; /* [n] */
    uint32_t n;
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

static void disconnect(shard_links *links)
{
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
    disconnect(links);
    free(links);
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

/* ---- asking ---- */

static rt_status send_ask(shard_link *link, shard_ask *ask, rt_error *err)
{
    uint64_t id = 0;
    rt_status st = net_client_send(link->net, &ask->ask, ask->frames, ask->n_frames, &id, err);
    if (st == RT_UNAVAILABLE) return RT_OK; /* its queue is full: again when the shard is back */
    if (st == RT_OK && link->first_id == UINT64_MAX) link->first_id = id;
    return st;
}

static rt_status send_asks(shard_links *links, shard_ask *asks, rt_error *err)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; st == RT_OK && i < links->n; i++) {
        if (i > 0) fault_point("student.between_asks");
        if (links->items[i].waiting) st = send_ask(&links->items[i], &asks[i], err);
    }
    return st;
}

/* An answer to something asked earlier comes late and is of no use. */
static bool is_answer(const shard_link *link, const net_incoming *in, wire_type awaited)
{
    return link->waiting && in->message.message_id >= link->first_id &&
           (in->message.type == awaited || in->message.type == WIRE_REFUSED);
}

static rt_status hear_link(shard_links *links, uint32_t shard, const shard_listener *listener,
                           rt_error *err)
{
    rt_status st = RT_OK;
    shard_link *link = &links->items[shard];
    while (st == RT_OK && net_client_ready(link->net)) {
        net_incoming in = {0};
        if (net_client_receive(link->net, 0, &in, NULL) != RT_OK) break;
        if (is_answer(link, &in, listener->awaited)) {
            link->waiting = false;
            st = listener->hear(listener->context, shard, &in, err);
        }
        net_incoming_free(&in);
    }
    return st;
}

static uint32_t count_waiting(const shard_links *links)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < links->n; i++) n += links->items[i].waiting;
    return n;
}

/* Whether waiting still makes sense. */
static rt_status look_around(shard_links *links, uint64_t generation, bool may_cancel,
                             rt_error *err)
{
    runtime_view view = {0};
    rt_status st = RT_OK;
    if (rt_stop_requested() == RT_STOP_NOW || (may_cancel && runtime_stopping(links->rt)))
        return rt_fail(err, RT_CANCELLED, "stopped while waiting for a shard");
    if ((st = runtime_get_view(links->rt, &view, err)) != RT_OK) return st;
    if (view.generation != generation)
        st = rt_fail(err, RT_UNAVAILABLE, "the run went back while a shard was asked");
    else if (view.servers != NULL && !is_connected(links, &view))
        st = rt_fail(err, RT_UNAVAILABLE, "shards of the parameter server moved");
    runtime_view_free(&view);
    return st;
}

static rt_status wait_once(shard_links *links, uint64_t wait_ms, const shard_listener *listener,
                           rt_error *err)
{
    rt_status st = RT_OK;
    for (uint32_t i = 0; i < links->n; i++)
        links->polls[i] = (net_poll_item){.client = links->items[i].net};
    st = net_poll(links->polls, links->n, wait_ms, err);
    if (st == RT_TIMEOUT || st == RT_CANCELLED) return RT_OK;
    for (uint32_t i = 0; st == RT_OK && i < links->n; i++)
        if (links->polls[i].ready) st = hear_link(links, i, listener, err);
    return st;
}

static rt_status wait_for_all(shard_links *links, shard_ask *asks, uint64_t timeout_ms,
                              uint64_t again_ms, bool may_cancel, const shard_listener *listener,
                              rt_error *err)
{
    rt_status st = RT_OK;
    uint64_t generation = runtime_generation(links->rt);
    uint64_t start_ms = rt_clock_mono_ms(), again_at_ms = start_ms + again_ms;
    uint64_t look_at_ms = start_ms + LOOK_AROUND_MS;
    for (;;) {
        if ((st = wait_once(links, LOOK_AROUND_MS, listener, err)) != RT_OK) return st;
        uint32_t n_waiting = count_waiting(links);
        if (n_waiting == 0) return RT_OK;
        uint64_t now_ms = rt_clock_mono_ms();
        if (now_ms - start_ms >= timeout_ms)
            return rt_fail(err, RT_TIMEOUT,
                           "%" PRIu32 " of %" PRIu32 " shards gave no answer in %" PRIu64 " ms",
                           n_waiting, links->n, timeout_ms);
        if (now_ms >= look_at_ms) {
            look_at_ms = now_ms + LOOK_AROUND_MS;
            if ((st = look_around(links, generation, may_cancel, err)) != RT_OK) return st;
        }
        if (now_ms >= again_at_ms) {
            again_ms *= 2; /* a large answer may be under way */
            again_at_ms = now_ms + again_ms;
            if ((st = send_asks(links, asks, err)) != RT_OK) return st;
        }
    }
}

rt_status shard_links_ask(shard_links *links, shard_ask *asks, uint64_t timeout_ms,
                          uint64_t again_ms, bool may_cancel, const shard_listener *listener,
                          rt_error *err)
{
    for (uint32_t i = 0; i < links->n; i++) {
        links->items[i].waiting = !asks[i].skip;
        links->items[i].first_id = UINT64_MAX;
    }
    rt_status st = send_asks(links, asks, err);
    if (st == RT_OK)
        st = wait_for_all(links, asks, timeout_ms, again_ms, may_cancel, listener, err);
    if (st == RT_TIMEOUT) disconnect(links); /* new sockets, in case the old ones went deaf */
    return st;
}
