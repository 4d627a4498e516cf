/* One seed: its shape, its processes, its events to the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "tests/sim/sim.h"

/* ---- the shape ---- */

static void draw_shape(sim_shape *s)
{
    bool rough = sim_chance(0.5);
    *s = (sim_shape){.n_servers = (uint32_t)sim_between(1, 3),
                     .n_students = (uint32_t)sim_between(1, 3),
                     .n_teachers = (uint32_t)sim_between(1, 2),
                     .n_examples = sim_between(8, 28),
                     .p_loss = rough ? 0.04 : 0,
                     .p_repeat = rough ? 0.04 : 0.01,
                     .p_late = rough ? 0.02 : 0,
                     .p_redis = rough ? 0.01 : 0,
                     .delay_ms_max = sim_between(1, 20),
                     .faults_end_ms = sim_between(1000, 10000),
                     .n_faults = (uint32_t)sim_below(16)};
    s->deadline_ms = s->faults_end_ms + 900000;
}

/* Half of the seeds are sync: there every bit is known. */
static train_mode draw_mode(void)
{
    if (sim_chance(0.5)) return TRAIN_SYNC;
    return sim_chance(0.5) ? TRAIN_SSP : TRAIN_ASYNC;
}

static void draw_config(config *c, int mode)
{
    static char name[] = "sim", none[] = "", url[] = "sim", endpoint[] = "sim", currency[] = "USD",
                format[] = "{marker} {label}";
    *c = (config){.name = name, .run_dir = none, .seed = sim->seed, .threads = 1};
    c->task = (task_config){.name = name, .label_format = format};
    c->limits.currency = currency;
    c->label = (label_config){.shard_size = sim_between(2, 5),
                              .lease_ms = sim_between(1500, 6000),
                              .rejected_share_max = 1};
    c->queue = (queue_config){.url = url,
                              .password = none,
                              .labels_max = 100,
                              .batches_max = sim_between(4, 16),
                              .deliveries_max = 20,
                              .claim_ms = 15000};
    c->student.arch = STUDENT_LLAMA;
    c->train = (train_config){.mode = mode >= 0 ? (train_mode)mode : draw_mode(),
                              .staleness_max = sim_between(1, 4),
                              .backup_after = sim_chance(0.7) ? 3 : 0,
                              .steps = sim_between(3, 14),
                              .chunk_size = sim_between(6, 12),
                              .micro_batches = sim_between(1, 4),
                              .micro_batch_tokens = 16,
                              .lr = 0.02,
                              .beta1 = 0.9,
                              .beta2 = 0.99,
                              .eps = 1e-8,
                              .weight_decay = 0.1,
                              .schedule = SCHEDULE_COSINE,
                              .lr_end_share = 0.1,
                              .clip_norm = sim_chance(0.5) ? 0.4 : 0,
                              .valid_share = 0.2,
                              .valid_max = 6,
                              .eval_every = sim_below(5),
                              .checkpoints_kept = 2,
                              .lookahead_steps = sim_between(1, 4)};
    if (c->train.mode != TRAIN_SYNC) c->train.lookahead_steps += c->train.staleness_max;
    c->launch.servers = sim->shape.n_servers;
    c->net = (net_config){.coordinator = endpoint,
                          .heartbeat_ms = 400,
                          .dead_after_ms = 2500,
                          .request_timeout_ms = 3000};
}

static const model_config tiny = {.arch = MODEL_ARCH_LLAMA,
                                  .n_vocab = 5,
                                  .d_model = 2,
                                  .n_layers = 1,
                                  .n_heads = 1,
                                  .n_kv_heads = 1,
                                  .d_head = 2,
                                  .d_ff = 3,
                                  .seq_len_max = 32,
                                  .rope_theta = 10000,
                                  .norm_eps = 1e-5f,
                                  .tied = true,
                                  .bos_id = 1,
                                  .eos_id = 2,
                                  .pad_id = 3};

/* ---- the processes ---- */

typedef struct role_work {
    void (*start)(sim_node *node);
    void (*stop)(sim_node *node);
    void (*tick)(sim_node *node);
} role_work;

static const role_work roles[] = {
    [SIM_COORDINATOR] = {sim_coordinator_start, sim_coordinator_stop, sim_coordinator_tick},
    [SIM_SERVER] = {sim_server_start, sim_server_stop, sim_server_tick},
    [SIM_STUDENT] = {sim_student_start, sim_student_stop, sim_student_tick},
    [SIM_TEACHER] = {sim_teacher_start, sim_teacher_stop, sim_teacher_tick},
};

static sim_node *add_node(sim_role role, uint32_t k, const char *name)
{
    RT_ASSERT(sim->n_nodes < SIM_NODES_MAX);
    sim_node *node = &sim->nodes[sim->n_nodes];
    *node = (sim_node){.i = (uint32_t)sim->n_nodes++, .role = role, .k = k, .io_left = -1};
    if (role == SIM_COORDINATOR || role == SIM_REDIS)
        snprintf(node->name, sizeof node->name, "%s", name);
    else
        snprintf(node->name, sizeof node->name, "%s-%" PRIu32, name, k);
    return node;
}

/* The second of a name waits to replace the first. */
static void add_workers(sim_role role, uint32_t n, const char *name)
{
    for (uint32_t k = 0; k < n; k++) {
        sim_at(sim_below(500), EVENT_START, add_node(role, k, name), NULL);
        add_node(role, k, name)->left = true;
    }
}

static void add_all(void)
{
    sim_at(sim_below(500), EVENT_START, add_node(SIM_COORDINATOR, 0, "coordinator"), NULL);
    add_workers(SIM_SERVER, sim->shape.n_servers, "server");
    add_workers(SIM_STUDENT, sim->shape.n_students, "student");
    add_workers(SIM_TEACHER, sim->shape.n_teachers, "teacher");
    add_node(SIM_REDIS, 0, "redis");
}

static void start(sim_node *node)
{
    if (node->up || node->left) return;
    for (size_t i = 0; i < sim->n_nodes; i++) {
        sim_node *other = &sim->nodes[i];
        if (other->role == node->role && other->k == node->k && other->up) other->replaced = true;
    }
    node->replaced = false;
    node->up = true;
    node->doomed = false;
    node->io_left = -1;
    node->life++;
    node->stopped_until_ms = 0;
    /* A wall clock that jumps. */
    uint64_t jump_ms = sim_chance(0.3) ? sim_below(7200000) : 3600000;
    node->incarnation = 1000000 + sim->now_ms + jump_ms;
    sim->current = node;
    sim_trace("starts, incarnation %" PRIu64, node->incarnation);
    roles[node->role].start(node);
}

static void end(sim_node *node)
{
    roles[node->role].stop(node);
    node->up = false;
    node->doomed = false;
    node->io_left = -1;
}

void sim_crash(sim_node *node)
{
    sim_node *before = sim->current;
    if (!node->up) return;
    sim->current = node;
    sim_trace("kill -9");
    sim->counts.n_crashes++;
    end(node);
    sim_at(sim->now_ms + sim_between(50, 4000), EVENT_START, node, NULL);
    sim->current = before;
}

/* A worker that hears its end is in the middle of handling a message: it goes at its next tick. */
void sim_leave(sim_node *node, bool for_ever)
{
    sim_trace("leaves");
    node->left = true;
    if (!for_ever) sim_at(sim->now_ms + 3000, EVENT_START, node, "again");
}

/* ---- the events ---- */

static bool must_wait(const sim_event *e)
{
    const sim_node *node = &sim->nodes[e->node];
    bool asleep = e->kind == EVENT_TICK || e->kind == EVENT_PACKET;
    if (!asleep || !node->up || node->stopped_until_ms <= sim->now_ms) return false;
    sim_event again = *e;
    sim_at(node->stopped_until_ms, again.kind, &sim->nodes[e->node], again.what);
    return true;
}

static void begin_again(sim_node *node, const void *what)
{
    /* The launcher starts what was refused once more, unless its successor is there. */
    for (size_t i = 0; what != NULL && i < sim->n_nodes; i++) {
        const sim_node *other = &sim->nodes[i];
        if (other != node && other->role == node->role && other->k == node->k && other->up) return;
    }
    if (what != NULL) node->left = false;
    start(node);
}

static void handle(const sim_event *e)
{
    sim_node *node = &sim->nodes[e->node];
    sim->current = node;
    switch (e->kind) {
    case EVENT_START: begin_again(node, e->what); break;
    case EVENT_TICK:
        if (!node->up || e->life != node->life) break;
        if (node->left)
            end(node);
        else
            roles[node->role].tick(node);
        break;
    case EVENT_PACKET: sim_deliver(e); break;
    case EVENT_FAULT:
        sim->current = NULL;
        sim_fault();
        break;
    }
}

/* All that breaks by chance stops breaking. */
static void calm_down(void)
{
    sim_trace("no more faults");
    sim->shape.p_loss = sim->shape.p_late = sim->shape.p_redis = 0;
    memset(sim->blocked_until_ms, 0, sizeof sim->blocked_until_ms);
    for (size_t i = 0; i < sim->n_nodes; i++) sim->nodes[i].slow_until_ms = 0;
}

static void play(void)
{
    sim_event e;
    bool calm = false;
    while (!sim->finished && sim_next(&e)) {
        sim->now_ms = RT_MAX(sim->now_ms, e.at_ms);
        if (!calm && sim->now_ms >= sim->shape.faults_end_ms + 1000) {
            calm = true;
            calm_down();
        }
        sim_check(sim->now_ms < sim->shape.deadline_ms, "it does not end");
        if (must_wait(&e)) continue;
        sim->counts.n_events++;
        handle(&e);
        if (!sim->finished) sim_check_all();
    }
    sim_check(sim->finished, "nothing happens any more");
}

static void clean_up(void)
{
    sim_event e;
    while (sim_next(&e))
        if (e.kind == EVENT_PACKET) sim_packet_free(e.what);
    for (size_t i = 0; i < sim->n_nodes; i++) {
        sim->current = &sim->nodes[i];
        if (sim->nodes[i].up) end(&sim->nodes[i]);
    }
    sim_oracle_free();
    sim_disk_free(&sim->disk);
    param_table_free(&sim->table);
    queue_close(sim->redis);
    free(sim->heap);
    RT_ASSERT(rt_fs_remove_tree(sim->folder, NULL) == RT_OK);
}

sim_counts sim_run(uint64_t seed, int mode, bool trace)
{
    sim_world *world = rt_calloc(1, sizeof *world);
    RT_ASSERT(world != NULL);
    sim = world;
    sim->seed = seed;
    sim->random = seed * UINT64_C(0xd1342543de82ef95) + 1;
    sim->trace = trace;
    sim->model = tiny;
    draw_shape(&sim->shape);
    draw_config(&sim->config, mode);
    bool in_memory = access("/dev/shm", W_OK) == 0;
    snprintf(sim->folder, sizeof sim->folder, "%s/retort-sim-%ld", in_memory ? "/dev/shm" : "/tmp",
             (long)getpid());
    char dataset[96];
    snprintf(dataset, sizeof dataset, "%s/dataset", sim->folder);
    RT_ASSERT(rt_fs_mkdirs(dataset, NULL) == RT_OK);
    RT_ASSERT(param_table_build(&sim->model, &sim->table, NULL) == RT_OK);
    RT_ASSERT(queue_open_memory(&sim->now_ms, &sim->redis, NULL) == RT_OK);
    sim_oracle_new();
    add_all();
    sim_faults_plan();
    play();
    sim_counts counts = sim->counts;
    clean_up();
    free(world);
    return counts;
}
