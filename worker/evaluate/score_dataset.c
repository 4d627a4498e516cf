#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "common/dataset/gold_use.h"
#include "worker/evaluate/evaluate.h"

typedef struct dataset_tally {
    const answer_rules *rules;
    uint64_t n, n_right, n_rejected;
} dataset_tally;

void judged_record_free(judged_record *judged)
{
    free(judged->gold);
    free(judged->said);
    memset(judged, 0, sizeof *judged);
}

/* What the teacher said before it was given the true answer. */
static char *said_before(const char *meta)
{
    json_t *root = json_loads(meta, 0, NULL);
    const char *said = json_string_value(json_object_get(json_object_get(root, "gold"), "said"));
    char *copy = said != NULL ? strdup(said) : NULL;
    json_decref(root);
    return copy;
}

rt_status judge_record(const answer_rules *rules, const label_record *r, judged_record *out,
                       rt_error *err)
{
    parse_status status = PARSE_OK;
    judged_record judged = {0};
    if (r->gold == NULL || r->gold[0] == '\0') {
        *out = judged;
        return RT_OK;
    }
    rt_status st = answer_canonical(rules, r->input, r->gold, &status, &judged.gold, err);
    if (st != RT_OK) return st;
    if (judged.gold == NULL) judged.gold = strdup(r->gold);
    /* A label that the true answer was used for is not the teacher's: by itself it was wrong. */
    gold_use use = gold_use_of(r->meta);
    bool is_own = r->label != NULL && use == GOLD_USE_NONE;
    judged.is_rejected = r->label == NULL || use == GOLD_USE_REJECTED;
    judged.is_right = is_own && judged.gold != NULL && answer_equal(rules, r->label, judged.gold);
    if (is_own)
        judged.said = strdup(r->label);
    else if (!judged.is_rejected)
        judged.said = said_before(r->meta);
    if (judged.gold == NULL || (is_own && judged.said == NULL)) {
        judged_record_free(&judged);
        return rt_fail(err, RT_NOMEM, "answers of a record");
    }
    *out = judged;
    return RT_OK;
}

static rt_status visit_record(void *context, const label_record *r, rt_error *err)
{
    dataset_tally *t = context;
    judged_record judged = {0};
    rt_status st = judge_record(t->rules, r, &judged, err);
    if (st != RT_OK || judged.gold == NULL) return st;
    t->n++;
    t->n_rejected += judged.is_rejected;
    t->n_right += judged.is_right;
    judged_record_free(&judged);
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
