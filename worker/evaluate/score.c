#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fs.h"
#include "common/dataset/archive.h"
#include "common/stats/wilson.h"
#include "worker/evaluate/evaluate.h"
#include "worker/evaluate/student_answers.h"
#include "worker/runtime/run_path.h"
#include "worker/runtime/task_rules.h"

#define RUN_PATH_MAX 4096

accuracy accuracy_of(uint64_t n_right, uint64_t n)
{
    accuracy a = {.n = n, .n_right = n_right, .share = n > 0 ? (double)n_right / (double)n : 0};
    wilson_interval(n_right, n, &a.low, &a.high);
    return a;
}

static void shown_free(eval_shown *shown, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(shown[i].input);
        free(shown[i].gold);
        free(shown[i].wrote);
        free(shown[i].label);
        free(shown[i].rationale);
        free(shown[i].teacher);
    }
    free(shown);
}

void eval_result_free(eval_result *result)
{
    if (result == NULL) return;
    for (size_t i = 0; i < result->n_classes; i++) free(result->classes[i].name);
    shown_free(result->shown, result->n_shown);
    shown_free(result->kept, result->n_kept);
    confusion_free(result->confusion);
    free(result->classes);
    free(result->model);
    memset(result, 0, sizeof *result);
}

/* All that is known of the rows while they are scored; [n] each. */
typedef struct scoring {
    const config *config;
    const gold_rows *rows;
    answer_rules rules;
    char **gold;    /* canonical true answers */
    char **teacher; /* labels of the teacher, NULL where it has none; or NULL altogether */
    bool *left_out; /* rows the teacher was not asked about */
    answering_student *student; /* NULL until it was asked */
    student_spec spec;
    student_answer *answers;
    bool *right;
} scoring;

static void texts_free(char **texts, size_t n)
{
    for (size_t i = 0; texts != NULL && i < n; i++) free(texts[i]);
    free(texts);
}

static void scoring_free(scoring *s)
{
    size_t n = s->rows->n;
    texts_free(s->gold, n);
    texts_free(s->teacher, n);
    student_answers_free(s->answers, n);
    free(s->answers);
    free(s->right);
    free(s->left_out);
    student_spec_free(&s->spec);
    answering_student_close(s->student);
}

/* Canonical where it has such a form, else as it is written. */
static rt_status canonical_gold(const answer_rules *rules, const gold_row *row, char **out,
                                rt_error *err)
{
    parse_status status = PARSE_OK;
    char *text = NULL;
    rt_status st = answer_canonical(rules, row->input, row->gold, &status, &text, err);
    if (st != RT_OK) return st;
    if (status != PARSE_OK && (text = strdup(row->gold)) == NULL)
        return rt_fail(err, RT_NOMEM, "true answer");
    *out = text;
    return RT_OK;
}

static rt_status scoring_start(scoring *s, const config *c, const gold_rows *rows, rt_error *err)
{
    s->config = c;
    s->rows = rows;
    s->rules = answer_rules_of(c);
    s->gold = rt_calloc(rows->n, sizeof *s->gold);
    s->right = rt_calloc(rows->n, sizeof *s->right);
    if (s->gold == NULL || s->right == NULL)
        return rt_fail(err, RT_NOMEM, "scores of %zu rows", rows->n);
    for (size_t i = 0; i < rows->n; i++) {
        rt_status st = canonical_gold(&s->rules, &rows->rows[i], &s->gold[i], err);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

/* retort.json of the folder; without one, or when the config says how to answer, the config. */
static rt_status find_spec(const config *c, const char *folder, student_spec *out, rt_error *err)
{
    if (c->eval.answer_with == ANSWER_AUTO) {
        rt_status st = student_spec_read(folder, out, err);
        if (st != RT_NOTFOUND) return st;
    }
    return student_spec_of(c, out, err);
}

static rt_status ask(const scoring *s, const eval_options *how, student_task task,
                     const char *const *inputs, size_t n, student_answer *answers, rt_error *err)
{
    answer_settings settings = {.spec = &s->spec,
                                .task = task,
                                .batch = s->config->eval.batch,
                                .max_new_tokens = s->config->eval.max_new_tokens,
                                .beams = s->config->eval.beams,
                                .length_penalty = s->config->eval.length_penalty,
                                .progress = how->progress,
                                .progress_context = how->progress_context};
    return answer_inputs(s->student, &settings, inputs, n, answers, err);
}

static rt_status ask_student(scoring *s, const eval_options *how, eval_result *result,
                             rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = s->rows->n;
    const char **inputs = rt_calloc(n, sizeof *inputs);
    s->answers = rt_calloc(n, sizeof *s->answers);
    result->model = strdup(how->model);
    if (inputs == NULL || s->answers == NULL || result->model == NULL) {
        st = rt_fail(err, RT_NOMEM, "answers of %zu rows", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) inputs[i] = s->rows->rows[i].input;
    st = answering_student_open(how->model, s->config->threads,
                                s->config->eval.dtype == DECODE_BF16, &s->student, err);
    if (st != RT_OK) goto out;
    if ((st = find_spec(s->config, how->model, &s->spec, err)) != RT_OK) goto out;
    result->answers_by = s->spec.answers_by;
    double start_s = rt_clock_mono_s();
    st = ask(s, how, s->spec.answers_by, inputs, n, s->answers, err);
    result->seconds = rt_clock_mono_s() - start_s;
out:
    free(inputs);
    return st;
}

static void count_reason(eval_result *result, const char *name)
{
    result->n_unreadable++;
    for (size_t i = 0; i < result->n_reasons; i++) {
        if (strcmp(result->reasons[i].name, name) != 0) continue;
        result->reasons[i].n++;
        return;
    }
    if (result->n_reasons == EVAL_REASONS_MAX) return;
    eval_reason *fresh = &result->reasons[result->n_reasons++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    fresh->n = 1;
}

static void score_student(scoring *s, eval_result *result)
{
    uint64_t n_right = 0;
    for (size_t i = 0; i < s->rows->n; i++) {
        const student_answer *a = &s->answers[i];
        result->n_new_tokens += a->n_new_tokens;
        if (a->label == NULL) {
            count_reason(result, a->problem != NULL ? a->problem : "empty");
            continue;
        }
        s->right[i] = answer_equal(&s->rules, a->label, s->gold[i]);
        n_right += s->right[i];
    }
    result->has_student = true;
    result->student = accuracy_of(n_right, s->rows->n);
}

static void score_teacher(const scoring *s, eval_result *result)
{
    uint64_t n_right = 0, n = 0;
    for (size_t i = 0; i < s->rows->n; i++) {
        n += !s->left_out[i];
        n_right += s->teacher[i] != NULL && answer_equal(&s->rules, s->teacher[i], s->gold[i]);
    }
    result->n_teacher_left_out = s->rows->n - n;
    result->has_teacher = n > 0;
    result->teacher = accuracy_of(n_right, n);
}

static void score_agreement(const scoring *s, eval_result *result)
{
    uint64_t n = 0, n_same = 0;
    for (size_t i = 0; i < s->rows->n; i++) {
        if (s->teacher[i] == NULL) continue;
        n++;
        n_same += s->answers[i].label != NULL &&
                  answer_equal(&s->rules, s->answers[i].label, s->teacher[i]);
    }
    result->has_agreement = n > 0;
    result->agreement = accuracy_of(n_same, n);
}

/* Labels that the run's dataset holds for the same rows; *n_found counts them. A run without a
 * dataset is fine. */
static rt_status look_up_dataset(scoring *s, uint64_t *n_found, rt_error *err)
{
    rt_status st = RT_OK;
    char folder[RUN_PATH_MAX];
    archive *dataset = NULL;
    if ((st = run_path(s->config, "dataset", folder, sizeof folder, err)) != RT_OK) return st;
    if (!rt_fs_exists(folder)) return RT_OK;
    if ((st = archive_open_read_only(folder, &dataset, err)) != RT_OK) return st;
    for (size_t i = 0; i < s->rows->n; i++) {
        label_record record = {0};
        if (archive_find(dataset, s->rows->rows[i].id) != ARCHIVE_LABELLED) continue;
        if (s->teacher[i] != NULL) {
            (*n_found)++;
            continue;
        }
        if ((st = archive_read(dataset, s->rows->rows[i].id, &record, err)) != RT_OK) goto out;
        s->teacher[i] = record.label;
        record.label = NULL;
        label_record_free(&record);
        (*n_found)++;
    }
out:
    archive_close(dataset);
    return st;
}

static rt_status score_classes(const scoring *s, eval_result *result, rt_error *err)
{
    size_t n = s->rules.n_classes;
    if (s->rules.kind != RULE_CLASS || n == 0) return RT_OK;
    result->classes = rt_calloc(n, sizeof *result->classes);
    if (result->classes == NULL) return rt_fail(err, RT_NOMEM, "scores of %zu classes", n);
    for (size_t k = 0; k < n; k++) {
        uint64_t n_rows = 0, n_right = 0;
        for (size_t i = 0; i < s->rows->n; i++) {
            if (!answer_equal(&s->rules, s->gold[i], s->rules.classes[k])) continue;
            n_rows++;
            n_right += s->right[i];
        }
        char *name = strdup(s->rules.classes[k]);
        if (name == NULL) return rt_fail(err, RT_NOMEM, "scores of %zu classes", n);
        result->classes[result->n_classes++] =
            (eval_class){.name = name, .student = accuracy_of(n_right, n_rows)};
    }
    return RT_OK;
}

static bool copy_if_any(const char *text, char **out)
{
    return text == NULL || (*out = strdup(text)) != NULL;
}

static rt_status fill_shown(const scoring *s, size_t i_row, eval_shown *shown, rt_error *err)
{
    const student_answer *a = &s->answers[i_row];
    shown->right = s->right[i_row];
    bool ok = copy_if_any(s->rows->rows[i_row].input, &shown->input) &&
              copy_if_any(s->gold[i_row], &shown->gold) && copy_if_any(a->raw, &shown->wrote) &&
              copy_if_any(a->label, &shown->label) &&
              copy_if_any(a->rationale, &shown->rationale) &&
              copy_if_any(s->teacher[i_row], &shown->teacher);
    return ok ? RT_OK : rt_fail(err, RT_NOMEM, "an example");
}

/* Evenly over the rows, so that the first file is not all one sees. */
static rt_status keep_shown(const scoring *s, size_t n_show, eval_result *result, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = RT_MIN(n_show, s->rows->n);
    result->shown = rt_calloc(n, sizeof *result->shown);
    if (result->shown == NULL) return rt_fail(err, RT_NOMEM, "%zu examples", n);
    for (size_t k = 0; st == RT_OK && k < n; k++)
        st = fill_shown(s, k * s->rows->n / n, &result->shown[result->n_shown++], err);
    return st;
}

/* At most n_keep of the right or of the wrong answers, evenly over them. */
static rt_status keep_some(const scoring *s, bool right, size_t n_keep, eval_result *result,
                           rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_all = 0, n_met = 0, n_taken = 0;
    for (size_t i = 0; i < s->rows->n; i++) n_all += s->right[i] == right;
    size_t n = RT_MIN(n_keep, n_all);
    for (size_t i = 0; st == RT_OK && n_taken < n && i < s->rows->n; i++) {
        if (s->right[i] != right) continue;
        if (n_met++ != n_taken * n_all / n) continue;
        st = fill_shown(s, i, &result->kept[result->n_kept++], err);
        n_taken++;
    }
    return st;
}

/* A student that answers with the label alone is asked for its rationales of the kept ones. */
static rt_status explain_kept(const scoring *s, const eval_options *how, eval_result *result,
                              rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = result->n_kept;
    eval_options quiet = *how;
    if (n == 0 || !s->spec.explains || s->spec.answers_by != TASK_PREDICT) return RT_OK;
    const char **inputs = rt_calloc(n, sizeof *inputs);
    student_answer *answers = rt_calloc(n, sizeof *answers);
    if (inputs == NULL || answers == NULL) {
        st = rt_fail(err, RT_NOMEM, "%zu rationales", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) inputs[i] = result->kept[i].input;
    quiet.progress = NULL;
    if ((st = ask(s, &quiet, TASK_EXPLAIN, inputs, n, answers, err)) != RT_OK) goto out;
    for (size_t i = 0; i < n; i++) {
        free(result->kept[i].rationale);
        result->kept[i].rationale = answers[i].rationale;
        answers[i].rationale = NULL;
    }
out:
    if (answers != NULL) student_answers_free(answers, n);
    free(answers);
    free(inputs);
    return st;
}

static rt_status keep_examples(const scoring *s, const eval_options *how, eval_result *result,
                               rt_error *err)
{
    result->kept = rt_calloc(2 * how->n_keep, sizeof *result->kept);
    if (result->kept == NULL) return rt_fail(err, RT_NOMEM, "%zu examples", 2 * how->n_keep);
    rt_status st = keep_some(s, true, how->n_keep, result, err);
    if (st == RT_OK) st = keep_some(s, false, how->n_keep, result, err);
    return st == RT_OK ? explain_kept(s, how, result, err) : st;
}

static rt_status score_confusion(const scoring *s, eval_result *result, rt_error *err)
{
    bool is_class = s->rules.kind == RULE_CLASS;
    rt_status st =
        confusion_new(s->rules.classes, is_class ? s->rules.n_classes : 0, &result->confusion, err);
    for (size_t i = 0; st == RT_OK && i < s->rows->n; i++)
        st = confusion_add(result->confusion, s->gold[i],
                           s->right[i] ? s->gold[i] : s->answers[i].label, err);
    return st;
}

static rt_status score_rows(const config *c, const gold_rows *rows, const eval_options *how,
                            eval_result *result, rt_error *err)
{
    rt_status st = RT_OK;
    scoring s = {0};
    if ((st = scoring_start(&s, c, rows, err)) != RT_OK) goto out;
    s.teacher = rt_calloc(rows->n, sizeof *s.teacher);
    s.left_out = rt_calloc(rows->n, sizeof *s.left_out);
    if (s.teacher == NULL || s.left_out == NULL) {
        st = rt_fail(err, RT_NOMEM, "labels of %zu rows", rows->n);
        goto out;
    }
    if (how->model != NULL) {
        if ((st = ask_student(&s, how, result, err)) != RT_OK) goto out;
        score_student(&s, result);
        if ((st = score_classes(&s, result, err)) != RT_OK) goto out;
        if ((st = score_confusion(&s, result, err)) != RT_OK) goto out;
    }
    if (how->teacher != NULL) {
        st = how->teacher->ask(how->teacher->context, rows->rows, rows->n, s.teacher, s.left_out,
                               err);
        if (st != RT_OK) {
            st = rt_wrap(err, st, "asking the teacher");
            goto out;
        }
        score_teacher(&s, result);
    }
    if ((st = look_up_dataset(&s, &result->n_in_dataset, err)) != RT_OK) goto out;
    if (how->model != NULL) {
        score_agreement(&s, result);
        st = keep_shown(&s, how->n_show, result, err);
        if (st == RT_OK) st = keep_examples(&s, how, result, err);
    }
out:
    scoring_free(&s);
    return st;
}

rt_status evaluate_student(const config *c, const gold_rows *rows, const eval_options *how,
                           eval_result *out, rt_error *err)
{
    rt_status st = RT_OK;
    char folder[RUN_PATH_MAX];
    eval_result result = {.n_rows = rows->n,
                          .n_without_gold = rows->n_without_gold,
                          .n_malformed = rows->n_malformed,
                          .answers_by = student_answers_by(c)};
    if (rows->n > 0 && (st = score_rows(c, rows, how, &result, err)) != RT_OK) goto out;
    if (how->dataset) {
        answer_rules rules = answer_rules_of(c);
        if ((st = run_path(c, "dataset", folder, sizeof folder, err)) != RT_OK) goto out;
        st = evaluate_dataset(folder, &rules, &result.dataset, &result.n_dataset_rejected, err);
        if (st != RT_OK) goto out;
        result.has_dataset = true;
    }
    *out = result;
    memset(&result, 0, sizeof result);
out:
    eval_result_free(&result);
    return st;
}
