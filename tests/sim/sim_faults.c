/* What goes wrong, when: drawn from the seed, until sim->shape.faults_end_ms. */
#include <inttypes.h>

#include "tests/sim/sim.h"

typedef enum fault {
    FAULT_CRASH,
    FAULT_CRASH_SHARD,
    FAULT_CRASH_STUDENT,
    FAULT_CRASH_AT_IO, /* the coordinator, in the middle of its next pieces of work */
    FAULT_CRASH_ALL,
    FAULT_STOP,
    FAULT_LEAVE,  /* a shard is asked to stop */
    FAULT_ZOMBIE, /* stopped, replaced under its name, and back */
    FAULT_PARTITION,
    FAULT_REDIS_AWAY,
    FAULT_REDIS_LOST,
    FAULT_FLUSH,
    FAULT_SLOW,
    FAULT_BAD_CHECKPOINT,
    FAULT_KINDS,
} fault;

void sim_faults_plan(void)
{
    for (uint32_t i = 0; i < sim->shape.n_faults; i++)
        sim_at(sim_below(sim->shape.faults_end_ms), EVENT_FAULT, NULL, NULL);
}

/* Any process but Redis. */
static sim_node *any_node(void)
{
    return &sim->nodes[sim_below(sim->n_nodes - 1)];
}

static sim_node *one_of(sim_role role)
{
    size_t first = (size_t)sim_below(sim->n_nodes);
    for (size_t i = 0; i < sim->n_nodes; i++) {
        sim_node *node = &sim->nodes[(first + i) % sim->n_nodes];
        if (node->role == role && node->up) return node;
    }
    return NULL;
}

static void crash_one(sim_role role)
{
    sim_node *node = one_of(role);
    if (node != NULL) sim_crash(node);
}

static sim_node *other_of_its_name(const sim_node *node)
{
    for (size_t i = 0; i < sim->n_nodes; i++) {
        sim_node *other = &sim->nodes[i];
        if (other != node && other->role == node->role && other->k == node->k) return other;
    }
    return NULL;
}

static void stop(sim_node *node, uint64_t ms)
{
    sim_trace("SIGSTOP of %s for %" PRIu64 " ms", node->name, ms);
    node->stopped_until_ms = sim->now_ms + ms;
}

static void zombie(sim_node *node)
{
    sim_node *other = other_of_its_name(node);
    if (!node->up || other == NULL || other->up) return;
    stop(node, sim_between(500, 9000));
    other->left = false;
    sim_at(sim->now_ms + sim_between(100, 4000), EVENT_START, other, NULL);
}

static void partition(void)
{
    sim_node *a = &sim->nodes[sim_below(sim->n_nodes)], *b = &sim->nodes[sim_below(sim->n_nodes)];
    uint64_t until_ms = sim->now_ms + sim_between(200, 9000);
    bool both = sim_chance(0.5);
    sim_trace("no way from %s to %s%s until %" PRIu64, a->name, b->name, both ? " and back" : "",
              until_ms);
    sim->blocked_until_ms[a->i][b->i] = until_ms;
    if (both) sim->blocked_until_ms[b->i][a->i] = until_ms;
}

static void rot(void)
{
    size_t n_good = 0;
    for (size_t i = 0; i < sim->disk.n_committed; i++) n_good += sim->disk.committed[i].good;
    const sim_checkpoint *newest = sim_newest_checkpoint();
    /* Nobody reads the last one before the end, which looks at it. */
    if (n_good < 2 || newest->version == sim->config.train.steps) return;
    sim_trace("the checkpoint of version %" PRIu64 " rots", newest->version);
    for (size_t i = 0; i < sim->disk.n_committed; i++)
        if (&sim->disk.committed[i] == newest) sim->disk.committed[i].good = false;
}

void sim_fault(void)
{
    sim_node *node = any_node();
    switch ((fault)sim_below(FAULT_KINDS)) {
    case FAULT_CRASH: sim_crash(node); break;
    case FAULT_CRASH_SHARD: crash_one(SIM_SERVER); break;
    case FAULT_CRASH_STUDENT: crash_one(SIM_STUDENT); break;
    case FAULT_CRASH_AT_IO: sim_coordinator_node()->io_left = (int64_t)sim_below(12); break;
    case FAULT_CRASH_ALL:
        if (!sim_chance(0.3)) break;
        for (size_t i = 0; i + 1 < sim->n_nodes; i++) sim_crash(&sim->nodes[i]);
        break;
    case FAULT_STOP:
        if (node->up) stop(node, sim_between(50, 8000));
        break;
    case FAULT_LEAVE:
        node = one_of(SIM_SERVER);
        if (node != NULL) sim_server_ask_to_stop(node);
        break;
    case FAULT_ZOMBIE: zombie(node); break;
    case FAULT_PARTITION: partition(); break;
    case FAULT_REDIS_LOST:
        sim_redis_flush(); /* and away for a while */
        __attribute__((fallthrough));
    case FAULT_REDIS_AWAY:
        sim->redis_down_until_ms = sim->now_ms + sim_between(100, 5000);
        sim_trace("Redis is away until %" PRIu64, sim->redis_down_until_ms);
        break;
    case FAULT_FLUSH:
        sim_trace("FLUSHALL");
        sim_redis_flush();
        break;
    case FAULT_SLOW:
        if (sim_chance(0.5)) node = &sim->nodes[1 + 2 * sim->shape.n_servers];
        node->slow_until_ms = sim->now_ms + sim_between(1000, 10000);
        sim_trace("%s is slow until %" PRIu64, node->name, node->slow_until_ms);
        break;
    case FAULT_BAD_CHECKPOINT: rot(); break;
    case FAULT_KINDS: break;
    }
}
