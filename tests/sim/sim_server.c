/* A shard's process: the real desk and state, and what run.c does around them with files in memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "worker/param_server/serve_students.h"

#define TICK_MS            30
#define GATHERED_AGAIN_MS  200
#define PROGRESS_REPORT_MS 50
#define LEAVING_REPORT_MS  50
#define LEAVE_MS           5000

typedef struct server_node {
    sim_member member;
    shard_state *state;
    parked_pulls parked;
    student_desk desk;
    struct net_server net;
    uint64_t leave_by_ms; /* 0: nobody asked for it */
    uint64_t reported_at_ms, reported_changes, reported_accepted;
} server_node;

shard_state *sim_server_state(const sim_node *node)
{
    return node->up ? ((server_node *)node->self)->state : NULL;
}

void sim_server_start(sim_node *node)
{
    server_node *n = rt_calloc(1, sizeof *n);
    RT_ASSERT(n != NULL);
    shard_settings settings = shard_settings_of(&sim->config, node->k);
    RT_ASSERT(shard_state_new(&settings, &n->state, NULL) == RT_OK);
    n->net.node = node;
    n->desk = (student_desk){.net = &n->net, .state = n->state, .parked = &n->parked};
    node->self = n;
    sim_at(sim->now_ms + 1, EVENT_TICK, node, NULL);
}

void sim_server_stop(sim_node *node)
{
    server_node *n = node->self;
    shard_state_free(n->state);
    free(n->desk.scratch);
    free(n);
    node->self = NULL;
}

/* ---- orders ---- */

static shard_model *load(const sim_node *node, const wire_server_order *order)
{
    shard_model *model = NULL;
    RT_ASSERT(shard_model_new(&sim->model, node->k, order->n_shards, &model, NULL) == RT_OK);
    if (order->version == 0) {
        for (size_t i = 0; i < model->slice.n_params; i++)
            param_init(&model->table, &model->shape, sim->config.seed, model->slice.params[i],
                       model->weights->floats + model->slice.offsets[i]);
        return model;
    }
    for (size_t i = 0; i < sim->disk.n_committed; i++) {
        const sim_checkpoint *c = &sim->disk.committed[i];
        if (c->good && c->version == order->version && sim_slice_get(&c->slices[node->k], model))
            return model;
    }
    shard_model_free(model);
    return NULL;
}

static void restore(sim_node *node, server_node *n, const wire_server_order *order)
{
    shard_model *model = load(node, order);
    if (model == NULL) {
        shard_state_failed(n->state, "the checkpoint does not load", sim->now_ms);
        return;
    }
    RT_ASSERT(shard_state_restored(n->state, order, &model, NULL) == RT_OK);
    sim_trace("restored version %" PRIu64 " generation %" PRIu64, order->version,
              order->generation);
    sim_saw_restore(node, order->version);
}

static void save(const sim_node *node, server_node *n, const wire_server_order *order)
{
    char name[] = "slice", sha[] = "sha";
    wire_saved_file file = {.name = name, .n_bytes = 1, .sha256 = sha};
    if (sim_chance(0.05)) {
        shard_state_failed(n->state, "the disk is full", sim->now_ms);
        return;
    }
    sim_slice_set(&sim->disk.partial[node->k], order->version, shard_state_model(n->state));
    RT_ASSERT(shard_state_saved(n->state, order, &file, 1, NULL) == RT_OK);
    sim_saw_save(node, order->version);
    sim_trace("saved version %" PRIu64, order->version);
}

static void obey(sim_node *node, server_node *n, const wire_server_order *order)
{
    switch (shard_state_order(n->state, order, sim->now_ms)) {
    case SHARD_NOTHING: break;
    case SHARD_APPLIED:
        sim_trace("applied step %" PRIu64, order->version);
        sim_saw_apply(node, order->version);
        break;
    case SHARD_RESTORE: restore(node, n, order); break;
    case SHARD_SAVE:
        save(node, n, order);
        if (n->leave_by_ms != 0) n->leave_by_ms = sim->now_ms + LEAVE_MS;
        break;
    case SHARD_STOP: sim_leave(node, false); break;
    }
}

/* ---- messages ---- */

void sim_server_hear(sim_node *node, net_incoming *in)
{
    server_node *n = node->self;
    if (sim_member_hear(node, &n->member, in)) return;
    if (in->message.type == WIRE_SERVER_ORDER) {
        obey(node, n, &in->message.server_order);
        return;
    }
    uint64_t before[3] = {n->desk.n_accepted, n->desk.n_duplicates, n->desk.n_stale};
    student_desk_handle(&n->desk, in, sim->now_ms);
    if (in->message.type != WIRE_PUSH) return;
    if (n->desk.n_accepted > before[0]) sim_saw_push(node, &in->message.push, PUSH_ACCEPTED);
    if (n->desk.n_duplicates > before[1]) sim_saw_push(node, &in->message.push, PUSH_DUPLICATE);
    if (n->desk.n_stale > before[2]) sim_saw_push(node, &in->message.push, PUSH_STALE);
}

/* A commit took the slice away, or another version is in its place. */
static void check_saved(const sim_node *node, server_node *n)
{
    wire_server_report r;
    shard_state_report(n->state, &r);
    const sim_slice *s = &sim->disk.partial[node->k];
    if (r.has_saved && (!s->there || s->version != r.saved_version))
        shard_state_forget_saved(n->state);
}

static uint64_t report_due_ms(const server_node *n)
{
    uint64_t pause_ms = sim->config.net.heartbeat_ms;
    if (shard_state_n_changes(n->state) != n->reported_changes)
        pause_ms = 0;
    else if (n->leave_by_ms != 0)
        pause_ms = LEAVING_REPORT_MS;
    else if (n->desk.n_accepted != n->reported_accepted)
        pause_ms = PROGRESS_REPORT_MS;
    else if (shard_state_is_gathered(n->state))
        pause_ms = GATHERED_AGAIN_MS;
    return n->reported_at_ms + pause_ms;
}

static void report(sim_node *node, server_node *n)
{
    wire_message m = {.type = WIRE_SERVER_REPORT};
    if (shard_state_n_changes(n->state) == n->reported_changes) check_saved(node, n);
    shard_state_report(n->state, &m.server_report);
    sim_send(node, sim_coordinator_node(), 0, &m, NULL, 0);
    n->reported_at_ms = sim->now_ms;
    n->reported_changes = shard_state_n_changes(n->state);
    n->reported_accepted = n->desk.n_accepted;
}

void sim_server_ask_to_stop(sim_node *node)
{
    server_node *n = node->self;
    if (n->leave_by_ms != 0) return;
    sim_trace("%s is asked to stop", node->name);
    if (shard_state_leave(n->state))
        n->leave_by_ms = sim->now_ms + LEAVE_MS;
    else
        sim_leave(node, false);
}

void sim_server_tick(sim_node *node)
{
    server_node *n = node->self;
    if (n->leave_by_ms != 0 && sim->now_ms >= n->leave_by_ms && !node->left) sim_leave(node, false);
    sim_member_beat(node, &n->member, ROLE_SERVER);
    student_desk_answer_parked(&n->desk, sim->now_ms);
    sim_check(n->parked.n <= PARKED_PULLS_MAX, "%zu pulls are parked", n->parked.n);
    if (sim->now_ms >= report_due_ms(n)) report(node, n);
    sim_at(sim->now_ms + sim_between(1, TICK_MS), EVENT_TICK, node, NULL);
}
