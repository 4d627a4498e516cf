/* What must be true, kept beside the world and fed by what happens in it.
 *
 *   - a place of the plan (step, index) always holds the same records;
 *   - a shard takes a gradient of (step, index) once, applies a step when it has all of them, and
 *     steps in order;
 *   - sync: a shard at version v holds the bits that one process, one gradient after the other,
 *     would hold at version v; and so does every checkpoint and every score;
 *   - an example is archived, leased or pending, and never two of these;
 *   - versions on shards never differ by more than one; nothing grows beyond its bound;
 *   - when it is over, everything was done.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/nn/optim/adamw.h"
#include "coordinator/shell.h"
#include "tests/sim/sim.h"
#include "worker/param_server/shard_state.h"

typedef struct place {
    bool known;
    uint64_t content;
} place;

/* The whole vectors at a version. */
typedef struct reference {
    bool known;
    float *w, *m, *v;
    double loss; /* the scores' sum */
} reference;

/* What a shard has taken since it was restored. */
typedef struct ledger {
    uint64_t version;
    uint32_t taken[SIM_STEPS_MAX]; /* bit per micro-batch */
} ledger;

typedef struct sim_oracle {
    place train[SIM_STEPS_MAX][SIM_MICRO_MAX], eval[SIM_STEPS_MAX][SIM_EXAMPLES_MAX];
    uint32_t n_train[SIM_STEPS_MAX], n_eval[SIM_STEPS_MAX];
    reference at[SIM_STEPS_MAX];
    ledger ledgers[SIM_NODES_MAX];
    uint64_t n_sent_again_before, n_rewinds_before; /* by coordinators that have ended */
} sim_oracle;

static bool is_sync(void)
{
    return sim->config.train.mode == TRAIN_SYNC;
}

static float *vector(void)
{
    float *v = rt_calloc(sim->table.n_total, sizeof *v);
    RT_ASSERT(v != NULL);
    return v;
}

void sim_oracle_new(void)
{
    sim->oracle = rt_calloc(1, sizeof *sim->oracle);
    RT_ASSERT(sim->oracle != NULL);
    reference *first = &sim->oracle->at[0];
    *first = (reference){.known = true, .w = vector(), .m = vector(), .v = vector()};
    param_table_init(&sim->table, &sim->model, sim->config.seed, first->w);
}

void sim_oracle_free(void)
{
    for (size_t i = 0; i < SIM_STEPS_MAX; i++) {
        free(sim->oracle->at[i].w);
        free(sim->oracle->at[i].m);
        free(sim->oracle->at[i].v);
    }
    free(sim->oracle);
}

/* ---- the plan ---- */

uint64_t sim_content_of(const micro_batch *b)
{
    uint64_t h = rt_hash64(b->ids, b->n_ids * sizeof *b->ids, b->step * 1000 + b->index);
    for (size_t i = 0; i < b->n_seqs; i++) h = rt_hash64(&b->seqs[i].record_id, sizeof(rt_id), h);
    return rt_hash64(b->task_count, sizeof b->task_count, h);
}

void sim_saw_batch(const micro_batch *b)
{
    sim_oracle *o = sim->oracle;
    bool train = b->kind == MICRO_BATCH_TRAIN;
    sim_check(b->step < SIM_STEPS_MAX && b->n_micro_batches > 0 && b->index < b->n_micro_batches &&
                  b->index < (train ? SIM_MICRO_MAX : SIM_EXAMPLES_MAX),
              "micro-batch %" PRIu32 " of step %" PRIu64, b->index, b->step);
    place *p = train ? &o->train[b->step][b->index] : &o->eval[b->step][b->index];
    uint32_t *n = train ? &o->n_train[b->step] : &o->n_eval[b->step];
    uint64_t content = sim_content_of(b);
    sim_check(!p->known || (p->content == content && *n == b->n_micro_batches),
              "micro-batch %" PRIu32 " of step %" PRIu64 " holds other records than before",
              b->index, b->step);
    *p = (place){true, content};
    *n = b->n_micro_batches;
}

/* ---- training, one after the other ---- */

double sim_gradient(uint64_t content, const float *w, float *grad)
{
    double loss = 0;
    for (size_t i = 0; i < sim->table.n_total; i++) {
        uint64_t z = (content + i) * UINT64_C(0x9e3779b97f4a7c15);
        float target = (float)(z >> 40) / (float)(1 << 24) - 0.5f;
        float off = w[i] - target;
        grad[i] = off * 0.25f;
        loss += (double)off * off;
    }
    return loss;
}

static lr_schedule schedule_of(const config *c)
{
    shard_settings s = shard_settings_of(c, 0);
    s.schedule.n_steps = c->train.steps;
    return s.schedule;
}

static void update(const reference *from, const float *sum, uint64_t step, reference *to)
{
    double squares = 0;
    size_t n_bytes = sim->table.n_total * sizeof(float);
    shard_settings settings = shard_settings_of(&sim->config, 0);
    lr_schedule schedule = schedule_of(&sim->config);
    memcpy(to->w, from->w, n_bytes);
    memcpy(to->m, from->m, n_bytes);
    memcpy(to->v, from->v, n_bytes);
    for (size_t i = 0; i < sim->table.n_params; i++) {
        const param *p = &sim->table.params[i];
        if (p->alias_of < 0) squares += grad_sum_squares(sum + p->offset, p->n);
    }
    double norm = sqrt(squares), clip = settings.clip_norm;
    float scale = clip > 0 && norm > clip ? (float)(clip / norm) : 1.0f;
    for (size_t i = 0; i < sim->table.n_params; i++) {
        const param *p = &sim->table.params[i];
        if (p->alias_of >= 0) continue;
        adamw_update(&settings.adamw, lr_schedule_at(&schedule, step) * p->lr_scale, scale,
                     step + 1, p->decay, p->n, sum + p->offset, to->w + p->offset,
                     to->m + p->offset, to->v + p->offset);
    }
}

static const reference *reference_at(uint64_t version)
{
    sim_oracle *o = sim->oracle;
    reference *r = &o->at[version];
    if (r->known) return r;
    const reference *from = reference_at(version - 1);
    uint64_t step = version - 1;
    float *sum = vector(), *grad = vector();
    *r = (reference){.known = true, .w = vector(), .m = vector(), .v = vector()};
    for (uint32_t i = 0; i < o->n_train[step]; i++) {
        sim_check(o->train[step][i].known, "step %" PRIu64 " was applied and not published", step);
        sim_gradient(o->train[step][i].content, from->w, i == 0 ? sum : grad);
        if (i > 0) grad_add(sum, grad, sim->table.n_total);
    }
    update(from, sum, step, r);
    free(sum);
    free(grad);
    return r;
}

static void compare(const char *what, const param_slice *slice, const float *found,
                    const float *whole, uint64_t version)
{
    for (size_t i = 0; i < slice->n_params; i++) {
        const param *p = &sim->table.params[slice->params[i]];
        sim_check(memcmp(found + slice->offsets[i], whole + p->offset, p->n * sizeof(float)) == 0,
                  "%s of version %" PRIu64 " differs in %s", what, version, p->name);
    }
}

static void compare_model(const shard_model *model, uint64_t version)
{
    const reference *r = reference_at(version);
    compare("weights", &model->slice, model->weights->floats, r->w, version);
    compare("first moments", &model->slice, model->m, r->m, version);
    compare("second moments", &model->slice, model->v, r->v, version);
}

/* ---- what shards did ---- */

/* A process that hung until another took its name is in the run again when it is the first that is
 * restored; before, it may follow orders that had waited for it. */
static const shard_state *shard_in_the_run(const sim_node *node)
{
    bool is_shard = node->role == SIM_SERVER && node->up && !node->replaced;
    return is_shard ? sim_server_state(node) : NULL;
}

static uint64_t newest_generation(const sim_node *without)
{
    uint64_t newest = 0;
    const sim_node *nodes = sim->nodes;
    size_t n = sim->n_nodes;
    for (size_t i = 0; i < n; i++) {
        const shard_state *s = shard_in_the_run(&nodes[i]);
        if (s != NULL && &nodes[i] != without) newest = RT_MAX(newest, shard_state_generation(s));
    }
    return newest;
}

/* A checkpoint of the next mark must hold nothing beyond it, and what is saved must not move. */
static bool is_below_mark(uint64_t step, uint64_t version)
{
    uint64_t every = sim->config.train.eval_every, steps = sim->config.train.steps;
    uint64_t next = every == 0 ? steps : RT_MIN(steps, (version / every + 1) * every);
    bool committed = version == 0 || every == 0 || version % every != 0;
    for (size_t i = 0; i < sim->disk.n_committed; i++)
        committed = committed || sim->disk.committed[i].version == version;
    return committed && step < next;
}

static void check_window(const sim_node *server, const ledger *l, const wire_push *push)
{
    uint64_t behind = push->step - push->version, k = sim->config.train.staleness_max;
    sim_check(push->version <= push->step && behind <= k && push->step <= l->version + k,
              "step %" PRIu64 " with parameters of version %" PRIu64 " at version %" PRIu64,
              push->step, push->version, l->version);
    sim_check(push->generation == shard_state_generation(sim_server_state(server)),
              "a gradient of generation %" PRIu64 " counts in another", push->generation);
    sim_check(is_below_mark(push->step, l->version),
              "a gradient of step %" PRIu64 " is taken at version %" PRIu64 ", before the mark",
              push->step, l->version);
    sim->counts.staleness_max = RT_MAX(sim->counts.staleness_max, behind);
}

void sim_saw_push(const sim_node *server, const wire_push *push, wire_push_status status)
{
    ledger *l = &sim->oracle->ledgers[server->i];
    uint32_t bit = 1u << push->index;
    if (status == PUSH_STALE) {
        sim->counts.n_stale++;
        return;
    }
    if (status == PUSH_DUPLICATE) {
        sim->counts.n_duplicates++;
        sim_check((l->taken[push->step] & bit) != 0,
                  "step %" PRIu64 " micro-batch %" PRIu32 " is called a repeat and never came",
                  push->step, push->index);
        return;
    }
    sim_check(push->step >= l->version, "a gradient of step %" PRIu64 " at version %" PRIu64,
              push->step, l->version);
    if (!is_sync()) check_window(server, l, push);
    sim_check((l->taken[push->step] & bit) == 0,
              "step %" PRIu64 " micro-batch %" PRIu32 " counted twice", push->step, push->index);
    l->taken[push->step] |= bit;
}

void sim_saw_restore(sim_node *server, uint64_t version)
{
    uint64_t generation = shard_state_generation(sim_server_state(server));
    if (generation > newest_generation(server)) server->replaced = false;
    sim->oracle->ledgers[server->i] = (ledger){.version = version};
    if (is_sync()) compare_model(shard_state_model(sim_server_state(server)), version);
}

/* A checkpoint of a version holds everything below it and nothing beyond. */
void sim_saw_save(const sim_node *server, uint64_t version)
{
    const ledger *l = &sim->oracle->ledgers[server->i];
    sim_check(l->version == version, "version %" PRIu64 " is saved at version %" PRIu64, version,
              l->version);
    for (uint64_t step = version; sim->config.train.mode == TRAIN_ASYNC && step < SIM_STEPS_MAX;
         step++)
        sim_check(l->taken[step] == 0,
                  "version %" PRIu64 " is saved with a gradient of step %" PRIu64, version, step);
}

void sim_saw_apply(const sim_node *server, uint64_t step)
{
    ledger *l = &sim->oracle->ledgers[server->i];
    const shard_state *s = sim_server_state(server);
    uint32_t n = sim->oracle->n_train[step];
    sim_check(step == l->version, "step %" PRIu64 " is applied at version %" PRIu64, step,
              l->version);
    sim_check(shard_state_version(s) == step + 1, "version %" PRIu64 " after step %" PRIu64,
              shard_state_version(s), step);
    sim_check(n > 0 && l->taken[step] == (1u << n) - 1,
              "step %" PRIu64 " is applied with micro-batches %" PRIx32 " of %" PRIu32, step,
              l->taken[step], n);
    l->version = step + 1;
    if (is_sync()) compare_model(shard_state_model(s), step + 1);
}

/* ---- at every event ---- */

static void check_examples(coordinator *co)
{
    lease_counts n;
    lease_table_count(co->leases, &n);
    uint64_t archived = archive_n_labelled(co->archive) + archive_n_rejected(co->archive);
    sim_check(archived + n.n_examples_leased + n.n_examples_pending == sim->shape.n_examples,
              "%" PRIu64 " archived, %" PRIu64 " leased and %" PRIu64 " pending of %" PRIu64,
              archived, n.n_examples_leased, n.n_examples_pending, sim->shape.n_examples);
    sim_check(n.n_shards_done + n.n_shards_leased + n.n_shards_pending == n.n_shards,
              "shards do not add up");
    const rt_id *ids = corpus_source_ids(co->corpus);
    for (size_t i = 0; i < sim->shape.n_examples; i++)
        sim_check(lease_table_is_archived(co->leases, i) ==
                      (archive_find(co->archive, ids[i]) != ARCHIVE_ABSENT),
                  "example %zu: leases and archive disagree", i);
}

static void check_versions(void)
{
    uint64_t newest = newest_generation(NULL), least = UINT64_MAX, most = 0;
    for (size_t i = 0; i < sim->n_nodes; i++) {
        const shard_state *s = shard_in_the_run(&sim->nodes[i]);
        if (s == NULL || shard_state_model(s) == NULL || shard_state_generation(s) != newest)
            continue;
        least = RT_MIN(least, shard_state_version(s));
        most = RT_MAX(most, shard_state_version(s));
    }
    sim_check(least == UINT64_MAX || most - least <= 1,
              "shards of one generation are at versions %" PRIu64 " and %" PRIu64, least, most);
}

/* The feeder stays within its window, backups and the step that is needed now apart. A call that failed
 * may have added a step all the same, also one of a coordinator that died since; a rewind in whose time
 * Redis was away finds what lay there before. */
static uint64_t steps_sent_again(const coordinator *co)
{
    return co->feeder.n_resends + queue_link_n_errors(co->link);
}

void sim_saw_coordinator_end(const coordinator *co)
{
    if (co->steps == NULL || co->link == NULL) return;
    sim->oracle->n_sent_again_before += steps_sent_again(co);
    sim->oracle->n_rewinds_before += step_control_n_rewinds(co->steps);
}

static void check_queue(const coordinator *co)
{
    queue_names names;
    uint64_t n = 0;
    const config *c = &sim->config;
    queue_names_of(c->name, &names);
    RT_ASSERT(queue_length(sim->redis, names.batches, &n, NULL) == RT_OK);
    uint64_t window = RT_MAX(c->queue.batches_max, c->train.micro_batches);
    uint64_t n_steps = 2 + sim->oracle->n_sent_again_before + steps_sent_again(co);
    uint64_t n_max =
        window * (1 + sim->oracle->n_rewinds_before + step_control_n_rewinds(co->steps)) +
        n_steps * c->train.micro_batches;
    sim_check(n <= n_max, "%" PRIu64 " micro-batches wait in the stream, at most %" PRIu64, n,
              n_max);
    sim_check(membership_n(co->members) <= sim->n_nodes, "%zu members", membership_n(co->members));
}

void sim_check_all(void)
{
    sim_node *node = sim_coordinator_node();
    coordinator *co = sim_coordinator_of(node);
    if (sim->current != NULL && sim->current->role == SIM_SERVER) check_versions();
    if (co == NULL || node == NULL || sim->current != node || node->doomed) return;
    check_examples(co);
    check_queue(co);
}

/* ---- at the end ---- */

static double score_at(uint64_t version)
{
    double loss = 0;
    sim_oracle *o = sim->oracle;
    float *grad = vector();
    for (uint32_t i = 0; i < o->n_eval[version]; i++)
        loss += sim_gradient(o->eval[version][i].content, reference_at(version)->w, grad);
    free(grad);
    return loss;
}

static void check_checkpoint(uint64_t version)
{
    const sim_checkpoint *c = sim_newest_checkpoint();
    sim_check(c != NULL && c->version == version, "the last checkpoint is not that of the end");
    for (uint32_t k = 0; k < sim->shape.n_servers; k++) {
        shard_model *model = NULL;
        RT_ASSERT(shard_model_new(&sim->model, k, sim->shape.n_servers, &model, NULL) == RT_OK);
        sim_check(sim_slice_get(&c->slices[k], model), "slice %" PRIu32 " is missing", k);
        if (is_sync()) compare_model(model, version);
        shard_model_free(model);
    }
}

void sim_check_end(void)
{
    const config *c = &sim->config;
    coordinator *co = sim_coordinator_of(sim_coordinator_node());
    uint64_t steps = c->train.steps, every = c->train.eval_every;
    sim_check(archive_n_labelled(co->archive) + archive_n_rejected(co->archive) ==
                  sim->shape.n_examples,
              "the dataset is not complete");
    sim_check(step_control_version(co->steps) == steps, "training ended at version %" PRIu64,
              step_control_version(co->steps));
    check_checkpoint(steps);
    for (uint64_t v = 1; v <= steps; v++) {
        if (v != steps && (every == 0 || v % every != 0)) continue;
        const eval_score *score = eval_board_find(co->board, v);
        sim_check(score != NULL, "version %" PRIu64 " was not scored", v);
        if (is_sync())
            sim_check(score->sums.loss[TASK_PREDICT] == score_at(v),
                      "version %" PRIu64 " has the score of other weights", v);
    }
}
