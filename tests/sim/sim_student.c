/* A student: the real hand of micro-batches, and what run.c does with the lowest of them. Gradients
 * are small functions of the micro-batch and of the weights that were pulled, so that work done with
 * wrong weights shows. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/nn/optim/adamw.h"
#include "tests/sim/sim.h"
#include "worker/student/take_batch.h"

#define TICK_MS  30
#define AWAY_MS  50
#define AGAIN_MS 500

typedef enum student_doing { IDLE, PULLING, COMPUTING, PUSHING, REPORTING } student_doing;

typedef struct shard_side {
    uint64_t asked;               /* the version that was asked for */
    uint64_t version, generation; /* of the slice held */
    bool whole, waiting;
} shard_side;

typedef struct student_node {
    sim_member member;
    uint64_t generation; /* of the view that was looked at last */
    uint32_t servers[SIM_SHARDS_MAX];
    size_t n_servers;
    queue *queue;
    queue_names names;
    bool took_pending;
    batch_hand hand;
    uint64_t n_read_on;
    bool caught_up;
    param_slice slices[SIM_SHARDS_MAX];
    shard_side sides[SIM_SHARDS_MAX];
    float *w, *grad, *part;
    student_doing doing;
    uint64_t step; /* of what is being done; with index and kind it finds the entry again */
    uint32_t index;
    micro_batch_kind kind;
    uint64_t until_ms, again_ms, pause_ms;
    uint64_t ask_id; /* answers to earlier questions come late and are of no use */
    wire_pull_status pulled;
    wire_push_status pushed;
    double loss;
} student_node;

void sim_student_start(sim_node *node)
{
    student_node *n = rt_calloc(1, sizeof *n);
    RT_ASSERT(n != NULL);
    size_t n_total = sim->table.n_total;
    n->w = rt_calloc(n_total, sizeof *n->w);
    n->grad = rt_calloc(n_total, sizeof *n->grad);
    n->part = rt_calloc(n_total, sizeof *n->part);
    RT_ASSERT(n->w != NULL && n->grad != NULL && n->part != NULL);
    for (uint32_t i = 0; i < sim->shape.n_servers; i++)
        RT_ASSERT(param_slice_build(&sim->table, i, sim->shape.n_servers, &n->slices[i], NULL) ==
                  RT_OK);
    queue_names_of(sim->config.name, &n->names);
    node->self = n;
    sim_at(sim->now_ms + 1, EVENT_TICK, node, NULL);
}

void sim_student_stop(sim_node *node)
{
    student_node *n = node->self;
    batch_hand_free(&n->hand);
    queue_close(n->queue);
    for (size_t i = 0; i < SIM_SHARDS_MAX; i++) param_slice_free(&n->slices[i]);
    free(n->w);
    free(n->grad);
    free(n->part);
    free(n);
    node->self = NULL;
}

size_t sim_student_n_held(const sim_node *node)
{
    return ((student_node *)node->self)->hand.n;
}

static void forget_weights(student_node *n)
{
    for (size_t i = 0; i < SIM_SHARDS_MAX; i++) n->sides[i].whole = false;
}

static void rest(student_node *n, uint64_t pause_ms)
{
    n->doing = IDLE;
    n->pause_ms = sim->now_ms + pause_ms;
}

static held_batch *in_work(student_node *n)
{
    for (size_t i = 0; i < n->hand.n; i++) {
        const micro_batch *b = &n->hand.items[i].batch;
        if (b->step == n->step && b->index == n->index && b->kind == n->kind)
            return &n->hand.items[i];
    }
    return NULL;
}

static void let_go(student_node *n, held_batch *held)
{
    /* Without an acknowledgement the entry comes again, and its effect is known then. */
    if (queue_ack(n->queue, n->names.batches, &held->entry, 1, NULL) != RT_OK) n->pause_ms = 0;
    batch_hand_drop(&n->hand, held);
    n->doing = IDLE;
}

/* ---- asking all shards ---- */

static bool all_answered(const student_node *n)
{
    for (size_t i = 0; i < n->n_servers; i++)
        if (n->sides[i].waiting) return false;
    return true;
}

static bool is_sync(void)
{
    return sim->config.train.mode == TRAIN_SYNC;
}

/* A score is that of one version, in every mode. */
static uint64_t staleness_of(const student_node *n)
{
    return is_sync() || n->kind == MICRO_BATCH_EVALUATE ? 0 : sim->config.train.staleness_max;
}

static bool will_do(const student_node *n, uint64_t version)
{
    return version <= n->step && n->step - version <= staleness_of(n);
}

static void send_pull(sim_node *node, student_node *n, uint32_t i)
{
    wire_message m = {.type = WIRE_PULL,
                      .message_id = n->ask_id,
                      .pull = {.version = n->step, .staleness = staleness_of(n)}};
    sim_send(node, &sim->nodes[n->servers[i]], 0, &m, NULL, 0);
}

static uint64_t oldest_version(const student_node *n)
{
    uint64_t oldest = UINT64_MAX;
    for (size_t i = 0; i < n->n_servers; i++) oldest = RT_MIN(oldest, n->sides[i].version);
    return oldest;
}

static wire_push push_of(const student_node *n, const held_batch *held, uint32_t i)
{
    double norm = sqrt(grad_sum_squares(n->grad, sim->table.n_total));
    return (wire_push){.step = held->batch.step,
                       .index = held->batch.index,
                       .n_micro_batches = held->batch.n_micro_batches,
                       .sums = {.loss = {n->loss}, .count = {1}},
                       .n_floats = n->slices[i].n_floats,
                       .version = is_sync() ? 0 : oldest_version(n),
                       .generation = is_sync() ? 0 : n->sides[i].generation,
                       .norm = is_sync() ? 0 : norm};
}

static void send_push(sim_node *node, student_node *n, uint32_t i)
{
    const held_batch *held = in_work(n);
    wire_message m = {.type = WIRE_PUSH, .message_id = n->ask_id, .push = push_of(n, held, i)};
    param_slice_gather(&n->slices[i], &sim->table, n->grad, n->part);
    net_frame frame = {.data = n->part, .n_bytes = n->slices[i].n_floats * sizeof(float)};
    sim_send(node, &sim->nodes[n->servers[i]], 0, &m, &frame, frame.n_bytes > 0 ? 1 : 0);
}

static void send_result(sim_node *node, student_node *n)
{
    wire_message m = {.type = WIRE_EVAL_RESULT,
                      .message_id = n->ask_id,
                      .eval_result = {.version = n->step,
                                      .index = n->index,
                                      .sums = {.loss = {n->loss}, .count = {1}, .n_seqs = {1}}}};
    sim_send(node, sim_coordinator_node(), 0, &m, NULL, 0);
}

static void ask(sim_node *node, student_node *n)
{
    for (uint32_t i = 0; i < n->n_servers; i++) {
        if (!n->sides[i].waiting) continue;
        if (n->doing == PULLING) send_pull(node, n, i);
        if (n->doing == PUSHING) send_push(node, n, i);
    }
    if (n->doing == REPORTING) send_result(node, n);
    n->again_ms = sim->now_ms + AGAIN_MS;
}

static void begin(sim_node *node, student_node *n, student_doing doing)
{
    n->doing = doing;
    n->ask_id++;
    n->until_ms = sim->now_ms + sim->config.net.request_timeout_ms;
    n->pulled = PULL_OK;
    n->pushed = PUSH_ACCEPTED;
    for (size_t i = 0; i < n->n_servers; i++) {
        const shard_side *side = &n->sides[i];
        bool anew = sim->config.train.mode == TRAIN_ASYNC && staleness_of(n) > 0;
        bool there = side->whole && side->asked == n->step && will_do(n, side->version) && !anew;
        n->sides[i].waiting = doing == PUSHING || (doing == PULLING && !there);
    }
    ask(node, n);
}

/* ---- one micro-batch ---- */

static void compute(sim_node *node, student_node *n)
{
    bool slow = node->slow_until_ms > sim->now_ms;
    n->doing = COMPUTING;
    n->until_ms = sim->now_ms + sim_between(5, 60) * (slow ? 80 : 1);
}

static void computed(sim_node *node, student_node *n)
{
    const held_batch *held = in_work(n);
    RT_ASSERT(held != NULL);
    n->loss = sim_gradient(sim_content_of(&held->batch), n->w, n->grad);
    begin(node, n, held->batch.kind == MICRO_BATCH_EVALUATE ? REPORTING : PUSHING);
}

static void pulled_all(sim_node *node, student_node *n)
{
    held_batch *held = in_work(n);
    for (size_t i = 1; i < n->n_servers && n->pulled == PULL_OK && staleness_of(n) > 0; i++)
        if (n->sides[i].generation != n->sides[0].generation) n->pulled = PULL_NOT_YET;
    if (n->pulled == PULL_NOT_YET && staleness_of(n) > 0) forget_weights(n);
    if (n->pulled == PULL_OK) compute(node, n);
    if (n->pulled == PULL_GONE) let_go(n, held);
    if (n->pulled == PULL_NOT_YET) n->doing = IDLE;
}

static void pushed_all(student_node *n)
{
    if (n->pushed == PUSH_AHEAD) {
        forget_weights(n);
        n->doing = IDLE;
        return;
    }
    let_go(n, in_work(n));
}

static uint32_t side_of(const student_node *n, const net_incoming *in)
{
    uint32_t node = 0;
    memcpy(&node, in->peer.bytes, sizeof node);
    for (uint32_t i = 0; i < n->n_servers; i++)
        if (n->servers[i] == node) return i;
    return UINT32_MAX;
}

static void hear_pulled(sim_node *node, student_node *n, uint32_t i, const net_incoming *in)
{
    const wire_pulled *p = &in->message.pulled;
    shard_side *side = &n->sides[i];
    sim_check(p->status != PULL_OK || will_do(n, p->version), "version %" PRIu64 " for %" PRIu64,
              p->version, n->step);
    side->waiting = false;
    if (p->status == PULL_OK) {
        size_t n_bytes = 0;
        const void *bytes = in->n_frames > 0 ? net_frame_data(in, 0, &n_bytes) : NULL;
        sim_check(n_bytes == n->slices[i].n_floats * sizeof(float), "a slice of %zu bytes",
                  n_bytes);
        if (n_bytes > 0) memcpy(n->part, bytes, n_bytes);
        param_slice_scatter(&n->slices[i], &sim->table, n->part, n->w);
        *side = (shard_side){
            .asked = n->step, .version = p->version, .generation = p->generation, .whole = true};
    } else if (n->pulled != PULL_GONE) {
        n->pulled = p->status;
    }
    if (all_answered(n)) pulled_all(node, n);
}

static void hear_pushed(student_node *n, uint32_t i, const net_incoming *in)
{
    wire_push_status s = in->message.pushed.status;
    n->sides[i].waiting = false;
    if (n->pushed != PUSH_STALE && (s == PUSH_STALE || s == PUSH_AHEAD)) n->pushed = s;
    if (all_answered(n)) pushed_all(n);
}

void sim_student_hear(sim_node *node, net_incoming *in)
{
    student_node *n = node->self;
    if (sim_member_hear(node, &n->member, in)) return;
    if (in->message.message_id != n->ask_id) return;
    if (in->message.type == WIRE_ACK) {
        if (n->doing == REPORTING) let_go(n, in_work(n));
        return;
    }
    uint32_t i = side_of(n, in);
    if (i == UINT32_MAX || !n->sides[i].waiting) return;
    if (in->message.type == WIRE_REFUSED) {
        forget_weights(n);
        rest(n, AWAY_MS);
    } else if (n->doing == PULLING && in->message.type == WIRE_PULLED) {
        hear_pulled(node, n, i, in);
    } else if (n->doing == PUSHING && in->message.type == WIRE_PUSHED) {
        hear_pushed(n, i, in);
    }
}

/* ---- the loop ---- */

/* False while a shard is missing. */
static bool follow(student_node *n)
{
    const sim_member *m = &n->member;
    if (!m->registered || m->n_servers == 0) return false;
    bool moved = n->n_servers != m->n_servers ||
                 memcmp(n->servers, m->servers, m->n_servers * sizeof *n->servers) != 0;
    if (moved || m->generation != n->generation) {
        forget_weights(n);
        /* Whatever was asked is asked again: the run went back, or the shards moved. */
        if (n->doing != IDLE && n->doing != REPORTING) n->doing = IDLE;
        n->n_read_on = 0;
        n->caught_up = false;
    }
    n->n_servers = m->n_servers;
    memcpy(n->servers, m->servers, sizeof n->servers);
    n->generation = m->generation;
    return true;
}

static size_t take(sim_node *node, student_node *n)
{
    size_t n_taken = 0, n_max = n->took_pending ? 1 : BATCH_HAND_MAX;
    if (n->queue == NULL && queue_open_redis("sim", "", &n->queue, NULL) != RT_OK) return 0;
    rt_status st = RT_OK;
    if (n->hand.n == BATCH_HAND_MAX) {
        n_max = BATCH_HAND_MAX / 2;
        st = give_back(n->queue, &n->names, n_max, &n->hand, NULL);
    }
    if (st == RT_OK)
        st = take_batch(n->queue, &n->names, node->name, !n->took_pending, n_max, 0, n->generation,
                        &n->hand, &n_taken, NULL);
    if (st == RT_OK) n->took_pending = true;
    return st == RT_OK ? n_taken : 0;
}

static bool should_read_on(student_node *n, size_t n_taken)
{
    const held_batch *lowest = batch_hand_lowest(&n->hand);
    n->n_read_on += n_taken;
    if (lowest != NULL && lowest->generation == n->generation) n->caught_up = true;
    return n_taken > 0 && !n->caught_up && n->n_read_on <= sim->config.queue.batches_max;
}

static void choose(sim_node *node, student_node *n)
{
    while (batch_hand_wants_more(&n->hand, n->generation, sim->now_ms))
        if (!should_read_on(n, take(node, n))) break;
    const held_batch *held = batch_hand_lowest(&n->hand);
    if (held == NULL) return;
    n->step = held->batch.step;
    n->index = held->batch.index;
    n->kind = held->batch.kind;
    begin(node, n, PULLING);
    if (all_answered(n)) pulled_all(node, n);
}

static void go_on(sim_node *node, student_node *n)
{
    switch (n->doing) {
    case IDLE:
        if (sim->now_ms >= n->pause_ms && n->member.phase == PHASE_RUNNING) choose(node, n);
        return;
    case COMPUTING:
        if (sim->now_ms >= n->until_ms) computed(node, n);
        return;
    case PULLING:
    case PUSHING:
    case REPORTING:
        if (sim->now_ms >= n->until_ms) {
            forget_weights(n);
            rest(n, AWAY_MS);
        } else if (sim->now_ms >= n->again_ms) {
            ask(node, n);
        }
        return;
    }
}

void sim_student_tick(sim_node *node)
{
    student_node *n = node->self;
    sim_member_beat(node, &n->member, ROLE_STUDENT);
    if (follow(n)) go_on(node, n);
    sim_at(sim->now_ms + sim_between(1, TICK_MS), EVENT_TICK, node, NULL);
}
