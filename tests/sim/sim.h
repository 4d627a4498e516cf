/* A whole run in one thread, from one seed: the simulation of docs/adr/0014-simulation.md.
 *
 *     real       coordinator: on_message, turn, train_stage, feed, archive_stage, plan_stage,
 *                queue_link, and every pure module behind them; archive and metrics files
 *                parameter server: serve_students, shard_state, gather, parked_pulls
 *                student: take_batch; the encoding of every message and queue entry
 *     in memory  network, Redis, clock, checkpoints, plan journal, token cache (sim_*.c: each
 *                defines the functions of the module it stands for, so the linker takes it instead)
 *     modelled   what a student, a teacher and a shard's process do between two messages
 *
 * Every event is checked (sim_check_all()). What goes wrong names seed and time; the same seed does
 * the same things again:
 *
 *     sim --seed 17 --trace
 */
#ifndef RT_TESTS_SIM_H
#define RT_TESTS_SIM_H

#include "common/conf/config.h"
#include "common/dataset/micro_batch.h"
#include "common/dataset/plan.h"
#include "common/net/endpoint.h"
#include "common/nn/param_table.h"
#include "common/queue/queue.h"
#include "worker/param_server/shard_model.h"

#define SIM_NODES_MAX    24
#define SIM_STEPS_MAX    64
#define SIM_MICRO_MAX    8
#define SIM_SHARDS_MAX   4
#define SIM_EXAMPLES_MAX 256

typedef enum sim_role { SIM_COORDINATOR, SIM_SERVER, SIM_STUDENT, SIM_TEACHER, SIM_REDIS } sim_role;

/* One process. Two nodes may share a name: the second is what replaces a first that hangs. */
typedef struct sim_node {
    uint32_t i;
    sim_role role;
    uint32_t k; /* within its role */
    char name[24];
    bool up;
    bool left;     /* it ended by itself, as told */
    uint64_t life; /* grows with each start */
    bool replaced; /* it hung, and another took its name */
    uint64_t incarnation;
    uint64_t stopped_until_ms; /* SIGSTOP */
    uint64_t slow_until_ms;    /* computes far slower than the others */
    int64_t io_left;           /* dies at this I/O call from now; < 0: does not */
    bool doomed;               /* it has come to it */
    void *self;
} sim_node;

typedef enum sim_event_kind { EVENT_START, EVENT_TICK, EVENT_PACKET, EVENT_FAULT } sim_event_kind;

typedef struct sim_event {
    uint64_t at_ms, order;
    sim_event_kind kind;
    uint32_t node;
    uint64_t life;
    void *what;
} sim_event;

/* What stands on the disks: survives every process. */
typedef struct sim_slice {
    bool there;
    uint64_t version;
    size_t n_floats;
    float *w, *m, *v;
} sim_slice;

typedef struct sim_checkpoint {
    bool good;
    uint64_t version;
    sim_slice slices[SIM_SHARDS_MAX];
} sim_checkpoint;

typedef struct sim_disk {
    sim_slice partial[SIM_SHARDS_MAX]; /* step-N.partial: the newest slice of each shard */
    sim_checkpoint committed[SIM_STEPS_MAX];
    size_t n_committed;
    plan_segment segments[SIM_STEPS_MAX];
    size_t n_segments;
    uint64_t synced[2]; /* bytes of labels.jsonl and rejected.jsonl that a crash leaves */
} sim_disk;

/* Drawn from the seed. */
typedef struct sim_shape {
    uint32_t n_servers, n_students, n_teachers;
    uint64_t n_examples;
    double p_loss, p_repeat, p_late, p_redis;
    uint64_t delay_ms_max;
    uint64_t faults_end_ms, deadline_ms;
    uint32_t n_faults;
} sim_shape;

typedef struct sim_counts {
    uint64_t n_events, n_sent, n_lost, n_repeated, n_crashes, n_duplicates, n_stale, n_rewinds,
        n_backups, staleness_max;
} sim_counts;

typedef struct sim_world {
    uint64_t seed, random, now_ms;
    bool trace;
    config config;
    sim_shape shape;
    sim_node nodes[SIM_NODES_MAX];
    size_t n_nodes;
    sim_node *current; /* whose code runs */
    sim_event *heap;
    size_t n_heap, heap_capacity;
    uint64_t n_ordered;
    uint64_t blocked_until_ms[SIM_NODES_MAX][SIM_NODES_MAX];
    queue *redis; /* what all see */
    uint64_t redis_down_until_ms;
    char folder[64];
    sim_disk disk;
    param_table table;
    model_config model;
    struct sim_oracle *oracle;
    sim_counts counts;
    bool finished;
} sim_world;

/* The world that the functions of the twins act in: one at a time. */
extern sim_world *sim;

/* ---- sim_core.c: time, chance, events ---- */
uint64_t sim_u64(void);
uint64_t sim_below(uint64_t n);                      /* [0, n) */
uint64_t sim_between(uint64_t least, uint64_t most); /* [least, most] */
bool sim_chance(double p);
void sim_at(uint64_t at_ms, sim_event_kind kind, sim_node *node, void *what);
bool sim_next(sim_event *out);
void sim_trace(const char *fmt, ...) RT_PRINTF(1, 2);
/* The end: prints seed, time and text. */
void sim_fail(const char *fmt, ...) RT_PRINTF(1, 2) __attribute__((noreturn));
#define sim_check(good, ...)                \
    do {                                    \
        if (!(good)) sim_fail(__VA_ARGS__); \
    } while (0)

/* ---- sim_net.c ---- */
struct net_server {
    sim_node *node;
    net_counts counts;
};
/* Encodes; loses, repeats, delays. to_life 0: whoever has the address when it arrives. */
void sim_send(sim_node *from, sim_node *to, uint64_t to_life, wire_message *m,
              const net_frame *frames, size_t n_frames);
/* Hands it to the node's hear(), or drops it. */
void sim_deliver(const sim_event *e);
void sim_packet_free(void *packet);
bool sim_is_blocked(const sim_node *from, const sim_node *to);

/* ---- sim_queue.c ---- */
sim_node *sim_redis(void);
/* The streams are empty and the groups gone. */
void sim_redis_flush(void);

/* ---- sim_disk.c ---- */
void sim_slice_set(sim_slice *s, uint64_t version, const shard_model *model);
/* Fills a model's vectors; false when the slice is not there. */
bool sim_slice_get(const sim_slice *s, shard_model *model);
void sim_disk_free(sim_disk *d);
/* The coordinator died: what was not synced is gone, wholly or in part. */
void sim_disk_tear(void);
rt_id sim_example_id(size_t i);
const sim_checkpoint *sim_newest_checkpoint(void);

/* ---- the processes ---- */
void sim_coordinator_start(sim_node *node);
void sim_coordinator_stop(sim_node *node);
void sim_coordinator_hear(sim_node *node, net_incoming *in);
void sim_coordinator_tick(sim_node *node);
struct coordinator *sim_coordinator_of(sim_node *node);
void sim_server_start(sim_node *node);
void sim_server_stop(sim_node *node);
void sim_server_hear(sim_node *node, net_incoming *in);
void sim_server_tick(sim_node *node);
void sim_server_ask_to_stop(sim_node *node);
struct shard_state *sim_server_state(const sim_node *node);
void sim_student_start(sim_node *node);
void sim_student_stop(sim_node *node);
void sim_student_hear(sim_node *node, net_incoming *in);
void sim_student_tick(sim_node *node);
size_t sim_student_n_held(const sim_node *node);
void sim_teacher_start(sim_node *node);
void sim_teacher_stop(sim_node *node);
void sim_teacher_hear(sim_node *node, net_incoming *in);
void sim_teacher_tick(sim_node *node);

/* A worker's place in the run: registration and heartbeats, as worker/runtime has them. */
typedef struct sim_member {
    bool registered;
    uint64_t beat_ms; /* next sign of life */
    wire_phase phase;
    uint64_t generation;
    size_t n_servers;                 /* complete, or 0 */
    uint32_t servers[SIM_SHARDS_MAX]; /* nodes */
} sim_member;
/* Sends what is due. */
void sim_member_beat(sim_node *node, sim_member *m, wire_role role);
/* Takes RunState and Refused; true when the message was one of them. The node may be down afterwards. */
bool sim_member_hear(sim_node *node, sim_member *m, const net_incoming *in);
sim_node *sim_coordinator_node(void);
/* kill -9; the launcher starts it again, unless it left or another of its name is there. */
void sim_crash(sim_node *node);
/* It ends by itself: told to leave, or refused for good. */
void sim_leave(sim_node *node, bool for_ever);

/* ---- sim_faults.c ---- */
void sim_faults_plan(void);
void sim_fault(void);

/* ---- sim_oracle.c: what must be true ---- */
void sim_oracle_new(void);
void sim_oracle_free(void);
/* A micro-batch goes into the stream: the same place must always hold the same. */
void sim_saw_batch(const micro_batch *b);
uint64_t sim_content_of(const micro_batch *b);
/* The gradient [n_total] and the loss of a content at weights. */
double sim_gradient(uint64_t content, const float *w, float *grad);
/* A shard took a gradient, restored, or applied a step. */
void sim_saw_push(const sim_node *server, const wire_push *push, wire_push_status status);
void sim_saw_restore(sim_node *server, uint64_t version);
void sim_saw_save(const sim_node *server, uint64_t version);
void sim_saw_apply(const sim_node *server, uint64_t version);
/* What counted for this life of the coordinator counts for what it left in Redis. */
void sim_saw_coordinator_end(const struct coordinator *co);
void sim_check_all(void);
void sim_check_end(void);

/* ---- sim_run.c ---- */
/* Runs a seed to its end; sim_fail() when anything is wrong. mode < 0: drawn from the seed. */
sim_counts sim_run(uint64_t seed, int mode, bool trace);

#endif
