#include <stdlib.h>

#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "common/dataset/gold_use.h"
#include "worker/evaluate/evaluate.h"

typedef struct dataset_tally {
    const answer_rules *rules;
    uint64_t n, n_right, n_rejected;
} dataset_tally;

static rt_status visit_record(void *context, const label_record *r, rt_error *err)
{
    dataset_tally *t = context;
    parse_status status = PARSE_OK;
    char *gold = NULL;
    if (r->gold == NULL || r->gold[0] == '\0') return RT_OK;
    t->n++;
    /* A label that the true answer was used for is not the teacher's: by itself it was wrong. */
    gold_use use = gold_use_of(r->meta);
    if (r->label == NULL || use == GOLD_USE_REJECTED) t->n_rejected++;
    if (r->label == NULL || use != GOLD_USE_NONE) return RT_OK;
    rt_status st = answer_canonical(t->rules, r->input, r->gold, &status, &gold, err);
    if (st != RT_OK) return st;
    t->n_right += answer_equal(t->rules, r->label, status == PARSE_OK ? gold : r->gold);
    free(gold);
    return RT_OK;
}

rt_status evaluate_dataset(const char *folder, const answer_rules *rules, accuracy *out,
                           uint64_t *n_rejected, rt_error *err)
{
    rt_status st = RT_OK;
    archive *dataset = NULL;
    dataset_tally tally = {.rules = rules};
    if (!rt_fs_exists(folder))
        return rt_fail(err, RT_NOTFOUND, "%s: no such folder, expected the dataset of a run",
                       folder);
    if ((st = archive_open_read_only(folder, &dataset, err)) != RT_OK) goto out;
    if ((st = archive_scan(dataset, false, visit_record, &tally, err)) != RT_OK) goto out;
    if ((st = archive_scan(dataset, true, visit_record, &tally, err)) != RT_OK) goto out;
    *out = accuracy_of(tally.n_right, tally.n);
    *n_rejected = tally.n_rejected;
out:
    archive_close(dataset);
    return st;
}
