/* The coordinator's process: its real control flow over the twins of what it reads and writes.
 * Twins of coordinator/corpus_source.h, tokenizer_stage.h, smoke_stage.h, common/text/tokenizer.h
 * and of what result.c writes at the end. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/shell.h"
#include "tests/sim/sim.h"

#define TURN_BUSY_MS 1
#define TURN_IDLE_MS 20

typedef struct coordinator_node {
    coordinator co;
    struct net_server net;
    coordinator_turn_state turn;
    uint64_t n_backups; /* counted so far */
} coordinator_node;

/* ---- coordinator/corpus_source.h ---- */

struct corpus_source {
    rt_id ids[SIM_EXAMPLES_MAX];
    manifest_counts counts;
};

rt_id sim_example_id(size_t i)
{
    uint64_t low = (uint64_t)i + 1;
    return (rt_id){.high = rt_hash64(&low, sizeof low, sim->seed), .low = low};
}

size_t corpus_source_n(const corpus_source *s)
{
    (void)s;
    return (size_t)sim->shape.n_examples;
}

const rt_id *corpus_source_ids(const corpus_source *s)
{
    return s->ids;
}

size_t corpus_source_find(const corpus_source *s, rt_id id)
{
    size_t i = (size_t)id.low - 1;
    return i < sim->shape.n_examples && rt_id_equal(s->ids[i], id) ? i : SIZE_MAX;
}

rt_status corpus_source_read(const corpus_source *s, size_t i, example *out, rt_error *err)
{
    char text[32];
    (void)err;
    int n = snprintf(text, sizeof text, "input %zu", i);
    *out = (example){.id = s->ids[i], .input = rt_strndup(text, (size_t)n)};
    return RT_OK;
}

const manifest_counts *corpus_source_counts(const corpus_source *s)
{
    return &s->counts;
}

rt_id corpus_source_key(const corpus_source *s)
{
    return s->ids[0];
}

void corpus_source_free(corpus_source *s)
{
    free(s);
}

static corpus_source *corpus_new(void)
{
    corpus_source *s = rt_calloc(1, sizeof *s);
    RT_ASSERT(s != NULL && sim->shape.n_examples <= SIM_EXAMPLES_MAX);
    for (size_t i = 0; i < sim->shape.n_examples; i++) s->ids[i] = sim_example_id(i);
    return s;
}

/* ---- coordinator/tokenizer_stage.h: made at once when the first chunk is there ---- */

struct tokenizer_stage {
    bool made;
};

static bool tokenizer_is_on_disk(void)
{
    return sim->disk.n_segments > 0;
}

rt_status tokenizer_stage_open(const config *c, const corpus_source *corpus, const char *path,
                               tokenizer_stage **out, rt_error *err)
{
    (void)c, (void)corpus, (void)path, (void)err;
    *out = rt_calloc(1, sizeof **out);
    RT_ASSERT(*out != NULL);
    (*out)->made = tokenizer_is_on_disk();
    return RT_OK;
}

void tokenizer_stage_free(tokenizer_stage *s)
{
    free(s);
}

const tokenizer *tokenizer_stage_get(const tokenizer_stage *s)
{
    return s->made ? (const tokenizer *)s : NULL;
}

const char *tokenizer_stage_path(const tokenizer_stage *s)
{
    (void)s;
    return "";
}

bool tokenizer_stage_is_training(const tokenizer_stage *s)
{
    (void)s;
    return false;
}

rt_status tokenizer_stage_begin(tokenizer_stage *s, const archive *a, size_t n_first, rt_error *err)
{
    (void)a, (void)n_first, (void)err;
    s->made = true;
    return RT_OK;
}

rt_status tokenizer_stage_poll(tokenizer_stage *s, rt_error *err)
{
    (void)s, (void)err;
    return RT_OK;
}

void preset_tasks(const train_config *train, bool tasks[TASK_COUNT], double weights[TASK_COUNT])
{
    (void)train;
    for (int t = 0; t < TASK_COUNT; t++) {
        tasks[t] = t == TASK_PREDICT;
        weights[t] = tasks[t] ? 1 : 0;
    }
}

size_t tokenizer_size(const tokenizer *t)
{
    (void)t;
    return sim->model.n_vocab;
}

uint32_t tokenizer_bos(const tokenizer *t)
{
    (void)t;
    return 1;
}

uint32_t tokenizer_eos(const tokenizer *t)
{
    (void)t;
    return 2;
}

uint32_t tokenizer_pad(const tokenizer *t)
{
    (void)t;
    return 3;
}

const char *tokenizer_sha256(const tokenizer *t)
{
    (void)t;
    return "sha";
}

/* ---- smoke_stage.h, result.c ---- */

rt_status smoke_turn(coordinator *co, rt_error *err)
{
    (void)co, (void)err;
    return RT_OK;
}

rt_status result_write(coordinator *co, rt_error *err)
{
    (void)co, (void)err;
    return RT_OK;
}

void seconds_save(coordinator *co)
{
    (void)co;
}

/* ---- the process ---- */

struct coordinator *sim_coordinator_of(sim_node *node)
{
    return node->up ? &((coordinator_node *)node->self)->co : NULL;
}

static void open_all(coordinator_node *n)
{
    static const queue_login nobody = {0};
    char dataset[128];
    rt_error err = {0};
    coordinator *co = &n->co;
    const config *c = &sim->config;
    co->config = c;
    co->stage = STAGE_ALL;
    co->now_ms = co->start_ms = sim->now_ms;
    co->folder.lock_fd = -1;
    snprintf(co->folder.path, sizeof co->folder.path, "%s", sim->folder);
    snprintf(co->folder.fingerprint, sizeof co->folder.fingerprint, "same");
    snprintf(dataset, sizeof dataset, "%s/dataset", sim->folder);
    co->corpus = corpus_new();
    bool is_new = sim->current->life == 1;
    if (queue_link_new("sim", &nobody, c->name, is_new, &co->link, &err) != RT_OK ||
        archive_open(dataset, &co->archive, &err) != RT_OK ||
        lease_table_new(sim->shape.n_examples, c->label.shard_size, c->label.lease_ms, &co->leases,
                        &err) != RT_OK)
        sim_fail("the coordinator does not start: %s", err.text);
    lease_table_blame_after(co->leases, c->label.deaths_max);
    co->archiving = (archive_stage){
        .archive = co->archive, .corpus = co->corpus, .leases = co->leases, .link = co->link};
    archive_stage_begin(&co->archiving);
    co->peers = rt_calloc(c->launch.servers, sizeof *co->peers);
    if (co->peers == NULL ||
        quota_stage_open(&co->money, c, NULL, co->leases, true, co->now_ms, &err) != RT_OK ||
        membership_new(c->net.dead_after_ms, &co->members, &err) != RT_OK ||
        train_stage_begin(co, &err) != RT_OK)
        sim_fail("the coordinator does not start: %s", err.text);
    sim_check(archive_n_repeats(co->archive) == 0, "an id is twice in the dataset");
}

void sim_coordinator_start(sim_node *node)
{
    coordinator_node *n = rt_calloc(1, sizeof *n);
    RT_ASSERT(n != NULL);
    node->self = n;
    n->net.node = node;
    n->co.net = &n->net;
    open_all(n);
    sim_at(sim->now_ms + 1, EVENT_TICK, node, NULL);
}

void sim_coordinator_stop(sim_node *node)
{
    coordinator_node *n = node->self;
    coordinator *co = &n->co;
    sim_saw_coordinator_end(co);
    coordinator_stages_free(co);
    free(n);
    node->self = NULL;
    sim_disk_tear();
}

/* A death in the middle of something happens when its caller comes back. */
static bool has_died(sim_node *node)
{
    if (!node->doomed) return false;
    sim_crash(node);
    return true;
}

void sim_coordinator_hear(sim_node *node, net_incoming *in)
{
    coordinator_node *n = node->self;
    uint64_t rewinds = step_control_n_rewinds(n->co.steps);
    n->co.now_ms = sim->now_ms;
    on_message(&n->co, in);
    sim->counts.n_rewinds += step_control_n_rewinds(n->co.steps) - rewinds;
    (void)has_died(node);
}

void sim_coordinator_tick(sim_node *node)
{
    coordinator_node *n = node->self;
    coordinator *co = &n->co;
    co->now_ms = sim->now_ms;
    coordinator_turn(co, true, &n->turn);
    sim->counts.n_backups += co->n_backups - n->n_backups;
    n->n_backups = co->n_backups;
    if (has_died(node)) return;
    sim_check(co->ending != RUN_FAILED, "the run failed: %s", co->why.text);
    if (coordinator_is_over(co, &n->turn)) {
        sim_check(co->ending == RUN_COMPLETE, "the coordinator leaves before the end");
        sim_check_end();
        sim->finished = true;
        sim_leave(node, true);
        return;
    }
    sim_at(sim->now_ms + (n->turn.busy ? TURN_BUSY_MS : sim_between(1, TURN_IDLE_MS)), EVENT_TICK,
           node, NULL);
}
