#include "cli/ask_teacher.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/stop.h"
#include "worker/teacher/run.h"

static bool stop_was_requested(void *context)
{
    (void)context;
    return rt_stop_requested() != RT_STOP_NONE;
}

static rt_status ask_shard(const labeller *l, const gold_row *rows, size_t n,
                           shard_example *examples, label_record *records, char **labels,
                           rt_error *err)
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
    }
    label_records_free(records, n);
    return RT_OK;
}

rt_status ask_teacher(void *config_context, const gold_row *rows, size_t n, char **labels,
                      rt_error *err)
{
    const config *c = config_context;
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
    for (size_t i = 0; i < n && st == RT_OK; i += n_shard) {
        if (rt_stop_requested() != RT_STOP_NONE)
            st = rt_fail(err, RT_CANCELLED, "stopped after %zu of %zu rows", i, n);
        else
            st =
                ask_shard(&l, rows + i, RT_MIN(n_shard, n - i), examples, records, labels + i, err);
    }
out:
    labeller_close(&l);
    free(examples);
    free(records);
    return st;
}
