#include "worker/runtime/task_file.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/text/template.h"
#include "worker/runtime/task_rules.h"

#define SPEC_BYTES_MAX ((size_t)1 << 20)
#define SPEC_FORMAT    "retort-student"
#define SPEC_VERSION   1

enum { MARKERS, STOP_MARKS, CLASSES };

static const struct {
    answer_rule_kind kind;
    const char *name;
} kind_names[] = {
    {RULE_CHOICE, "choice"}, {RULE_NUMBER, "number"}, {RULE_EQUATION, "equation"},
    {RULE_TEXT, "text"},     {RULE_CLASS, "class"},
};

static void texts_free(char **texts)
{
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) free(texts[i]);
    free(texts);
}

void student_spec_free(student_spec *spec)
{
    if (spec == NULL) return;
    free(spec->task_name);
    free(spec->label_format);
    for (size_t i = 0; i < RT_COUNT(spec->texts); i++) texts_free(spec->texts[i]);
    memset(spec, 0, sizeof *spec);
}

/* `first` (may be NULL) and then texts[0..n), ended by NULL. A repeat of `first` is left out. */
static rt_status copy_texts(const char *first, const char *const *texts, size_t n, char ***out,
                            size_t *n_out, rt_error *err)
{
    size_t n_copied = 0;
    char **copy = rt_calloc(n + 2, sizeof *copy);
    bool ok = copy != NULL;
    if (ok && first != NULL) ok = (copy[n_copied++] = strdup(first)) != NULL;
    for (size_t i = 0; ok && i < n; i++)
        if (first == NULL || strcmp(first, texts[i]) != 0)
            ok = (copy[n_copied++] = strdup(texts[i])) != NULL;
    if (!ok) {
        texts_free(copy);
        return rt_fail(err, RT_NOMEM, "task of a student");
    }
    *out = copy;
    *n_out = n_copied;
    return RT_OK;
}

/* What label_format puts before the label, without outer blanks: "#### " gives "####". */
static rt_status find_own_marker(const char *label_format, const char *marker, rt_buf *out,
                                 rt_error *err)
{
    static const char place[] = "\x01";
    template *t = NULL;
    const template_pair pairs[] = {{"label", place}, {"marker", marker}};
    rt_status st = template_parse(label_format, &t, err);
    if (st == RT_OK) st = template_render_pairs(t, pairs, RT_COUNT(pairs), out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "", err);
    template_free(t);
    if (st != RT_OK) return rt_wrap(err, st, "task.label_format");
    char *label = strstr(out->data, place);
    if (label == NULL)
        return rt_fail(err, RT_INVALID, "task.label_format: \"%s\" lacks {label}", label_format);
    *label = '\0';
    size_t first = strspn(out->data, " \t\n");
    size_t n = strlen(out->data + first);
    while (n > 0 && strchr(" \t\n", out->data[first + n - 1]) != NULL) n--;
    memmove(out->data, out->data + first, n);
    out->data[n] = '\0';
    out->n = n;
    return RT_OK;
}

/* Owned copies of everything the rules point to. */
static rt_status fill(student_spec *spec, const char *task_name, const char *label_format,
                      const answer_rules *rules, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf marker = {0};
    const char *first = rules->n_markers > 0 ? rules->markers[0] : "";
    spec->task_name = strdup(task_name);
    spec->label_format = strdup(label_format);
    spec->rules.kind = rules->kind;
    if (spec->task_name == NULL || spec->label_format == NULL) {
        st = rt_fail(err, RT_NOMEM, "task of a student");
        goto out;
    }
    if ((st = find_own_marker(label_format, first, &marker, err)) != RT_OK) goto out;
    st = copy_texts(marker.n > 0 ? marker.data : NULL, rules->markers, rules->n_markers,
                    &spec->texts[MARKERS], &spec->rules.n_markers, err);
    if (st != RT_OK) goto out;
    st = copy_texts(NULL, rules->stop_marks, rules->n_stop_marks, &spec->texts[STOP_MARKS],
                    &spec->rules.n_stop_marks, err);
    if (st != RT_OK) goto out;
    st = copy_texts(NULL, rules->classes, rules->n_classes, &spec->texts[CLASSES],
                    &spec->rules.n_classes, err);
    if (st != RT_OK) goto out;
    spec->rules.markers = (const char *const *)spec->texts[MARKERS];
    spec->rules.stop_marks = (const char *const *)spec->texts[STOP_MARKS];
    spec->rules.classes = (const char *const *)spec->texts[CLASSES];
out:
    rt_buf_free(&marker);
    return st;
}

student_task student_answers_by(const config *c)
{
    switch (c->eval.answer_with) {
    case ANSWER_LABEL: return TASK_PREDICT;
    case ANSWER_RATIONALE_FIRST: return TASK_SOLVE;
    case ANSWER_AUTO: break;
    }
    return c->train.preset == PRESET_RATIONALE_FIRST ? TASK_SOLVE : TASK_PREDICT;
}

rt_status student_spec_of(const config *c, student_spec *out, rt_error *err)
{
    student_spec spec = {.answers_by = student_answers_by(c),
                         .explains = c->train.preset == PRESET_STEP_BY_STEP};
    answer_rules rules = answer_rules_of(c);
    rt_status st = fill(&spec, c->task.name, c->task.label_format, &rules, err);
    if (st != RT_OK) {
        student_spec_free(&spec);
        return st;
    }
    *out = spec;
    return RT_OK;
}

static json_t *texts_json(const char *const *texts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(texts[i]));
    return list;
}

rt_status student_spec_print(const student_spec *spec, rt_buf *out, rt_error *err)
{
    const char *kind = "text";
    for (size_t i = 0; i < RT_COUNT(kind_names); i++)
        if (kind_names[i].kind == spec->rules.kind) kind = kind_names[i].name;
    json_t *root = json_pack(
        "{s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:b}", "format", SPEC_FORMAT, "version",
        SPEC_VERSION, "task", spec->task_name, "answer", kind, "markers",
        texts_json(spec->rules.markers, spec->rules.n_markers), "stop_marks",
        texts_json(spec->rules.stop_marks, spec->rules.n_stop_marks), "classes",
        texts_json(spec->rules.classes, spec->rules.n_classes), "label_format", spec->label_format,
        "answers_by", student_task_name(spec->answers_by), "explains", spec->explains);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2));
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "%s of a student", STUDENT_SPEC_FILE)
                                : rt_buf_printf(out, err, "%s\n", text);
    json_decref(root);
    free(text);
    return st;
}

rt_status student_spec_write(const student_spec *spec, const char *folder, rt_error *err)
{
    char path[4096];
    rt_buf bytes = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, STUDENT_SPEC_FILE, err);
    if (st == RT_OK) st = student_spec_print(spec, &bytes, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, bytes.data, bytes.n, err);
    rt_buf_free(&bytes);
    return st;
}

/* Borrowed strings of a JSON list; NULL when it is not one. *n_out receives the count. */
static const char **list_texts(const json_t *list, size_t *n_out)
{
    size_t n = json_array_size(list);
    const char **texts = rt_calloc(n + 1, sizeof *texts);
    for (size_t i = 0; texts != NULL && i < n; i++) {
        texts[i] = json_string_value(json_array_get(list, i));
        if (texts[i] == NULL) {
            free(texts);
            return NULL;
        }
    }
    *n_out = n;
    return texts;
}

static rt_status read_root(const json_t *root, student_spec *spec, rt_error *err)
{
    rt_status st = RT_OK;
    const char *format = "", *task = NULL, *kind = NULL, *label_format = NULL, *by = NULL;
    int version = 0, explains = 0;
    json_t *lists[3] = {NULL};
    const char **texts[3] = {NULL};
    answer_rules rules = {.kind = RULE_TEXT};
    json_error_t problem;
    int code = json_unpack_ex(
        (json_t *)root, &problem, 0, "{s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s?b}", "format",
        &format, "version", &version, "task", &task, "answer", &kind, "markers", &lists[MARKERS],
        "stop_marks", &lists[STOP_MARKS], "classes", &lists[CLASSES], "label_format", &label_format,
        "answers_by", &by, "explains", &explains);
    if (code != 0) return rt_fail(err, RT_CORRUPT, "%s", problem.text);
    if (strcmp(format, SPEC_FORMAT) != 0 || version != SPEC_VERSION)
        return rt_fail(err, RT_CORRUPT, "format %s %d, expected %s %d", format, version,
                       SPEC_FORMAT, SPEC_VERSION);
    bool known = false;
    for (size_t i = 0; i < RT_COUNT(kind_names); i++)
        if (strcmp(kind, kind_names[i].name) == 0) {
            rules.kind = kind_names[i].kind;
            known = true;
        }
    if (!known) return rt_fail(err, RT_CORRUPT, "answer: unknown kind \"%s\"", kind);
    if (strcmp(by, "predict") != 0 && strcmp(by, "solve") != 0)
        return rt_fail(err, RT_CORRUPT, "answers_by: \"%s\", expected predict or solve", by);
    texts[MARKERS] = list_texts(lists[MARKERS], &rules.n_markers);
    texts[STOP_MARKS] = list_texts(lists[STOP_MARKS], &rules.n_stop_marks);
    texts[CLASSES] = list_texts(lists[CLASSES], &rules.n_classes);
    if (texts[MARKERS] == NULL || texts[STOP_MARKS] == NULL || texts[CLASSES] == NULL) {
        st = rt_fail(err, RT_CORRUPT, "markers, stop_marks and classes must be lists of texts");
        goto out;
    }
    rules.markers = texts[MARKERS];
    rules.stop_marks = texts[STOP_MARKS];
    rules.classes = texts[CLASSES];
    spec->answers_by = strcmp(by, "solve") == 0 ? TASK_SOLVE : TASK_PREDICT;
    spec->explains = explains != 0;
    st = fill(spec, task, label_format, &rules, err);
out:
    for (size_t i = 0; i < RT_COUNT(texts); i++) free(texts[i]);
    return st;
}

rt_status student_spec_parse(const char *name, const char *text, size_t n, student_spec *out,
                             rt_error *err)
{
    rt_status st = RT_OK;
    student_spec spec = {0};
    json_error_t problem;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        st = rt_fail(err, RT_CORRUPT, "%s:%d: %s", name, problem.line, problem.text);
    else if ((st = read_root(root, &spec, err)) != RT_OK)
        st = rt_wrap(err, st, "%s", name);
    if (st == RT_OK)
        *out = spec;
    else
        student_spec_free(&spec);
    json_decref(root);
    return st;
}

rt_status student_spec_read(const char *folder, student_spec *out, rt_error *err)
{
    char path[4096];
    rt_buf bytes = {0};
    rt_status st = rt_fs_join(path, sizeof path, folder, STUDENT_SPEC_FILE, err);
    if (st == RT_OK) st = rt_fs_read(path, SPEC_BYTES_MAX, &bytes, err);
    if (st == RT_OK)
        st = student_spec_parse(path, bytes.data != NULL ? bytes.data : "", bytes.n, out, err);
    rt_buf_free(&bytes);
    return st;
}
