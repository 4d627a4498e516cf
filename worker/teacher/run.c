#include "worker/teacher/run.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "worker/teacher/publish.h"
#include "worker/teacher/shared_allowance.h"
#include "worker/teacher/take_shard.h"

/* After a request to stop, how long labelled records may wait for the stream. */
#define STOP_GRACE_MS 3000

typedef struct teacher {
    runtime *rt;
    labeller labeller;
    allowance *allowance; /* NULL without limits and prices, set or told by a server */
    queue *queue;
    queue_names names;
    answer_cache *cache;
} teacher;

static bool should_leave(void *context)
{
    return runtime_stopping(context);
}

static void report_trouble(void *context, const char *trouble)
{
    const teacher *t = context;
    runtime_busy(t->rt, "%s", trouble != NULL ? trouble : "labels a shard");
    runtime_gauge(t->rt, "server_fails", trouble != NULL);
}

static void count_in_backend(void *context, const char *what, uint64_t n)
{
    const teacher *t = context;
    runtime_count(t->rt, what, (double)n);
}

static void observe_in_backend(void *context, const char *what, double seconds)
{
    const teacher *t = context;
    runtime_observe(t->rt, what, seconds);
}

/* Borrows the grant's texts. */
static shard_example *examples_of(const wire_lease_grant *grant)
{
    shard_example *examples = rt_calloc(grant->n_examples, sizeof *examples);
    for (size_t i = 0; examples != NULL && i < grant->n_examples; i++) {
        const wire_leased_example *e = &grant->examples[i];
        examples[i] = (shard_example){.id = e->id,
                                      .input = e->input,
                                      .source_id = e->source_id,
                                      .gold = e->gold,
                                      .done = e->done};
    }
    return examples;
}

static void count_shard(teacher *t, const label_counts *counts, double seconds)
{
    runtime_count(t->rt, "shards", 1);
    runtime_count(t->rt, "labelled", (double)counts->n_labelled);
    runtime_count(t->rt, "rejected", (double)counts->n_rejected);
    runtime_count(t->rt, "retries", (double)counts->n_retries);
    runtime_count(t->rt, "label_given", (double)counts->n_label_given);
    runtime_count(t->rt, "label_given_taken", (double)counts->n_label_given_taken);
    runtime_count(t->rt, "escalated", (double)counts->n_escalated);
    runtime_count(t->rt, "prompt_tokens", (double)counts->n_prompt_tokens);
    runtime_count(t->rt, "completion_tokens", (double)counts->n_completion_tokens);
    runtime_count(t->rt, "label_seconds", seconds);
}

static rt_status work_shard(teacher *t, const wire_lease_grant *grant, rt_error *err)
{
    rt_status st = RT_OK;
    label_counts counts = {0};
    size_t n = grant->n_examples;
    shard_example *examples = examples_of(grant);
    label_record *records = rt_calloc(n, sizeof *records);
    if (examples == NULL || records == NULL) {
        st = rt_fail(err, RT_NOMEM, "shard %" PRIu64 " of %zu examples", grant->shard, n);
        goto out;
    }
    runtime_busy(t->rt, "labels shard %" PRIu64, grant->shard);
    double start_s = rt_clock_mono_s();
    st = label_shard(&t->labeller, examples, n, records, &counts, err);
    allowance_rest(t->allowance, rt_clock_mono_ms());
    if (st != RT_OK) {
        st = rt_wrap(err, st, "shard %" PRIu64, grant->shard);
        goto out;
    }
    count_shard(t, &counts, rt_clock_mono_s() - start_s);
    runtime_busy(t->rt, "publishes shard %" PRIu64, grant->shard);
    st = publish_records(t->rt, t->queue, t->names.labels, records, n, STOP_GRACE_MS, err);
    if (st != RT_OK) goto out;
    fault_point("teacher.before_done");
    report_shard_done(t->rt, grant, counts.n_labelled, counts.n_rejected);
    rt_log_debug("teacher.shard_done", "shard=%" PRIu64 " labelled=%" PRIu64 " rejected=%" PRIu64,
                 grant->shard, counts.n_labelled, counts.n_rejected);
out:
    /* Not after an error of the shard itself: who dies of it must be counted. */
    if (st == RT_CANCELLED) give_shard_back(t->rt, grant);
    label_records_free(records, n);
    free(records);
    free(examples);
    return st;
}

static rt_status work_until_finished(teacher *t, rt_error *err)
{
    for (;;) {
        leased_shard shard = {0};
        uint64_t retry_ms = 0;
        rt_status st = runtime_refusal(t->rt, err);
        allowance_turn(t->allowance, rt_clock_mono_ms());
        if (st != RT_OK) return st;
        if (runtime_phase(t->rt) == PHASE_FINISHED) return RT_OK;
        if (runtime_stopping(t->rt)) return rt_fail(err, RT_CANCELLED, "stopped on request");
        if (runtime_phase(t->rt) == PHASE_DRAINING) {
            runtime_busy(t->rt, "draining");
            runtime_wait(t->rt, 500);
            continue;
        }
        st = take_shard(t->rt, &shard, &retry_ms);
        if (st == RT_END) {
            runtime_busy(t->rt, "waits for a shard");
            runtime_wait(t->rt, retry_ms);
            continue;
        }
        if (st == RT_OK) st = work_shard(t, shard.grant, err);
        leased_shard_free(&shard);
        if (st != RT_OK) return st;
    }
}

/* A server may tell limits that nobody set, and what it is asked is counted for all; also where it is
 * the second teacher alone. */
static bool has_account(const teacher *t)
{
    return config_has_limits(runtime_config(t->rt)) || labeller_asks_server(&t->labeller);
}

rt_status teacher_run(const config *c, const char *name, rt_error *err)
{
    rt_status st = RT_OK;
    teacher t = {0};
    queue_names_of(c->name, &t.names);
    /* Registered first: loading a model may take longer than a worker may be silent. */
    if ((st = runtime_open(c, ROLE_TEACHER, name, 0, "", &t.rt, err)) != RT_OK) goto out;
    runtime_busy(t.rt, "opens its backend");
    if ((st = labeller_open(c, &t.labeller, err)) != RT_OK) goto out;
    if ((st = labeller_open_cache(c, &t.cache, err)) != RT_OK) goto out;
    t.labeller.should_leave = should_leave;
    t.labeller.leave_context = t.rt;
    if (has_account(&t) && (st = shared_allowance_open(t.rt, &t.allowance, err)) != RT_OK) goto out;
    labeller_use(&t.labeller, &(backend_means){.allowance = t.allowance,
                                               .cache = t.cache,
                                               .report = report_trouble,
                                               .count = count_in_backend,
                                               .observe = observe_in_backend,
                                               .context = &t});
    runtime_busy(t.rt, "opens the queue");
    if ((st = runtime_open_queue(t.rt, &t.queue, err)) != RT_OK) goto out;
    st = work_until_finished(&t, err);
out:
    queue_close(t.queue);
    labeller_close(&t.labeller);
    allowance_close(t.allowance);
    answer_cache_close(t.cache);
    runtime_close(t.rt);
    return st;
}
