#include "worker/student/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/nn/optim/adamw.h"
#include "worker/model_shape/large_blocks.h"
#include "worker/model_shape/model_shape.h"
#include "worker/runtime/runtime.h"
#include "worker/student/compute.h"
#include "worker/student/pull.h"
#include "worker/student/push.h"
#include "worker/student/speed.h"
#include "worker/student/step_time.h"
#include "worker/student/take_batch.h"

#define TAKE_MS    200  /* longest wait for an entry before phase and signals are looked at */
#define AWAY_MS    200  /* pause while something we need is away */
#define REFUSED_MS 1000 /* pause after a gradient was refused */
#define MIX_TELL_S 1.0  /* how often it is told what a token costs */

typedef struct student {
    const config *config;
    runtime *rt;
    queue *queue;
    queue_names names;
    bool took_pending;
    model *model;
    compute_space space;
    shard_links *links;
    weight_cache *cache;
    gradient_pusher *pusher;
    batch_hand hand;
    held_batch pushing; /* its gradient is on its way; not in the hand */
    bool is_pushing;
    double pushing_since_s, push_s; /* what was spent on it */
    uint64_t generation;            /* of the view that was looked at last */
    uint64_t n_read_on; /* entries read since it changed, without asking for a version */
    bool caught_up;     /* what was published since it changed has been reached */
    const char *away;   /* what was away when last tried, NULL: nothing */
    step_time time;
    work_mix mix;
    double mix_told_s;
} student;

/* ---- waiting ---- */

static void spend_on(student *s, step_part part)
{
    step_time_switch(&s->time, part, rt_clock_mono_s());
}

/* What went by before the first micro-batch was in hand is no part of a step. */
static void tell_time(student *s)
{
    double seconds[STEP_PARTS];
    step_time_take(&s->time, rt_clock_mono_s(), seconds);
    for (step_part part = 0; s->time.started && part < STEP_PARTS; part++)
        runtime_count(s->rt, step_part_counter(part), seconds[part]);
}

/* What a token of the batches so far costs; they may change with the time. */
static void tell_cost(student *s, const micro_batch *b, double now_s)
{
    double mflop;
    work_mix_add(&s->mix, b);
    if (s->mix_told_s > 0 && now_s - s->mix_told_s < MIX_TELL_S) return;
    if (work_mix_mflop_per_token(&s->mix, model_get_config(s->model), &mflop))
        runtime_gauge(s->rt, "mflop_per_token", mflop);
    s->mix_told_s = now_s;
}

/* Said once, not at every try. */
static void note_away(student *s, const char *what, const char *why)
{
    if (s->away == NULL || strcmp(s->away, what) != 0)
        rt_log_warn("student.waiting", "for=%s why=\"%s\"", what, why);
    s->away = what;
    runtime_busy(s->rt, "waiting for %s", what);
}

static void note_back(student *s)
{
    if (s->away != NULL) rt_log_info("student.resumed", "after=%s", s->away);
    s->away = NULL;
}

static bool is_over(student *s)
{
    return runtime_stopping(s->rt) || runtime_phase(s->rt) == PHASE_FINISHED;
}

/* ---- the model and the connections ---- */

_Static_assert((int)TRAIN_COMPUTE_F32 == COMPUTE_F32 && (int)TRAIN_COMPUTE_BF16 == COMPUTE_BF16 &&
                   (int)TRAIN_COMPUTE_BF16X3 == COMPUTE_BF16X3 &&
                   (int)TRAIN_COMPUTE_AUTO == COMPUTE_AUTO,
               "a setting is the mode it names");

static rt_status make_model(student *s, const runtime_view *view, rt_error *err)
{
    model_config shape;
    vocabulary v = {.n_vocab = view->n_vocab,
                    .bos_id = view->bos_id,
                    .eos_id = view->eos_id,
                    .pad_id = view->pad_id};
    rt_status st = model_shape_of(s->config, &v, &shape, err);
    if (st != RT_OK) return st;
    if ((st = model_new(&shape, &s->model, err)) != RT_OK) return st;
    compute_mode mode = compute_mode_resolve((compute_mode)s->config->train.compute);
    if ((st = model_set_compute(s->model, mode, err)) != RT_OK) return st;
    runtime_busy(s->rt, "measuring its processor");
    runtime_gauge(s->rt, "peak_mflops_per_s", peak_mflops_per_s(model_compute(s->model)));
    const param_table *table = model_table(s->model);
    if ((st = shard_links_new(s->rt, table, &s->links, err)) != RT_OK) return st;
    wire_element element = wire_element_of(s->config->net.wire);
    bool share = s->config->net.shared_memory;
    st = weight_cache_new(s->links, s->model, element, share, &s->cache, err);
    if (st != RT_OK) return st;
    st = gradient_pusher_new(s->links, table, element, share, &s->pusher, err);
    if (st != RT_OK) return st;
    rt_log_info("student.model",
                "parameters=%zu vocabulary=%" PRIu32 " threads=%" PRIu64 " compute=%s kernel=%s "
                "wire=%s",
                table->n_total, view->n_vocab, s->config->threads,
                compute_mode_name(model_compute(s->model)), nn_blas_name(),
                wire_element_name(element));
    return RT_OK;
}

/* Follow the coordinator's view. *ready: model and all shards are there. */
static rt_status follow(student *s, bool *ready, rt_error *err)
{
    rt_status st = RT_OK;
    runtime_view view = {0};
    bool changed = false;
    rt_error why = {0};
    *ready = false;
    if ((st = runtime_get_view(s->rt, &view, err)) != RT_OK) return st;
    if (view.n_vocab == 0 || view.phase == PHASE_STARTING) {
        runtime_busy(s->rt, "waiting for the tokenizer");
        goto out;
    }
    if (s->model == NULL && (st = make_model(s, &view, err)) != RT_OK) goto out;
    st = shard_links_update(s->links, &view, &changed, &why);
    if (st == RT_UNAVAILABLE) {
        note_away(s, "the parameter server", why.text);
        st = RT_OK;
        goto out;
    }
    if (st != RT_OK) {
        if (err != NULL) *err = why;
        goto out;
    }
    /* After a rewind the shards may hold an older version than the one in the model. */
    if (changed || view.generation != s->generation) weight_cache_forget(s->cache);
    if (view.generation != s->generation) {
        s->n_read_on = 0;
        s->caught_up = false;
    }
    s->generation = view.generation;
    *ready = true;
out:
    runtime_view_free(&view);
    return st;
}

/* ---- the steps of one micro-batch ---- */

/* A queue that is away or was emptied is the coordinator's to mend. */
static rt_status forgive_queue(student *s, rt_status st, const rt_error *why, rt_error *err)
{
    if (st == RT_UNAVAILABLE || st == RT_NOTFOUND || st == RT_TIMEOUT) {
        note_away(s, "the queue", why->text);
        runtime_wait(s->rt, AWAY_MS);
        return RT_OK;
    }
    if (st == RT_CANCELLED) return RT_OK;
    if (st != RT_OK && err != NULL) *err = *why;
    return st;
}

static rt_status take(student *s, uint64_t block_ms, size_t *n_taken, rt_error *err)
{
    rt_error why = {0};
    rt_status st = RT_OK;
    size_t n_max = 1, n_held = s->hand.n;
    bool pending = !s->took_pending;
    if (pending) n_max = BATCH_HAND_MAX;
    /* What is being pushed may have to come back into the hand. */
    if (n_held + s->is_pushing >= BATCH_HAND_MAX) {
        n_max = BATCH_HAND_MAX / 2;
        st = give_back(s->queue, &s->names, n_max, &s->hand, &why);
        runtime_count(s->rt, "given_back", (double)(n_held - s->hand.n));
    }
    n_max = RT_MIN(n_max, BATCH_HAND_MAX - s->hand.n - s->is_pushing);
    if (st == RT_OK)
        st = take_batch(s->queue, &s->names, runtime_identity(s->rt)->sender, pending, n_max,
                        block_ms, s->generation, &s->hand, n_taken, &why);
    if (st != RT_OK) return forgive_queue(s, st, &why, err);
    s->took_pending = true;
    note_back(s);
    if (*n_taken > 0) fault_point("student.after_read");
    return RT_OK;
}

/* Without an acknowledgement the entry comes again, and its effect is known then. */
static rt_status acknowledge(student *s, const held_batch *held, rt_error *err)
{
    rt_error why = {0};
    fault_point("student.before_ack");
    rt_status st = queue_ack(s->queue, s->names.batches, &held->entry, 1, &why);
    return st == RT_OK ? RT_OK : forgive_queue(s, st, &why, err);
}

static rt_status let_go(student *s, held_batch *held, rt_error *err)
{
    rt_status st = acknowledge(s, held, err);
    batch_hand_drop(&s->hand, held);
    return st;
}

static rt_status bury(student *s, held_batch *held, const rt_error *reason, rt_error *err)
{
    rt_error why = {0};
    rt_log_error("student.bad_batch", "id=%s step=%" PRIu64 " index=%" PRIu32 " %s", held->entry.id,
                 held->batch.step, held->batch.index, reason->text);
    rt_status st =
        queue_bury(s->queue, s->names.batches, &held->entry, s->names.dead, reason->text, &why);
    batch_hand_drop(&s->hand, held);
    return st == RT_OK ? RT_OK : forgive_queue(s, st, &why, err);
}

/* A question to shards failed: what can pass is waited for, the entry stays in hand. */
static rt_status forgive_shards(student *s, rt_status st, const rt_error *why, rt_error *err)
{
    weight_cache_forget(s->cache);
    switch (st) {
    case RT_OK:
    case RT_CANCELLED: return RT_OK;
    case RT_TIMEOUT:
    case RT_UNAVAILABLE:
        note_away(s, "the parameter server", why->text);
        runtime_wait(s->rt, AWAY_MS / 4);
        return RT_OK;
    case RT_REFUSED:
    case RT_CORRUPT:
        rt_log_error("student.refused", "%s", why->text);
        runtime_busy(s->rt, "%.120s", why->text);
        runtime_count(s->rt, "refused", 1);
        runtime_wait(s->rt, REFUSED_MS);
        return RT_OK;
    default:
        if (err != NULL) *err = *why;
        return st;
    }
}

/* Modes other than sync tell a gradient's parameters, and async its norm: no shard sees all of it. */
static void describe_gradient(student *s)
{
    const train_config *t = &s->config->train;
    double norm = 0;
    if (t->mode == TRAIN_SYNC) return;
    weight_origin origin = weight_cache_origin(s->cache);
    if (t->mode == TRAIN_ASYNC && t->clip_norm > 0)
        norm = sqrt(grad_sum_squares(model_grads(s->model), model_table(s->model)->n_total));
    /* One that is not finite is refused for what it holds. */
    gradient_pusher_describe(s->pusher, origin.version, origin.generation,
                             isfinite(norm) ? norm : 0);
}

/* ---- the gradient that is on its way ---- */

/* The shards' work on it went on beside ours until we had nothing else to do. */
static void count_beside(student *s, const push_told *told, double until_s)
{
    double beside_s = RT_MIN((double)told->took_us / 1e6, until_s - s->pushing_since_s);
    if (beside_s > 0) runtime_count(s->rt, "push_beside_seconds", beside_s);
}

static rt_status end_push(student *s, bool *over, push_told *told, bool wait, rt_error *err)
{
    rt_status st = gradient_pusher_end(s->pusher, false, over, told, err);
    if (st != RT_OK || *over || !wait) return st;
    runtime_busy(s->rt, "pushing step %" PRIu64 ", micro-batch %" PRIu32, s->pushing.batch.step,
                 s->pushing.batch.index + 1);
    double start_s = rt_clock_mono_s();
    spend_on(s, STEP_PUSH);
    st = gradient_pusher_end(s->pusher, true, over, told, err);
    spend_on(s, STEP_WAIT);
    s->push_s += rt_clock_mono_s() - start_s;
    return st;
}

/* Look whether it has arrived, or wait until it has. What has not, and never will, goes back into the
 * hand: *lost. */
static rt_status settle(student *s, bool wait, bool *lost, rt_error *err)
{
    rt_error why = {0};
    push_told told;
    bool over = false;
    double now_s = rt_clock_mono_s();
    *lost = false;
    if (!s->is_pushing) return RT_OK;
    rt_status st = end_push(s, &over, &told, wait, &why);
    if (st == RT_OK && !over) return RT_OK;
    s->is_pushing = false;
    *lost = st != RT_OK || told.status == PUSH_AHEAD;
    if (*lost) { /* AHEAD: a shard went back, and so does everyone */
        batch_hand_put_back(&s->hand, &s->pushing);
        weight_cache_forget(s->cache);
        return st == RT_OK ? RT_OK : forgive_shards(s, st, &why, err);
    }
    count_beside(s, &told, now_s);
    runtime_observe(s->rt, "push_seconds", s->push_s);
    runtime_count(s->rt, told.status == PUSH_STALE ? "stale" : "micro_batches", 1);
    if (told.status != PUSH_STALE) runtime_count(s->rt, "tokens", (double)s->pushing.batch.n_ids);
    st = acknowledge(s, &s->pushing, err);
    held_batch_free(&s->pushing);
    return st;
}

/* When the process ends. A run that is finished needs no gradient any more: all had their effect. */
static rt_status settle_at_end(student *s, rt_error *err)
{
    bool lost = false;
    bool finished = runtime_phase(s->rt) == PHASE_FINISHED;
    rt_status st = settle(s, !finished, &lost, err);
    if (st != RT_OK || !s->is_pushing) return st;
    s->is_pushing = false;
    st = acknowledge(s, &s->pushing, err);
    held_batch_free(&s->pushing);
    return st;
}

/* Send it on its way, once the one before has arrived. */
static rt_status deliver_gradient(student *s, held_batch *held, const wire_sums *sums,
                                  rt_error *err)
{
    rt_error why = {0};
    grad_rows rows;
    bool lost = false;
    rt_status st = settle(s, true, &lost, err);
    if (st != RT_OK || lost || rt_stop_requested() == RT_STOP_NOW) return st;
    bool has_rows = model_grad_rows(s->model, &rows);
    describe_gradient(s);
    double start_s = rt_clock_mono_s();
    spend_on(s, STEP_PUSH);
    st = gradient_pusher_begin(s->pusher, &held->batch, sums, model_grads(s->model),
                               has_rows ? &rows : NULL, s->config->net.request_timeout_ms, &why);
    spend_on(s, STEP_WAIT);
    if (st != RT_OK) return forgive_shards(s, st, &why, err);
    batch_hand_move_out(&s->hand, held, &s->pushing);
    s->is_pushing = true;
    s->pushing_since_s = rt_clock_mono_s();
    s->push_s = s->pushing_since_s - start_s;
    return RT_OK;
}

static rt_status deliver_losses(student *s, held_batch *held, const wire_sums *sums, rt_error *err)
{
    rt_error why = {0};
    net_incoming answer = {0};
    wire_message m = {
        .type = WIRE_EVAL_RESULT,
        .eval_result = {.version = held->batch.step, .index = held->batch.index, .sums = *sums}};
    rt_status st = net_client_request(runtime_coordinator(s->rt), &m, NULL, 0,
                                      s->config->net.request_timeout_ms, &answer, &why);
    net_incoming_free(&answer);
    if (st == RT_OK) {
        runtime_count(s->rt, "evaluated", 1);
        return let_go(s, held, err);
    }
    if (st == RT_CANCELLED) return RT_OK;
    if (st != RT_TIMEOUT && st != RT_UNAVAILABLE && st != RT_REFUSED) {
        if (err != NULL) *err = why;
        return st;
    }
    note_away(s, "the coordinator", why.text);
    runtime_wait(s->rt, AWAY_MS);
    return RT_OK;
}

static rt_status work_on(student *s, held_batch *held, rt_error *err)
{
    rt_error why = {0};
    wire_sums sums;
    const micro_batch *b = &held->batch;
    bool evaluate = b->kind == MICRO_BATCH_EVALUATE;
    char what[96];
    snprintf(what, sizeof what, "%s %" PRIu64 ", micro-batch %" PRIu32 " of %" PRIu32,
             evaluate ? "evaluating version" : "training step", b->step, b->index + 1,
             b->n_micro_batches);
    runtime_busy(s->rt, "%s", what);
    fault_point_about("student.computes", what);
    double start_s = rt_clock_mono_s();
    spend_on(s, STEP_COMPUTE);
    rt_status st = compute_batch(s->model, b, &s->space, &sums, &why);
    spend_on(s, STEP_WAIT);
    if (st == RT_CORRUPT || st == RT_INVALID) return bury(s, held, &why, err);
    if (st != RT_OK) {
        if (err != NULL) *err = why;
        return st;
    }
    if (evaluate) return deliver_losses(s, held, &sums, err);
    double now_s = rt_clock_mono_s();
    runtime_observe(s->rt, "compute_seconds", now_s - start_s);
    tell_cost(s, b, now_s);
    return deliver_gradient(s, held, &sums, err);
}

/* A score is that of one version, in every mode. */
static pull_terms terms_of(const student *s, const micro_batch *b)
{
    const train_config *t = &s->config->train;
    if (t->mode == TRAIN_SYNC || b->kind == MICRO_BATCH_EVALUATE) return (pull_terms){0};
    return (pull_terms){.staleness = t->staleness_max, .anew = t->mode == TRAIN_ASYNC};
}

static rt_status advance(student *s, held_batch *held, rt_error *err)
{
    rt_error why = {0};
    bool lost = false;
    wire_pull_status status = PULL_NOT_YET;
    double start_s = rt_clock_mono_s();
    spend_on(s, STEP_PULL);
    rt_status st = weight_cache_pull(s->cache, held->batch.step, terms_of(s, &held->batch),
                                     s->config->net.request_timeout_ms, &status, &why);
    spend_on(s, STEP_WAIT);
    double waited_s = (double)weight_cache_waited_ms(s->cache) / 1000;
    step_time_move(&s->time, STEP_PULL, STEP_WAIT, waited_s);
    if (st != RT_OK) return forgive_shards(s, st, &why, err);
    if (status == PULL_OK)
        runtime_observe(s->rt, "pull_seconds", RT_MAX(rt_clock_mono_s() - start_s - waited_s, 0.0));
    runtime_gauge(s->rt, "pulls_shared", (double)weight_cache_n_shared(s->cache));
    note_back(s);
    switch (status) {
    case PULL_OK: return work_on(s, held, err);
    case PULL_GONE: runtime_count(s->rt, "stale", 1); return let_go(s, held, err);
    case PULL_NOT_YET: runtime_busy(s->rt, "waiting for version %" PRIu64, held->batch.step); break;
    }
    return settle(s, true, &lost, err); /* it may be what the version waits for */
}

/* The run went back: what it needs now lies behind all that was published before, so there is no
 * use in asking for the versions of that. The stream holds no more than queue.batches_max. */
static bool should_read_on(student *s, size_t n_taken)
{
    const held_batch *lowest = batch_hand_lowest(&s->hand);
    s->n_read_on += n_taken;
    if (lowest != NULL && lowest->generation == s->generation) s->caught_up = true;
    return n_taken > 0 && !s->caught_up && s->n_read_on <= s->config->queue.batches_max;
}

static rt_status turn(student *s, rt_error *err)
{
    bool ready = false, lost = false;
    size_t n_taken = 0;
    rt_status st = settle(s, false, &lost, err);
    if (st == RT_OK) st = follow(s, &ready, err);
    if (st != RT_OK) return st;
    if (!ready) {
        runtime_wait(s->rt, AWAY_MS);
        return RT_OK;
    }
    bool draining = runtime_phase(s->rt) == PHASE_DRAINING;
    if (!draining && batch_hand_wants_more(&s->hand, s->generation, rt_clock_mono_ms())) {
        bool idle = s->hand.n == 0 && !s->is_pushing;
        if (idle) runtime_busy(s->rt, "waiting for a micro-batch");
        if ((st = take(s, idle ? TAKE_MS : 0, &n_taken, err)) != RT_OK) return st;
        if (should_read_on(s, n_taken)) return RT_OK;
    }
    held_batch *held = batch_hand_lowest(&s->hand);
    if (held != NULL) return advance(s, held, err);
    if (s->is_pushing) return settle(s, true, &lost, err);
    if (draining) runtime_wait(s->rt, AWAY_MS);
    return RT_OK;
}

static void close_all(student *s)
{
    batch_hand_free(&s->hand);
    held_batch_free(&s->pushing);
    queue_close(s->queue);
    gradient_pusher_free(s->pusher);
    weight_cache_free(s->cache);
    shard_links_free(s->links);
    model_free(s->model);
    compute_space_free(&s->space);
    runtime_close(s->rt);
}

rt_status student_run(const config *c, const char *name, rt_error *err)
{
    student s = {.config = c};
    large_blocks_keep();
    nn_set_threads(c->threads);
    queue_names_of(c->name, &s.names);
    rt_status st = runtime_open(c, ROLE_STUDENT, name, 0, "", &s.rt, err);
    if (st == RT_OK) st = runtime_open_queue(s.rt, &s.queue, err);
    while (st == RT_OK && !is_over(&s)) {
        st = turn(&s, err);
        tell_time(&s);
    }
    if (st == RT_OK && s.is_pushing) st = settle_at_end(&s, err);
    if (st == RT_CANCELLED) st = RT_OK;
    if (st == RT_OK && s.rt != NULL) st = runtime_refusal(s.rt, err);
    close_all(&s);
    return st;
}
