/* Everything about training: tokenizer and plan as the labels come in, then what step_control asks
 * for. What the disk refuses is a problem that is tried again; what the data refuse ends the run. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/ckpt/manifest.h"
#include "coordinator/shell.h"

#define RETRY_MS 1000

bool labelling_is_done(const coordinator *co)
{
    return co->stage == STAGE_TRAIN || lease_table_all_done(co->leases);
}

bool train_stage_is_done(const coordinator *co)
{
    return co->stage == STAGE_LABEL || step_control_state(co->steps) == STEP_FINISHED;
}

rt_status train_stage_begin(coordinator *co, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    double weights[TASK_COUNT];
    bool tasks[TASK_COUNT];
    const train_config *t = &co->config->train;
    eval_settings scoring = {.by_exact = t->best_by == BEST_BY_EXACT,
                             .answer_task =
                                 t->preset == PRESET_RATIONALE_FIRST ? TASK_SOLVE : TASK_PREDICT};
    preset_tasks(t, tasks, weights);
    memcpy(scoring.task_weight, weights, sizeof weights);
    co->feeder.settings = (feeder_settings){.lookahead_steps = t->lookahead_steps,
                                            .batches_max = co->config->queue.batches_max,
                                            .micro_batches = t->micro_batches,
                                            .stall_ms = 20000};
    co->straggler.factor = t->backup_after;
    rt_status st =
        step_control_new((uint32_t)co->config->launch.servers, t->eval_every, &co->steps, err);
    if (st == RT_OK) st = eval_board_new(&scoring, &co->board, err);
    if (st == RT_OK) st = run_folder_path(&co->folder, "checkpoints", co->checkpoints, err);
    if (st != RT_OK || co->stage == STAGE_LABEL) return st;
    if ((st = rt_fs_mkdirs(co->checkpoints, err)) != RT_OK) return st;
    if ((st = run_folder_path(&co->folder, "metrics.jsonl", path, err)) != RT_OK) return st;
    if ((st = metrics_log_open(path, co->board, &co->metrics, err)) != RT_OK) return st;
    if ((st = run_folder_path(&co->folder, "tensorboard", path, err)) != RT_OK) return st;
    if (t->tensorboard && (st = tensorboard_open(path, &co->tensorboard, err)) != RT_OK) return st;
    if ((st = run_folder_path(&co->folder, "tokenizer.model", path, err)) != RT_OK) return st;
    return tokenizer_stage_open(co->config, co->corpus, path, &co->tokenizer, err);
}

/* A refusal of the disk or of memory passes; everything else is the caller's. */
static rt_status tolerate(coordinator *co, rt_status st, const rt_error *why, rt_error *err)
{
    if (st == RT_OK) return RT_OK;
    if (st != RT_IO && st != RT_NOMEM && st != RT_FULL) return rt_fail(err, st, "%s", why->text);
    if (strcmp(co->problem, why->text) != 0) rt_log_error("train.problem", "%s", why->text);
    snprintf(co->problem, sizeof co->problem, "%.500s", why->text);
    co->action_waits = true;
    co->action_retry_ms = co->now_ms + RETRY_MS;
    return RT_OK;
}

/* ---- tokenizer and plan ---- */

static void tell_tokenizer(coordinator *co, const tokenizer *t)
{
    rt_log_info("tokenizer.ready", "pieces=%zu sha256=%.16s", tokenizer_size(t),
                tokenizer_sha256(t));
    tell(co, EVENT_RUN, "", "the tokenizer is trained: %zu pieces", tokenizer_size(t));
}

static rt_status make_tokenizer(coordinator *co, rt_error *err)
{
    uint64_t n = corpus_source_n(co->corpus);
    uint64_t n_first = RT_MIN(co->config->train.chunk_size, n);
    if (tokenizer_stage_is_training(co->tokenizer)) {
        rt_status st = tokenizer_stage_poll(co->tokenizer, err);
        const tokenizer *t = tokenizer_stage_get(co->tokenizer);
        if (st == RT_OK && t != NULL) tell_tokenizer(co, t);
        return st;
    }
    if (!lease_table_range_done(co->leases, 0, n_first)) return RT_OK;
    return tokenizer_stage_begin(co->tokenizer, co->archive, (size_t)n_first, err);
}

static rt_status open_plan(coordinator *co, rt_error *err)
{
    char cache[RUN_PATH_SIZE], journal[RUN_PATH_SIZE];
    plan_stage_settings settings = {.config = co->config,
                                    .corpus = co->corpus,
                                    .archive = co->archive,
                                    .leases = co->leases,
                                    .tokenizer = tokenizer_stage_get(co->tokenizer),
                                    .cache_path = cache,
                                    .journal_path = journal};
    rt_status st = run_folder_path(&co->folder, "tokens.bin", cache, err);
    if (st == RT_OK) st = run_folder_path(&co->folder, "plan.jsonl", journal, err);
    if (st == RT_OK) st = plan_stage_open(&settings, &co->plan, err);
    return st;
}

/* The length is known: what is on disk decides where to go on. */
static rt_status make_ready(coordinator *co, rt_error *err)
{
    uint64_t version = 0;
    rt_status st = checkpoint_find(co, &version, err);
    if (st != RT_OK) return st;
    if (version > 0) step_control_know_committed(co->steps, version);
    for (size_t i = 0; st == RT_OK && i < eval_board_n(co->board); i++)
        st = step_control_know_evaluated(co->steps, eval_board_at(co->board, i)->version, err);
    if (st != RT_OK) return st;
    rt_log_info("train.ready", "steps=%" PRIu64 " checkpoint=%" PRIu64,
                plan_stage_n_steps(co->plan), version);
    tell(co, EVENT_RUN, "", "training can begin: %" PRIu64 " steps, from version %" PRIu64,
         plan_stage_n_steps(co->plan), version);
    co->steps_ready = true;
    step_control_ready(co->steps, plan_stage_n_steps(co->plan));
    return RT_OK;
}

static rt_status prepare(coordinator *co, bool *busy, rt_error *err)
{
    rt_error why = {0};
    rt_status st = RT_OK;
    if (tokenizer_stage_get(co->tokenizer) == NULL) st = make_tokenizer(co, err);
    if (st != RT_OK || tokenizer_stage_get(co->tokenizer) == NULL) return st;
    if (co->plan == NULL && (st = open_plan(co, err)) != RT_OK) return st;
    st = plan_stage_work(co->plan, step_control_version(co->steps), busy, &why);
    if (st != RT_OK) return tolerate(co, st, &why, err);
    bool known = plan_stage_n_steps(co->plan) > 0 && plan_stage_has_caught_up(co->plan);
    if (known && !co->steps_ready) st = make_ready(co, err);
    return st;
}

/* ---- what step_control asks for ---- */

static double weighted_loss(const coordinator *co, const wire_sums *sums)
{
    double loss = 0;
    const double *weights = plan_stage_weights(co->plan);
    for (int t = 0; t < TASK_COUNT; t++)
        if (sums->count[t] > 0) loss += weights[t] * sums->loss[t] / sums->count[t];
    return loss;
}

static rt_status log_step(coordinator *co, const step_action *a, rt_error *err)
{
    plan_step_info info;
    uint64_t n_tokens = 0;
    rt_status st = plan_stage_step(co->plan, a->version, &info, &n_tokens, err);
    if (st != RT_OK) return st;
    metrics_step step = {.step = a->version + 1,
                         .loss = weighted_loss(co, &a->sums),
                         .sums = a->sums,
                         .grad_norm = a->grad_norm,
                         .epoch = info.epoch,
                         .n_records = info.n_records,
                         .n_tokens = n_tokens,
                         .seconds = progress_timer_get(&co->timers.train, co->now_ms),
                         .tokens_per_s = progress_rate_get(&co->token_rate),
                         .staleness = co->config->train.mode == TRAIN_SYNC ? NULL : a->staleness};
    bool is_new = step.step > metrics_log_last_step(co->metrics); /* and no step done again */
    if ((st = metrics_log_step(co->metrics, &step, err)) != RT_OK) return st;
    if (is_new) tensorboard_step(co->tensorboard, &step);
    co->tokens_seen += n_tokens;
    co->grad_norm = a->grad_norm;
    progress_rate_see(&co->token_rate, (double)co->tokens_seen, co->now_ms);
    return RT_OK;
}

static rt_status start_evaluation(coordinator *co, uint64_t version, rt_error *err)
{
    uint32_t n = 0;
    uint64_t n_records = 0;
    rt_status st = plan_stage_lay_out_validation(co->plan, version, &n, &n_records, err);
    if (st == RT_OK) st = eval_board_start(co->board, version, n, n_records, err);
    if (st != RT_OK) return st;
    co->evaluating = true;
    co->eval_published = 0;
    co->eval_progress_ms = co->now_ms;
    rt_log_info("evaluate.begin", "version=%" PRIu64 " records=%" PRIu64 " micro_batches=%" PRIu32,
                version, n_records, n);
    return RT_OK;
}

/* The first time is no way back: shards come without parameters. */
static void tell_rewind(coordinator *co, uint64_t version)
{
    if (metrics_log_last_step(co->metrics) == 0) return;
    tell(co, EVENT_REWIND, "", "the shards load version %" PRIu64 "; step %" PRIu64 " was reached",
         version, metrics_log_last_step(co->metrics));
}

static rt_status do_action(coordinator *co, const step_action *a, rt_error *err)
{
    uint64_t version = 0;
    rt_status st = RT_OK;
    switch (a->kind) {
    case STEP_ACTION_REWIND:
        co->evaluating = false;
        co->scored = (scored_version){0};
        if ((st = checkpoint_find(co, &version, err)) != RT_OK) return st;
        rt_log_info("train.restore", "version=%" PRIu64 " generation=%" PRIu64, version,
                    step_control_generation(co->steps));
        tell_rewind(co, version);
        step_control_restore(co->steps, version);
        /* Work of the lost versions would stand before what is needed now. */
        queue_link_clear_batches(co->link, co->now_ms);
        feeder_rewind(&co->feeder, version);
        co->batches_known = false;
        return RT_OK;
    case STEP_ACTION_APPLYING: return log_step(co, a, err);
    case STEP_ACTION_ADVANCED: feeder_set_version(&co->feeder, a->version); return RT_OK;
    case STEP_ACTION_COMMIT:
        if ((st = checkpoint_commit(co, a->version, err)) != RT_OK) return st;
        step_control_committed(co->steps, a->version);
        return RT_OK;
    case STEP_ACTION_EVALUATE: return start_evaluation(co, a->version, err);
    case STEP_ACTION_FINISHED:
        rt_log_info("train.finished", "version=%" PRIu64 " best=%" PRIu64,
                    step_control_version(co->steps), checkpoint_best(co));
        tell(co, EVENT_RUN, "",
             "training is through: %" PRIu64 " steps, version %" PRIu64 " is best",
             step_control_version(co->steps), checkpoint_best(co));
        return RT_OK;
    case STEP_ACTION_DIVERGED:
        return rt_fail(err, RT_INVALID, /* the settings: another start would end the same way */
                       "the gradient of step %" PRIu64
                       " is not finite: training diverged; lower train.lr or set train.clip_norm",
                       a->version);
    }
    return RT_OK;
}

/* A commit whose slices vanished is RT_CORRUPT; the shards are asked to write them again. */
static bool may_try_again(const step_action *a, rt_status st)
{
    return a->kind == STEP_ACTION_COMMIT && st == RT_CORRUPT;
}

static rt_status do_actions(coordinator *co, rt_error *err)
{
    step_action a;
    while (step_control_next(co->steps, &a)) {
        rt_error why = {0};
        rt_status st = do_action(co, &a, &why);
        if (st == RT_OK) {
            co->problem[0] = '\0';
            continue;
        }
        if (may_try_again(&a, st)) st = RT_IO;
        if (a.kind == STEP_ACTION_APPLYING) step_control_put_back(co->steps, &a);
        if ((st = tolerate(co, st, &why, err)) != RT_OK) return st;
        return RT_OK;
    }
    return RT_OK;
}

static rt_status add_up_evaluation(coordinator *co, rt_error *err)
{
    eval_score *score = &co->scored.score;
    rt_status st = eval_board_finish(co->board, score, err);
    if (st != RT_OK) return st;
    co->scored.waits = true;
    rt_log_info("evaluate.end",
                "version=%" PRIu64 " records=%" PRIu64 " loss=%.6f exact=%.4f best=%" PRIu64,
                score->version, score->n_records, score->loss, score->exact, checkpoint_best(co));
    tell(co, EVENT_EVALUATION, "",
         "version %" PRIu64 ": loss %.4g, %.1f %% exact of %" PRIu64 " rows", score->version,
         score->loss, 100 * score->exact, score->n_records);
    return RT_OK;
}

/* A score counts once it is on disk: a later start chooses the best version by what stands there. */
static rt_status finish_evaluation(coordinator *co, rt_error *err)
{
    rt_error why = {0};
    scored_version *s = &co->scored;
    rt_status st = s->waits ? RT_OK : add_up_evaluation(co, err);
    if (st != RT_OK) return st;
    if (!s->logged) {
        st = metrics_log_evaluation(co->metrics, &s->score, &why);
        if (st == RT_OK) tensorboard_evaluation(co->tensorboard, &s->score);
    }
    s->logged = st == RT_OK;
    if (st == RT_OK) st = checkpoint_note_best(co, &why);
    if (st != RT_OK) return tolerate(co, st, &why, err);
    uint64_t version = s->score.version;
    co->evaluating = false;
    *s = (scored_version){0};
    return step_control_evaluated(co->steps, version, err);
}

/* A shard that cannot load what it was told to: perhaps the checkpoint went bad meanwhile. */
static void see_shard_problems(coordinator *co)
{
    uint32_t shard;
    const char *text = step_control_problem(co->steps, &shard);
    if (text == NULL) return;
    snprintf(co->problem, sizeof co->problem, "server-%" PRIu32 ": %.400s", shard, text);
    if (step_control_state(co->steps) != STEP_RESTORING || co->now_ms < co->action_retry_ms) return;
    co->action_retry_ms = co->now_ms + 30 * RETRY_MS;
    step_control_rewind(co->steps);
}

rt_status train_stage_turn(coordinator *co, bool *busy, rt_error *err)
{
    rt_status st;
    if (co->stage == STAGE_LABEL || train_stage_is_done(co)) return RT_OK;
    if (co->action_waits) {
        if (co->now_ms < co->action_retry_ms) return RT_OK;
        co->action_waits = false;
        co->problem[0] = '\0';
        step_control_again(co->steps);
    }
    if ((st = prepare(co, busy, err)) != RT_OK || !co->steps_ready) return st;
    see_shard_problems(co);
    if ((st = do_actions(co, err)) != RT_OK) return st;
    bool scored = co->scored.waits || eval_board_is_complete(co->board);
    if (co->evaluating && !scored && (st = feed_evaluation(co, err)) != RT_OK) return st;
    if (co->evaluating && scored && (st = finish_evaluation(co, err)) != RT_OK) return st;
    if (co->action_waits) return RT_OK;
    if ((st = do_actions(co, err)) != RT_OK) return st;
    send_orders(co);
    return RT_OK;
}

void train_stage_requeue(coordinator *co, const char *student)
{
    rt_error why = {0};
    size_t n = 0, n_dead = 0;
    const queue_names *names = queue_link_names(co->link);
    queue *q = queue_link_get(co->link, co->now_ms);
    if (q == NULL) return; /* when Redis is back, everything is published again */
    uint64_t idle_ms = student == NULL ? co->config->queue.claim_ms : 0;
    rt_status st = queue_requeue(q, names->batches, student, idle_ms,
                                 (uint32_t)co->config->queue.deliveries_max, names->dead,
                                 "delivered too often", &n, &n_dead, &why);
    if (st != RT_OK) {
        (void)queue_link_failed(co->link, st, &why, co->now_ms);
        return;
    }
    co->n_requeued += n;
    co->n_dead_letters += n_dead;
    if (n + n_dead > 0) {
        rt_log_info("batches.requeued", "student=%s n=%zu dead=%zu",
                    student == NULL ? "(idle)" : student, n, n_dead);
        tell(co, EVENT_QUEUE, student == NULL ? "" : student,
             "%zu of its micro-batches go to others, %zu were put aside", n, n_dead);
        co->feeder.n_resends++; /* waiting students look for further entries */
    }
}

void train_stage_order(coordinator *co, uint32_t shard, wire_server_order *out,
                       char folder[RUN_PATH_SIZE])
{
    const tokenizer *t = co->tokenizer == NULL ? NULL : tokenizer_stage_get(co->tokenizer);
    step_control_order(co->steps, shard, out);
    folder[0] = '\0';
    out->folder = folder;
    bool loads = out->kind == ORDER_RESTORE && out->version > 0;
    if (loads || out->kind == ORDER_SAVE) {
        rt_error why = {0};
        if (ckpt_folder(co->checkpoints, out->version, out->kind == ORDER_SAVE, folder,
                        RUN_PATH_SIZE, &why) != RT_OK) {
            rt_log_error("order.folder", "%s", why.text);
            out->kind = ORDER_WAIT;
        }
    }
    if (t == NULL) return;
    out->n_vocab = (uint32_t)tokenizer_size(t);
    out->bos_id = tokenizer_bos(t);
    out->eos_id = tokenizer_eos(t);
    out->pad_id = tokenizer_pad(t);
}
