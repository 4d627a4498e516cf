/* Micro-batches into the stream BATCHES, as the feeder and the evaluation board ask for them. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "common/wire/seal.h"
#include "coordinator/shell.h"

#define STEPS_A_TURN  4
#define LENGTHS_MS    500
#define EVAL_EMPTY_MS 1500
#define EVAL_STALL_MS 30000

/* Micro-batches of a turn, encoded. */
typedef struct parcel {
    rt_buf *items;
    size_t n;
} parcel;

static void parcel_free(parcel *p, size_t n_max)
{
    for (size_t i = 0; p->items != NULL && i < n_max; i++) rt_buf_free(&p->items[i]);
    free(p->items);
}

static rt_status add_to_parcel(parcel *p, micro_batch *b, rt_error *err)
{
    rt_status st = wire_encode_micro_batch(b, &p->items[p->n], err);
    if (st == RT_OK) st = wire_seal(&p->items[p->n], err);
    if (st == RT_OK) p->n++;
    micro_batch_free(b);
    return st;
}

/* RT_OK also when Redis is away: *sent tells. */
static rt_status send_parcel(coordinator *co, queue *q, const parcel *p, bool *sent, rt_error *err)
{
    rt_error why = {0};
    *sent = false;
    rt_status st =
        p->n == 0 ? RT_OK
                  : queue_add_many(q, queue_link_names(co->link)->batches, p->items, p->n, &why);
    if (st == RT_OK) {
        *sent = true;
        co->n_batches_in_stream += p->n;
        return RT_OK;
    }
    st = queue_link_failed(co->link, st, &why, co->now_ms);
    return st == RT_OK ? RT_OK : rt_fail(err, st, "batches: %s", why.text);
}

/* Again, only what not every shard has. */
static bool may_skip(const coordinator *co, uint64_t step, uint32_t index)
{
    return feeder_is_resend(&co->feeder, step) && step == co->feeder.version &&
           step_control_has_received(co->steps, index);
}

static rt_status publish_step(coordinator *co, queue *q, uint64_t step, bool *sent, rt_error *err)
{
    plan_step_info info;
    uint64_t n_tokens;
    parcel p = {0};
    rt_status st = plan_stage_step(co->plan, step, &info, &n_tokens, err);
    if (st != RT_OK) return st;
    p.items = rt_calloc(info.n_micro_batches, sizeof *p.items);
    if (p.items == NULL) return rt_fail(err, RT_NOMEM, "step %" PRIu64, step);
    for (uint32_t i = 0; st == RT_OK && i < info.n_micro_batches; i++) {
        micro_batch b = {0};
        if (may_skip(co, step, i)) continue;
        st = plan_stage_build(co->plan, step, i, &b, err);
        if (st == RT_OK) st = add_to_parcel(&p, &b, err);
    }
    if (st == RT_OK) st = send_parcel(co, q, &p, sent, err);
    parcel_free(&p, info.n_micro_batches);
    return st;
}

/* What somebody is slow with, once more: whoever is first counts. */
static rt_status publish_backups(coordinator *co, queue *q, rt_error *err)
{
    rt_status st = RT_OK;
    bool sent = false;
    parcel p = {0};
    plan_step_info info;
    uint64_t n_tokens, step = step_control_version(co->steps);
    bool gathers = step_control_state(co->steps) == STEP_GATHERING && co->feeder.next > step;
    straggler_see(&co->straggler, step, gathers, co->now_ms);
    if (!gathers || membership_n_alive(co->members, ROLE_STUDENT) < 2) return RT_OK;
    if (co->n_batches_in_stream > co->config->queue.batches_max) return RT_OK;
    if (!straggler_is_due(&co->straggler, co->now_ms)) return RT_OK;
    if ((st = plan_stage_step(co->plan, step, &info, &n_tokens, err)) != RT_OK) return st;
    p.items = rt_calloc(info.n_micro_batches, sizeof *p.items);
    if (p.items == NULL) return rt_fail(err, RT_NOMEM, "step %" PRIu64, step);
    for (uint32_t i = 0; st == RT_OK && i < info.n_micro_batches; i++) {
        micro_batch b = {0};
        if (step_control_has_received(co->steps, i)) continue;
        st = plan_stage_build(co->plan, step, i, &b, err);
        if (st == RT_OK) st = add_to_parcel(&p, &b, err);
    }
    if (st == RT_OK) st = send_parcel(co, q, &p, &sent, err);
    if (sent && p.n > 0) {
        co->n_backups += p.n;
        rt_log_info("batches.backup", "step=%" PRIu64 " n=%zu median_ms=%" PRIu64, step, p.n,
                    straggler_median_ms(&co->straggler));
    }
    parcel_free(&p, info.n_micro_batches);
    return st;
}

static rt_status look_at_lengths(coordinator *co, queue *q, rt_error *err)
{
    rt_error why = {0};
    uint64_t n_dead = 0;
    const queue_names *names = queue_link_names(co->link);
    if (co->now_ms < co->lengths_next_ms) return RT_OK;
    co->lengths_next_ms = co->now_ms + LENGTHS_MS;
    rt_status st = queue_length(q, names->batches, &co->n_batches_measured, &why);
    if (st == RT_OK) co->n_batches_in_stream = co->n_batches_measured;
    if (st == RT_OK) st = queue_length(q, names->labels, &co->n_labels_in_stream, &why);
    if (st == RT_OK) st = queue_length(q, names->dead, &n_dead, &why);
    if (st == RT_OK) st = put_aside_look(co, q, n_dead, &why);
    co->batches_known = st == RT_OK;
    st = queue_link_failed(co->link, st, &why, co->now_ms);
    return st == RT_OK ? RT_OK : rt_fail(err, st, "queue: %s", why.text);
}

void feed_again(coordinator *co)
{
    feeder_resend(&co->feeder);
    co->eval_published = 0;
    co->batches_known = false;
}

/* Whether published work seems to be lost, by what shards and stream say. */
static void watch(coordinator *co)
{
    uint64_t version = step_control_version(co->steps);
    uint64_t progress = version * 1000003 + step_control_n_received(co->steps) * 7 +
                        step_control_generation(co->steps);
    bool gathers = step_control_state(co->steps) == STEP_GATHERING &&
                   membership_n_alive(co->members, ROLE_STUDENT) > 0;
    bool is_empty = co->batches_known && co->n_batches_in_stream == 0;
    if (!feeder_watch(&co->feeder, progress, gathers, is_empty, co->now_ms)) return;
    rt_log_warn("batches.resend", "version=%" PRIu64 " why=\"%s\"", version,
                is_empty ? "the stream is empty and gradients are missing" : "nothing moves");
    tell(co, EVENT_QUEUE, "", "micro-batches from step %" PRIu64 " on are published again: %s",
         version, is_empty ? "the stream is empty, and gradients are missing" : "nothing moves");
    feed_again(co);
}

rt_status feed_batches(coordinator *co, bool *busy, rt_error *err)
{
    uint64_t step;
    queue *q = queue_link_get(co->link, co->now_ms);
    if (queue_link_take_reset(co->link)) {
        rt_log_warn("batches.resend", "version=%" PRIu64 " why=\"Redis was away or was flushed\"",
                    step_control_version(co->steps));
        tell(co, EVENT_QUEUE, "", "Redis was away or was flushed: what it held is published again");
        feed_again(co);
    }
    if (q == NULL) return RT_OK;
    rt_status st = look_at_lengths(co, q, err);
    if (st != RT_OK || co->plan == NULL || !co->steps_ready) return st;
    watch(co);
    if ((st = publish_backups(co, q, err)) != RT_OK) return st;
    uint64_t n_planned = plan_stage_n_planned(co->plan);
    for (int i = 0; i < STEPS_A_TURN; i++) {
        bool sent = false;
        if (!feeder_next(&co->feeder, step_control_publish_limit(co->steps), n_planned, &step))
            return RT_OK;
        if (feeder_must_wait(&co->feeder, step, co->n_batches_in_stream,
                             co->config->train.micro_batches, co->config->queue.batches_max))
            return RT_OK;
        if ((st = publish_step(co, q, step, &sent, err)) != RT_OK) return st;
        if (!sent) return RT_OK;
        fault_point("coordinator.published");
        feeder_published(&co->feeder);
    }
    *busy = true;
    return RT_OK;
}

/* An evaluation whose entries vanished is published again. */
static void watch_evaluation(coordinator *co, uint32_t n)
{
    uint64_t idle_ms = co->now_ms - co->eval_progress_ms;
    bool is_empty = co->batches_known && co->n_batches_in_stream == 0;
    if (co->eval_published < n || membership_n_alive(co->members, ROLE_STUDENT) == 0) return;
    if (idle_ms < (is_empty ? EVAL_EMPTY_MS : EVAL_STALL_MS)) return;
    co->eval_published = 0;
    co->eval_progress_ms = co->now_ms;
    co->feeder.n_resends++;
}

rt_status feed_evaluation(coordinator *co, rt_error *err)
{
    rt_status st = RT_OK;
    queue *q = queue_link_get(co->link, co->now_ms);
    uint32_t n = eval_board_n_micro_batches(co->board);
    watch_evaluation(co, n);
    for (; q != NULL && co->eval_published < n; co->eval_published++) {
        micro_batch b = {0};
        bool sent = false;
        if (co->n_batches_in_stream >= co->config->queue.batches_max) return RT_OK;
        if (!eval_board_is_missing(co->board, co->eval_published)) continue;
        parcel p = {.items = rt_calloc(1, sizeof *p.items)};
        if (p.items == NULL) return rt_fail(err, RT_NOMEM, "evaluation");
        st = plan_stage_build_evaluation(co->plan, co->eval_published, &b, err);
        if (st == RT_OK) st = add_to_parcel(&p, &b, err);
        if (st == RT_OK) st = send_parcel(co, q, &p, &sent, err);
        parcel_free(&p, 1);
        if (st != RT_OK || !sent) return st;
        co->eval_progress_ms = co->now_ms;
    }
    return RT_OK;
}
