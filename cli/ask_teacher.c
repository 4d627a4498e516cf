#include "cli/ask_teacher.h"

#include <stdlib.h>
#include <string.h>

#include "cli/own_allowance.h"
#include "common/base/clock.h"
#include "common/base/stop.h"
#include "worker/teacher/run.h"

rt_status asked_teacher_open(const config *c, asked_teacher *out, rt_error *err)
{
    *out = (asked_teacher){.config = c};
    rt_status st = labeller_open_cache(c, &out->cache, err);
    if (st == RT_OK && config_has_limits(c))
        st = own_allowance_open(c, "evaluation", &out->allowance, err);
    return st;
}

void asked_teacher_close(asked_teacher *t)
{
    allowance_close(t->allowance);
    answer_cache_close(t->cache);
    *t = (asked_teacher){0};
}

static bool stop_was_requested(void *context)
{
    (void)context;
    return rt_stop_requested() != RT_STOP_NONE;
}

static rt_status ask_shard(const labeller *l, const gold_row *rows, size_t n,
                           shard_example *examples, label_record *records, char **labels,
                           bool *left_out, rt_error *err)
{
    label_counts counts = {0};
    for (size_t i = 0; i < n; i++)
        examples[i] = (shard_example){
            .id = rows[i].id, .input = rows[i].input, .source_id = rows[i].source_id};
    rt_status st = label_shard(l, examples, n, records, &counts, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < n; i++) {
        labels[i] = records[i].label;
        records[i].label = NULL;
        left_out[i] =
            rt_id_equal(records[i].id, (rt_id){0}); /* the budget was spent before its turn */
    }
    label_records_free(records, n);
    return RT_OK;
}

rt_status ask_teacher(void *context, const gold_row *rows, size_t n, char **labels, bool *left_out,
                      rt_error *err)
{
    const asked_teacher *t = context;
    const config *c = t->config;
    rt_status st = RT_OK;
    labeller l = {0};
    size_t n_shard = c->label.shard_size;
    shard_example *examples = rt_calloc(n_shard, sizeof *examples);
    label_record *records = rt_calloc(n_shard, sizeof *records);
    if (examples == NULL || records == NULL) {
        st = rt_fail(err, RT_NOMEM, "labels of %zu rows", n);
        goto out;
    }
    if ((st = labeller_open(c, &l, err)) != RT_OK) goto out;
    l.should_leave = stop_was_requested;
    labeller_use(&l, &(backend_means){.allowance = t->allowance, .cache = t->cache});
    for (size_t i = 0; i < n && st == RT_OK; i += n_shard) {
        if (rt_stop_requested() != RT_STOP_NONE)
            st = rt_fail(err, RT_CANCELLED, "stopped after %zu of %zu rows", i, n);
        else
            st = ask_shard(&l, rows + i, RT_MIN(n_shard, n - i), examples, records, labels + i,
                           left_out + i, err);
        allowance_rest(t->allowance, rt_clock_mono_ms());
        if (st == RT_OK) st = own_allowance_check(t->allowance, err);
    }
out:
    labeller_close(&l);
    free(examples);
    free(records);
    return st;
}
