/* A teacher: leases a shard, publishes a record for each example, says that it is done. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"

#define TICK_MS 30

typedef struct teacher_node {
    sim_member member;
    queue *queue;
    queue_names names;
    bool holds; /* a shard */
    uint64_t shard, lease, ask_ms;
    rt_id todo[SIM_EXAMPLES_MAX];
    size_t n_todo, n_done;
    uint64_t work_ms; /* when the next record is ready */
} teacher_node;

void sim_teacher_start(sim_node *node)
{
    teacher_node *n = rt_calloc(1, sizeof *n);
    RT_ASSERT(n != NULL);
    queue_names_of(sim->config.name, &n->names);
    node->self = n;
    sim_at(sim->now_ms + 1, EVENT_TICK, node, NULL);
}

void sim_teacher_stop(sim_node *node)
{
    teacher_node *n = node->self;
    queue_close(n->queue);
    free(n);
    node->self = NULL;
}

/* A repeatable teacher: an id has one answer, and some have none. */
static bool publish(teacher_node *n, rt_id id)
{
    char label[32], reason[] = "no-answer", raw[] = "?", input[] = "input";
    rt_buf bytes = {0};
    snprintf(label, sizeof label, "label %" PRIu64, id.high % 1000);
    label_record r = {.id = id, .input = input};
    if (id.high % 7 == 0) {
        r.reason = reason;
        r.raw = raw;
    } else {
        r.label = label;
    }
    RT_ASSERT(wire_encode_label(&r, &bytes, NULL) == RT_OK);
    if (n->queue == NULL && queue_open_redis("sim", "", &n->queue, NULL) != RT_OK) n->queue = NULL;
    bool sent = n->queue != NULL &&
                queue_add(n->queue, n->names.labels, bytes.data, bytes.n, 0, NULL) == RT_OK;
    rt_buf_free(&bytes);
    return sent;
}

static void take_grant(sim_node *node, teacher_node *n, const wire_lease_grant *g)
{
    (void)node;
    if (!g->granted || n->holds) {
        n->ask_ms = sim->now_ms + g->retry_ms;
        return;
    }
    n->holds = true;
    n->shard = g->shard;
    n->lease = g->lease;
    n->n_todo = n->n_done = 0;
    for (size_t i = 0; i < g->n_examples; i++)
        if (!g->examples[i].done) n->todo[n->n_todo++] = g->examples[i].id;
    n->work_ms = sim->now_ms + sim_between(5, 80);
}

void sim_teacher_hear(sim_node *node, net_incoming *in)
{
    teacher_node *n = node->self;
    if (sim_member_hear(node, &n->member, in)) return;
    if (in->message.type == WIRE_LEASE_GRANT) take_grant(node, n, &in->message.lease_grant);
}

static void work(sim_node *node, teacher_node *n)
{
    if (!n->member.registered || n->member.phase != PHASE_RUNNING) return;
    if (!n->holds) {
        if (sim->now_ms < n->ask_ms) return;
        wire_message m = {.type = WIRE_LEASE_REQUEST, .lease_request = {.n_shards_held = 0}};
        n->ask_ms = sim->now_ms + 1000;
        sim_send(node, sim_coordinator_node(), 0, &m, NULL, 0);
        return;
    }
    if (n->n_done < n->n_todo) {
        if (sim->now_ms < n->work_ms || !publish(n, n->todo[n->n_done])) return;
        n->n_done++;
        n->work_ms =
            sim->now_ms + sim_between(5, 80) * (node->slow_until_ms > sim->now_ms ? 20 : 1);
        return;
    }
    wire_message m = {.type = WIRE_LEASE_DONE,
                      .lease_done = {.shard = n->shard, .lease = n->lease}};
    sim_send(node, sim_coordinator_node(), 0, &m, NULL, 0); /* lost: the lease runs out */
    n->holds = false;
    n->ask_ms = sim->now_ms;
}

void sim_teacher_tick(sim_node *node)
{
    teacher_node *n = node->self;
    sim_member_beat(node, &n->member, ROLE_TEACHER);
    work(node, n);
    sim_at(sim->now_ms + sim_between(1, TICK_MS), EVENT_TICK, node, NULL);
}
