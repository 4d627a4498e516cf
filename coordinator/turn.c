/* What the coordinator does between two looks at its socket: decisions in their order, no socket and
 * no clock of its own (co->now_ms), so a simulation can run it.
 *
 * Deaths are looked for only after every message that had arrived was handled, so a turn that took
 * long (a slow disk, a Redis that hangs) kills nobody.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/stop.h"
#include "coordinator/shell.h"

#define DRAIN_MS          2000  /* after a request to stop */
#define DRAIN_SAVE_MS     10000 /* ... while shards are being saved */
#define END_RETRY_MS      1000  /* until the figures of the end are written again */
#define LEAVE_MS          3000  /* until members must have left at the end */
#define SUM_RECORDS       1024  /* of the dataset, summed in a turn */
#define SUM_RECORDS_MIN   64    /* ... while students have something to do */
#define SHARE_CHECKED_MIN 100   /* archived examples before the share of rejected ones counts */

static void bury_the_dead(coordinator *co)
{
    const member *dead;
    while ((dead = membership_next_dead(co->members, co->now_ms)) != NULL) {
        rt_log_warn("member.dead", "name=%s role=%s silent_ms=%" PRIu64, dead->name,
                    wire_role_name(dead->role), co->now_ms - dead->seen_ms);
        if (dead->told_finished)
            tell(co, EVENT_MEMBER, dead->name, "left: there is nothing more to do for it");
        else
            tell(co, EVENT_MEMBER, dead->name, "is dead: silent for %.1f s",
                 (double)(co->now_ms - dead->seen_ms) / 1000.0);
        if (dead->role == ROLE_TEACHER) {
            size_t n_back = lease_table_return(co->leases, dead->name);
            if (n_back > 0) tell(co, EVENT_LEASE, dead->name, "%zu shards it held go back", n_back);
            quota_bury(co->money.book.quota, dead->name, co->now_ms);
        }
        if (dead->role == ROLE_STUDENT) train_stage_requeue(co, dead->name);
    }
    size_t n = lease_table_expire(co->leases, co->now_ms);
    if (n == 0) return;
    rt_log_info("lease.expired", "shards=%zu", n);
    tell(co, EVENT_LEASE, "", "the time of %zu leases ran out: their shards go back", n);
}

static rt_status archive_labels(coordinator *co, bool *busy, bool *is_empty, rt_error *err)
{
    size_t n = 0;
    *is_empty = false;
    if (labelling_is_done(co)) {
        quota_stage_turn(&co->money, false, co->now_ms);
        return RT_OK;
    }
    uint64_t n_buried = co->archiving.n_buried;
    rt_status st = archive_stage_pump(&co->archiving, co->now_ms, &n, is_empty, err);
    if (st == RT_OK && *is_empty) st = archive_stage_reject_blamed(&co->archiving, co->now_ms, err);
    if (st != RT_OK) return st;
    if (co->archiving.n_buried > n_buried)
        tell(co, EVENT_QUEUE, "", "%" PRIu64 " entries of the stream of labels were put aside",
             co->archiving.n_buried - n_buried);
    if (n > 0) *busy = true;
    uint64_t n_labelled = archive_n_labelled(co->archive);
    uint64_t n_rejected = archive_n_rejected(co->archive), n_all = n_labelled + n_rejected;
    progress_rate_see(&co->label_rate, (double)n_all, co->now_ms);
    size_t n_back = *is_empty ? lease_table_stream_empty(co->leases) : 0;
    if (n_back > 0 && !lease_table_is_closed(co->leases)) {
        rt_log_warn("lease.redelivered", "why=\"records of a finished shard vanished\"");
        tell(co, EVENT_LEASE, "", "records of %zu finished shards vanished: they are leased again",
             n_back);
    }
    if ((st = smoke_turn(co, err)) != RT_OK) return st;
    quota_stage_turn(&co->money, *is_empty, co->now_ms);
    double share_max = co->config->label.rejected_share_max;
    bool may_check = n_all >= SHARE_CHECKED_MIN || lease_table_all_done(co->leases);
    if (share_max >= 1 || !may_check || (double)n_rejected <= share_max * (double)n_all)
        return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "%" PRIu64 " of %" PRIu64
                   " examples were rejected, more than label.rejected_share_max = %g allows; "
                   "dataset/rejected.jsonl says why, docs/parsing.md explains the reasons",
                   n_rejected, n_all, share_max);
}

static void run_timers_turn(coordinator *co)
{
    run_timers *t = &co->timers;
    bool labels = !labelling_is_done(co) && co->ending == RUN_GOES_ON;
    bool trains = co->steps_ready && !train_stage_is_done(co) && co->ending == RUN_GOES_ON;
    bool scores = trains && step_control_state(co->steps) == STEP_EVALUATING;
    bool reads = trains && co->batches_known && co->n_batches_in_stream == 0;
    lease_counts l;
    lease_table_count(co->leases, &l);
    progress_timer_run(&t->label, labels, co->now_ms);
    progress_timer_run(&t->tokenizer,
                       co->tokenizer != NULL && tokenizer_stage_is_training(co->tokenizer),
                       co->now_ms);
    progress_timer_run(&t->train, trains && !scores, co->now_ms);
    progress_timer_run(&t->evaluate, scores, co->now_ms);
    progress_timer_run(&t->students_starved,
                       reads && membership_n_alive(co->members, ROLE_STUDENT) > 0, co->now_ms);
    progress_timer_run(&t->teachers_starved,
                       labels && l.n_shards_pending == 0 &&
                           membership_n_alive(co->members, ROLE_TEACHER) > l.n_shards_leased,
                       co->now_ms);
    seconds_save(co);
}

static void claim_idle(coordinator *co)
{
    if (co->stage == STAGE_LABEL || co->now_ms < co->claim_next_ms) return;
    co->claim_next_ms = co->now_ms + RT_MAX(co->config->queue.claim_ms / 4, 1000);
    train_stage_requeue(co, NULL);
}

/* Shards that were asked to stop, too: the version that they hold is written down. */
static bool shards_wait(const coordinator *co)
{
    return co->steps_ready && step_control_is_waited_for(co->steps);
}

/* Labels, training, feeding. */
static rt_status work(coordinator *co, bool *busy, bool *is_empty, rt_error *err)
{
    rt_status st = archive_labels(co, busy, is_empty, err);
    if (st == RT_OK && co->ending == RUN_DRAINING && shards_wait(co))
        return train_stage_turn(co, busy, err);
    if (st != RT_OK || co->ending != RUN_GOES_ON) return st;
    if ((st = train_stage_turn(co, busy, err)) != RT_OK) return st;
    if ((st = feed_batches(co, busy, err)) != RT_OK) return st;
    claim_idle(co);
    return RT_OK;
}

static void end_run(coordinator *co, run_ending ending)
{
    co->ending = ending;
    co->ending_ms = co->now_ms;
    co->shown_ms = 0;
}

static void fail_run(coordinator *co, rt_status st, const rt_error *why)
{
    if (co->ending == RUN_FAILED) return;
    co->why_status = st;
    co->why = *why;
    rt_log_error("run.failed", "%s", why->text);
    tell(co, EVENT_RUN, "", "failed: %s", why->text);
    end_run(co, RUN_FAILED);
}

/* What keeps the run from its end: without room on disk it waits, anything else is a failure. */
static void put_end_off(coordinator *co, rt_status st, const rt_error *why)
{
    if (st != RT_IO && st != RT_NOMEM) {
        fail_run(co, st, why);
        return;
    }
    if (strcmp(co->problem, why->text) != 0) rt_log_error("run.end", "%s", why->text);
    snprintf(co->problem, sizeof co->problem, "%.500s", why->text);
    co->ending = RUN_GOES_ON;
    co->end_retry_ms = co->now_ms + END_RETRY_MS;
}

/* The end is one when its figures are on disk. */
static void complete_run(coordinator *co)
{
    rt_error why = {0};
    rt_status st = RT_OK;
    if (co->now_ms < co->end_retry_ms) return;
    end_run(co, RUN_COMPLETE);
    seconds_save(co);
    if (co->stage != STAGE_LABEL) st = checkpoint_note_best(co, &why);
    if (st == RT_OK) st = result_write(co, &why);
    if (st == RT_OK)
        tell(co, EVENT_RUN, "", "finished");
    else
        put_end_off(co, st, &why);
}

/* Beside the training, or before the end. */
static void sum_up(coordinator *co, bool *busy)
{
    rt_error why = {0};
    bool waits = train_stage_is_done(co);
    if (co->ending != RUN_GOES_ON || !labelling_is_done(co) || co->sum.done) return;
    if (co->now_ms < co->end_retry_ms) return;
    rt_status st = dataset_sum_work(&co->sum, co->archive, co->corpus,
                                    waits ? SUM_RECORDS : SUM_RECORDS_MIN, &why);
    if (st != RT_OK) put_end_off(co, st, &why);
    if (waits) *busy = true;
}

static void look_at_end(coordinator *co)
{
    if (co->ending != RUN_GOES_ON) return;
    if (rt_stop_requested() != RT_STOP_NONE) {
        rt_log_info("coordinator.drain", "deadline_ms=%d", DRAIN_MS);
        tell(co, EVENT_RUN, "", "a stop was asked for");
        end_run(co, RUN_DRAINING);
    } else if (labelling_is_done(co) && train_stage_is_done(co) && co->sum.done) {
        complete_run(co);
    }
}

void coordinator_turn(coordinator *co, bool read_empty, coordinator_turn_state *turn)
{
    rt_error why = {0};
    turn->busy = !read_empty;
    bool works = co->ending == RUN_GOES_ON || co->ending == RUN_DRAINING;
    rt_status st = works ? work(co, &turn->busy, &turn->stream_is_empty, &why) : RT_OK;
    if (st != RT_OK) fail_run(co, st, &why);
    if (read_empty) bury_the_dead(co);
    sum_up(co, &turn->busy);
    look_at_end(co);
    run_timers_turn(co);
}

bool coordinator_is_over(const coordinator *co, const coordinator_turn_state *turn)
{
    uint64_t past_ms = co->now_ms - co->ending_ms;
    if (co->ending == RUN_GOES_ON) return false;
    if (rt_stop_requested() == RT_STOP_NOW) return true;
    if (co->ending == RUN_COMPLETE && co->stays) return rt_stop_requested() != RT_STOP_NONE;
    if (co->ending == RUN_DRAINING) {
        bool archived = turn->stream_is_empty || co->stage == STAGE_TRAIN || labelling_is_done(co);
        /* Each member has heard of it after one heartbeat; late records get the rest. */
        bool heard = past_ms >= RT_MIN(2 * co->config->net.heartbeat_ms, (uint64_t)DRAIN_MS);
        if (shards_wait(co) && past_ms < DRAIN_SAVE_MS) return false;
        return past_ms >= DRAIN_MS || (archived && heard);
    }
    uint64_t silent_ms = co->config->net.heartbeat_ms * 3 / 2;
    /* Started again when all was done: those who waited for it must hear of it. */
    if (co->ending == RUN_COMPLETE && membership_n(co->members) == 0) return past_ms >= LEAVE_MS;
    return past_ms >= LEAVE_MS || membership_all_left(co->members, co->now_ms, silent_ms);
}

void coordinator_stages_free(coordinator *co)
{
    plan_stage_free(co->plan);
    /* A tokenizer in the making holds the corpus: its thread is waited for in here. */
    tokenizer_stage_free(co->tokenizer);
    metrics_log_close(co->metrics);
    tensorboard_close(co->tensorboard);
    eval_board_free(co->board);
    step_control_free(co->steps);
    membership_free(co->members);
    quota_stage_close(&co->money);
    lease_table_free(co->leases);
    corpus_source_free(co->corpus);
    archive_close(co->archive);
    queue_link_close(co->link);
    free(co->peers);
}
