/* Redis: the in-memory twin that all share, behind connections that fail. A call may be refused, or
 * take effect and lose its answer. Twin of common/queue/redis_queue.c. */
#include <stdlib.h>
#include <string.h>

#include "common/queue/backend.h"
#include "tests/sim/sim.h"

typedef struct link {
    queue base;
    sim_node *node;
    bool was_cut; /* what was handed out last may not have arrived: hand it out again */
} link;

sim_node *sim_redis(void)
{
    return &sim->nodes[sim->n_nodes - 1];
}

void sim_redis_flush(void)
{
    queue_names names;
    queue_names_of(sim->config.name, &names);
    RT_ASSERT(queue_drop(sim->redis, names.labels, NULL) == RT_OK);
    RT_ASSERT(queue_drop(sim->redis, names.batches, NULL) == RT_OK);
    RT_ASSERT(queue_drop(sim->redis, names.dead, NULL) == RT_OK);
}

static bool dies_here(sim_node *node)
{
    if (!node->doomed && node->io_left >= 0 && node->io_left-- == 0) {
        sim_trace("dies in the middle of its work");
        node->doomed = true;
    }
    return node->doomed;
}

static rt_status before(link *l, rt_error *err)
{
    bool away = sim->redis_down_until_ms > sim->now_ms || sim_is_blocked(l->node, sim_redis());
    if (!dies_here(l->node) && !away && !sim_chance(sim->shape.p_redis)) return RT_OK;
    l->was_cut = true;
    return rt_fail(err, RT_UNAVAILABLE, "the connection to Redis broke");
}

/* The effect is there; does the answer arrive? */
static rt_status after(link *l, rt_status st, rt_error *err)
{
    if (st != RT_OK || (!dies_here(l->node) && !sim_chance(sim->shape.p_redis))) return st;
    l->was_cut = true;
    return rt_fail(err, RT_UNAVAILABLE, "the answer of Redis was lost");
}

static void link_close(queue *q)
{
    free(q);
}

static rt_status link_ensure(queue *q, const char *stream, bool *made, rt_error *err)
{
    rt_status st = before((link *)q, err);
    return st == RT_OK ? after((link *)q, queue_ensure(sim->redis, stream, made, err), err) : st;
}

/* The oracle reads what goes into BATCHES. */
static void look(const char *stream, const rt_buf *items, size_t n)
{
    queue_names names;
    queue_names_of(sim->config.name, &names);
    for (size_t i = 0; strcmp(stream, names.batches) == 0 && i < n; i++) {
        micro_batch b = {0};
        rt_error err = {0};
        if (wire_decode_micro_batch(items[i].data, items[i].n, &b, &err) != RT_OK)
            sim_fail("a micro-batch that does not decode: %s", err.text);
        sim_saw_batch(&b);
        micro_batch_free(&b);
    }
}

static rt_status link_add(queue *q, const char *stream, const rt_buf *items, size_t n,
                          uint32_t attempts, rt_error *err)
{
    rt_status st = before((link *)q, err);
    if (st != RT_OK) return st;
    look(stream, items, n);
    /* A pipeline may break in the middle. */
    bool breaks = n > 1 && sim_chance(sim->shape.p_redis);
    size_t n_in = breaks ? (size_t)sim_below(n) : n;
    for (size_t i = 0; st == RT_OK && i < n_in; i++)
        st = queue_add(sim->redis, stream, items[i].data, items[i].n, attempts, err);
    if (st == RT_OK && breaks) st = rt_fail(err, RT_UNAVAILABLE, "the pipeline broke");
    return after((link *)q, st, err);
}

static rt_status link_read(queue *q, const char *stream, const char *consumer, bool pending,
                           size_t n_max, uint64_t block_ms, queue_entry *entries, size_t *n,
                           rt_error *err)
{
    link *l = (link *)q;
    bool again = l->was_cut;
    rt_status st = before(l, err);
    if (st != RT_OK) return st;
    l->was_cut = false;
    st = queue_read(sim->redis, stream, consumer, pending || again, n_max, block_ms, entries, n,
                    err);
    if (after(l, st, err) == st) return st;
    queue_entries_free(entries, *n);
    *n = 0;
    return RT_UNAVAILABLE;
}

static rt_status link_ack(queue *q, const char *stream, const queue_entry *entries, size_t n,
                          rt_error *err)
{
    rt_status st = before((link *)q, err);
    return st == RT_OK ? after((link *)q, queue_ack(sim->redis, stream, entries, n, err), err) : st;
}

static rt_status link_length(queue *q, const char *stream, uint64_t *out, rt_error *err)
{
    rt_status st = before((link *)q, err);
    return st == RT_OK ? queue_length(sim->redis, stream, out, err) : st;
}

static rt_status link_newest(queue *q, const char *stream, size_t n_max, queue_entry *entries,
                             size_t *n, rt_error *err)
{
    rt_status st = before((link *)q, err);
    if (st != RT_OK) return st;
    st = queue_newest(sim->redis, stream, n_max, entries, n, err);
    if (after((link *)q, st, err) == st) return st;
    queue_entries_free(entries, *n);
    *n = 0;
    return RT_UNAVAILABLE;
}

static rt_status link_requeue(queue *q, const queue_requeue_ask *ask, size_t *n_requeued,
                              size_t *n_dead, rt_error *err)
{
    rt_status st = before((link *)q, err);
    if (st != RT_OK) return st;
    st = queue_requeue(sim->redis, ask->stream, ask->consumer, ask->idle_ms, ask->attempts_max,
                       ask->dead, ask->reason, n_requeued, n_dead, err);
    return after((link *)q, st, err);
}

static rt_status link_bury(queue *q, const char *stream, const queue_entry *entry, const char *dead,
                           const char *reason, rt_error *err)
{
    rt_status st = before((link *)q, err);
    if (st != RT_OK) return st;
    return after((link *)q, queue_bury(sim->redis, stream, entry, dead, reason, err), err);
}

static rt_status link_drop(queue *q, const char *stream, rt_error *err)
{
    rt_status st = before((link *)q, err);
    return st == RT_OK ? after((link *)q, queue_drop(sim->redis, stream, err), err) : st;
}

static const queue_backend link_backend = {
    link_close,  link_ensure, link_add,     link_read, link_ack,
    link_length, link_newest, link_requeue, link_bury, link_drop,
};

rt_status queue_check_url(const char *url, const queue_login *login, rt_error *err)
{
    (void)url, (void)login, (void)err;
    return RT_OK;
}

rt_status queue_open_redis(const char *url, const char *password, queue **out, rt_error *err)
{
    (void)password;
    return queue_open_redis_as(url, NULL, out, err);
}

rt_status queue_open_redis_as(const char *url, const queue_login *login, queue **out, rt_error *err)
{
    (void)url, (void)login;
    link *l = rt_calloc(1, sizeof *l);
    RT_ASSERT(l != NULL && sim->current != NULL);
    l->base.backend = &link_backend;
    l->node = sim->current;
    rt_status st = before(l, err);
    if (st != RT_OK) {
        free(l);
        return st;
    }
    *out = &l->base;
    return RT_OK;
}
