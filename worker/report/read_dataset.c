/* One walk over the dataset: counts, the teacher against the true answers, and examples.
 *
 * Examples are those with the smallest ids of their kind. Ids are hashes of the text, so this is a fair
 * sample, the same each time, however the records came in.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "worker/evaluate/evaluate.h"
#include "worker/report/gather.h"
#include "worker/runtime/task_rules.h"

#define EXAMPLES_MAX   4 /* of a kind */
#define REJECTED_MAX   2 /* of a reason */
#define TEXT_BYTES_MAX ((size_t)3000)

/* The few with the smallest ids, as JSON. */
typedef struct sample_list {
    rt_id ids[EXAMPLES_MAX];
    json_t *items[EXAMPLES_MAX];
    size_t n, n_max;
    uint64_t n_all;
} sample_list;

typedef struct reason_samples {
    char *reason;
    sample_list list;
} reason_samples;

typedef struct survey {
    bool has_rules;
    answer_rules rules;
    uint64_t n_labelled, n_rejected, n_rationales, n_gold, n_right;
    sample_list right, wrong, unchecked;
    reason_samples reasons[ARCHIVE_REASONS_MAX + 1]; /* the last: all others */
    size_t n_reasons;
    confusion *confusion;
} survey;

/* Where to put a record of this id; NULL: it is none of the smallest. */
static json_t **sample_place(sample_list *list, rt_id id)
{
    size_t at = 0;
    list->n_all++;
    while (at < list->n && rt_id_compare(list->ids[at], id) < 0) at++;
    if (at == list->n_max) return NULL;
    if (list->n == list->n_max) json_decref(list->items[--list->n]);
    memmove(&list->ids[at + 1], &list->ids[at], (list->n - at) * sizeof *list->ids);
    memmove(&list->items[at + 1], &list->items[at], (list->n - at) * sizeof(json_t *));
    list->n++;
    list->ids[at] = id;
    list->items[at] = NULL;
    return &list->items[at];
}

/* Hands the items over. */
static json_t *sample_take(sample_list *list)
{
    json_t *out = json_array();
    for (size_t i = 0; i < list->n; i++) json_array_append_new(out, list->items[i]);
    list->n = 0;
    return out;
}

static void sample_drop(sample_list *list)
{
    for (size_t i = 0; i < list->n; i++) json_decref(list->items[i]);
}

static json_t *labelled_json(const label_record *r)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "input", gather_text(r->input, TEXT_BYTES_MAX),
                     "label", gather_text(r->label, TEXT_BYTES_MAX), "rationale",
                     gather_text(r->rationale, TEXT_BYTES_MAX), "gold",
                     gather_text(r->gold, TEXT_BYTES_MAX));
}

static rt_status judge(survey *s, const label_record *r, sample_list **list, rt_error *err)
{
    judged_record judged = {0};
    *list = &s->unchecked;
    if (!s->has_rules) return RT_OK;
    rt_status st = judge_record(&s->rules, r, &judged, err);
    if (st != RT_OK || judged.gold == NULL) return st;
    s->n_gold++;
    s->n_right += judged.is_right;
    /* A label that came from the true answer is no example of either. */
    bool is_own = judged.said != NULL && r->label != NULL && strcmp(judged.said, r->label) == 0;
    *list = judged.is_right ? &s->right : is_own ? &s->wrong : NULL;
    st = confusion_add(s->confusion, judged.gold, judged.is_right ? judged.gold : judged.said, err);
    judged_record_free(&judged);
    return st;
}

static rt_status visit_labelled(void *context, const label_record *r, rt_error *err)
{
    survey *s = context;
    sample_list *list = NULL;
    rt_status st = judge(s, r, &list, err);
    if (st != RT_OK) return st;
    s->n_labelled++;
    s->n_rationales += r->rationale != NULL;
    json_t **place = list != NULL ? sample_place(list, r->id) : NULL;
    if (place != NULL) *place = labelled_json(r);
    return RT_OK;
}

static rt_status samples_of(survey *s, const char *reason, sample_list **out, rt_error *err)
{
    for (size_t i = 0; i < s->n_reasons; i++) {
        *out = &s->reasons[i].list;
        if (strcmp(s->reasons[i].reason, reason) == 0 || i == ARCHIVE_REASONS_MAX) return RT_OK;
    }
    reason_samples *fresh = &s->reasons[s->n_reasons];
    fresh->reason = strdup(s->n_reasons == ARCHIVE_REASONS_MAX ? "other" : reason);
    if (fresh->reason == NULL) return rt_fail(err, RT_NOMEM, "reasons of rejection");
    fresh->list.n_max = REJECTED_MAX;
    s->n_reasons++;
    *out = &fresh->list;
    return RT_OK;
}

static rt_status visit_rejected(void *context, const label_record *r, rt_error *err)
{
    survey *s = context;
    sample_list *list = NULL, *ignored = NULL;
    rt_status st = judge(s, r, &ignored, err);
    if (st == RT_OK) st = samples_of(s, r->reason, &list, err);
    if (st != RT_OK) return st;
    s->n_rejected++;
    json_t **place = sample_place(list, r->id);
    if (place != NULL)
        *place = json_pack("{s:o, s:o}", "input", gather_text(r->input, TEXT_BYTES_MAX), "raw",
                           gather_text(r->raw, TEXT_BYTES_MAX));
    return RT_OK;
}

static int by_count(const void *a, const void *b)
{
    const reason_samples *x = a, *y = b;
    if (x->list.n_all != y->list.n_all) return x->list.n_all < y->list.n_all ? 1 : -1;
    return strcmp(x->reason, y->reason);
}

static void add_rejections(survey *s, json_t *data)
{
    json_t *all = json_array();
    qsort(s->reasons, s->n_reasons, sizeof *s->reasons, by_count);
    for (size_t i = 0; i < s->n_reasons; i++) {
        json_int_t n = (json_int_t)s->reasons[i].list.n_all;
        json_array_append_new(all, json_pack("{s:s, s:I, s:o}", "reason", s->reasons[i].reason, "n",
                                             n, "examples", sample_take(&s->reasons[i].list)));
    }
    json_object_set_new(data, "rejections", all);
}

static void add_teacher(survey *s, gathering *g)
{
    json_t *examples = json_object();
    json_object_set_new(examples, "right", sample_take(&s->right));
    json_object_set_new(examples, "wrong", sample_take(&s->wrong));
    json_object_set_new(examples, "unchecked", sample_take(&s->unchecked));
    json_object_set_new(g->data, "teacher_examples", examples);
    if (s->n_gold == 0) {
        gather_miss(g,
                    s->has_rules
                        ? "The corpus has no true answers (corpus.gold): how often the teacher "
                          "is right in its dataset is not known."
                        : "Without the settings the labels cannot be held against true answers.");
        return;
    }
    accuracy a = accuracy_of(s->n_right, s->n_gold);
    json_array_append_new(json_object_get(g->data, "accuracy"),
                          json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:f}", "who", "teacher", "on",
                                    "its dataset", "right", (json_int_t)a.n_right, "of",
                                    (json_int_t)a.n, "share", a.share, "low", a.low, "high",
                                    a.high));
    json_object_set_new(json_object_get(g->data, "confusion"), "teacher",
                        confusion_to_json(s->confusion));
}

static rt_status start_survey(survey *s, const config *c, rt_error *err)
{
    s->right.n_max = s->wrong.n_max = s->unchecked.n_max = EXAMPLES_MAX;
    s->has_rules = c != NULL;
    if (c != NULL) s->rules = answer_rules_of(c);
    bool is_class = c != NULL && s->rules.kind == RULE_CLASS;
    return confusion_new(s->rules.classes, is_class ? s->rules.n_classes : 0, &s->confusion, err);
}

static void survey_free(survey *s)
{
    if (s == NULL) return;
    sample_drop(&s->right);
    sample_drop(&s->wrong);
    sample_drop(&s->unchecked);
    for (size_t i = 0; i < s->n_reasons; i++) {
        sample_drop(&s->reasons[i].list);
        free(s->reasons[i].reason);
    }
    confusion_free(s->confusion);
    free(s);
}

static rt_status walk(gathering *g, survey *s, rt_error *err)
{
    archive *a = NULL;
    rt_status st = archive_open_read_only(g->dataset, &a, err);
    if (st == RT_OK) st = archive_scan(a, false, visit_labelled, s, err);
    if (st == RT_OK) st = archive_scan(a, true, visit_rejected, s, err);
    archive_close(a);
    return st;
}

rt_status gather_dataset(gathering *g, rt_error *err)
{
    rt_error why = {0};
    json_t *found = json_object();
    json_object_set_new(g->data, "dataset", found);
    if (!rt_fs_exists(g->dataset)) {
        gather_miss(g, "The dataset is not there: %s does not exist.", g->dataset);
        return RT_OK;
    }
    survey *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "survey of a dataset");
    rt_status st = start_survey(s, g->ask->config, err);
    if (st != RT_OK) goto out;
    if ((st = walk(g, s, &why)) == RT_NOMEM) {
        st = rt_fail(err, st, "%s", why.text);
        goto out;
    }
    if (st != RT_OK) {
        gather_miss(g, "The dataset cannot be read: %s", why.text);
        st = RT_OK;
        goto out;
    }
    json_object_set_new(found, "labelled", json_integer((json_int_t)s->n_labelled));
    json_object_set_new(found, "rejected", json_integer((json_int_t)s->n_rejected));
    json_object_set_new(found, "rationales", json_integer((json_int_t)s->n_rationales));
    json_object_set_new(found, "gold", json_integer((json_int_t)s->n_gold));
    add_rejections(s, g->data);
    add_teacher(s, g);
out:
    survey_free(s);
    return st;
}

/* ---- the sum ---- */

static json_int_t count_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

void gather_rows(gathering *g)
{
    const json_t *found = json_object_get(g->data, "dataset");
    json_t *manifest = NULL, *rows = json_object();
    const json_t *source = g->result;
    json_object_set_new(g->data, "rows", rows);
    if (source == NULL) source = manifest = gather_load(g, "corpus/manifest.json");
    json_int_t n_labelled = count_of(found, "labelled"), n_rejected = count_of(found, "rejected");
    json_object_set_new(rows, "labelled", json_integer(n_labelled));
    json_object_set_new(rows, "rejected", json_integer(n_rejected));
    if (source == NULL) {
        gather_miss(g, "The corpus has not been read to its end: how many rows it has is not "
                       "known (there is no corpus/manifest.json).");
        return;
    }
    json_int_t n_rows = count_of(source, "rows"), n_examples = count_of(source, "examples");
    json_int_t n_twice = count_of(source, "duplicates"), n_bad = count_of(source, "malformed");
    json_int_t n_open = n_examples - n_labelled - n_rejected;
    bool adds_up = n_rows - n_twice - n_bad == n_examples && n_open >= 0;
    json_object_set_new(rows, "read", json_integer(n_rows));
    json_object_set_new(rows, "duplicates", json_integer(n_twice));
    json_object_set_new(rows, "malformed", json_integer(n_bad));
    json_object_set_new(rows, "examples", json_integer(n_examples));
    json_object_set_new(rows, "open", json_integer(n_open));
    json_object_set_new(rows, "adds_up", json_boolean(adds_up));
    if (!adds_up)
        gather_miss(g, "The counts of rows do not add up: ask `retort audit` which example is in "
                       "two states or in none.");
    json_decref(manifest);
}

/* ---- checksums ---- */

static void add_checksum(json_t *list, const char *what, const char *folder, const char *name)
{
    char path[PATH_MAX], sha256[RT_SHA256_HEX_SIZE];
    if (rt_fs_join(path, sizeof path, folder, name, NULL) != RT_OK || !rt_fs_exists(path)) return;
    if (rt_sha256_file(path, sha256, NULL) != RT_OK) return;
    json_array_append_new(list, json_pack("{s:s, s:s}", "what", what, "sha256", sha256));
}

void gather_checksums(gathering *g)
{
    static const char *const files[] = {"config.yaml", "plan.jsonl", "tokenizer.model",
                                        "student/model.safetensors"};
    json_t *list = json_array();
    const char *dataset = json_string_value(json_object_get(g->result, "dataset_sha256"));
    if (dataset != NULL)
        json_array_append_new(
            list,
            json_pack("{s:s, s:s}", "what", "dataset, labels in corpus order", "sha256", dataset));
    add_checksum(list, "dataset/labels.jsonl", g->dataset, "labels.jsonl");
    add_checksum(list, "dataset/rejected.jsonl", g->dataset, "rejected.jsonl");
    for (size_t i = 0; i < RT_COUNT(files); i++)
        add_checksum(list, files[i], g->ask->run_dir, files[i]);
    json_object_set_new(g->data, "checksums", list);
}
