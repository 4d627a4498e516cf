#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "worker/evaluate/evaluate.h"

static json_t *accuracy_json(bool known, const accuracy *a)
{
    if (!known) return json_null();
    return json_pack("{s:I, s:I, s:f, s:f, s:f}", "right", (json_int_t)a->n_right, "of",
                     (json_int_t)a->n, "share", a->share, "low", a->low, "high", a->high);
}

static json_t *text_json(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *reasons_json(const eval_result *r)
{
    json_t *out = json_object();
    for (size_t i = 0; i < r->n_reasons; i++)
        json_object_set_new(out, r->reasons[i].name, json_integer((json_int_t)r->reasons[i].n));
    return out;
}

static json_t *classes_json(const eval_result *r)
{
    json_t *out = json_object();
    for (size_t i = 0; i < r->n_classes; i++)
        json_object_set_new(out, r->classes[i].name, accuracy_json(true, &r->classes[i].student));
    return out;
}

static json_t *example_json(const eval_shown *s)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "input", text_json(s->input), "gold",
                     text_json(s->gold), "wrote", text_json(s->wrote), "label", text_json(s->label),
                     "rationale", text_json(s->rationale), "teacher_label", text_json(s->teacher),
                     "right", s->right);
}

static json_t *shown_json(const eval_result *r)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->n_shown; i++) json_array_append_new(out, example_json(&r->shown[i]));
    return out;
}

static json_t *kept_json(const eval_result *r, bool right)
{
    json_t *out = json_array();
    for (size_t i = 0; i < r->n_kept; i++)
        if (r->kept[i].right == right) json_array_append_new(out, example_json(&r->kept[i]));
    return out;
}

rt_status eval_result_to_json(const eval_result *r, rt_buf *out, rt_error *err)
{
    json_t *root = json_object();
    json_object_set_new(root, "model", text_json(r->model));
    json_object_set_new(root, "answers_by",
                        r->has_student ? json_string(student_task_name(r->answers_by))
                                       : json_null());
    json_object_set_new(root, "rows", json_integer((json_int_t)r->n_rows));
    json_object_set_new(root, "rows_without_gold", json_integer((json_int_t)r->n_without_gold));
    json_object_set_new(root, "rows_malformed", json_integer((json_int_t)r->n_malformed));
    json_object_set_new(root, "rows_in_dataset", json_integer((json_int_t)r->n_in_dataset));
    json_object_set_new(root, "student_accuracy", accuracy_json(r->has_student, &r->student));
    json_object_set_new(root, "unreadable", json_integer((json_int_t)r->n_unreadable));
    json_object_set_new(root, "unreadable_reasons", reasons_json(r));
    json_object_set_new(root, "classes", classes_json(r));
    json_object_set_new(root, "teacher_accuracy", accuracy_json(r->has_teacher, &r->teacher));
    json_object_set_new(root, "teacher_left_out", json_integer((json_int_t)r->n_teacher_left_out));
    json_object_set_new(root, "agreement", accuracy_json(r->has_agreement, &r->agreement));
    json_object_set_new(root, "dataset_accuracy", accuracy_json(r->has_dataset, &r->dataset));
    json_object_set_new(root, "dataset_rejected", json_integer((json_int_t)r->n_dataset_rejected));
    json_object_set_new(root, "new_tokens", json_integer((json_int_t)r->n_new_tokens));
    json_object_set_new(root, "seconds", json_real(r->seconds));
    json_object_set_new(root, "examples", shown_json(r));
    json_object_set_new(root, "confusion",
                        r->confusion != NULL ? confusion_to_json(r->confusion) : json_null());
    json_object_set_new(root, "examples_right", kept_json(r, true));
    json_object_set_new(root, "examples_wrong", kept_json(r, false));
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    json_decref(root);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "scores as JSON");
    rt_status st = rt_buf_printf(out, err, "%s\n", text);
    free(text);
    return st;
}

static rt_status add_line(rt_buf *out, const char *name, const accuracy *a, rt_error *err)
{
    if (a->n == 0) return rt_buf_printf(out, err, "  %-28s no rows\n", name);
    return rt_buf_printf(out, err,
                         "  %-28s %8" PRIu64 " %8" PRIu64 " %8.2f %%   %6.2f to %.2f %%\n", name,
                         a->n_right, a->n, 100 * a->share, 100 * a->low, 100 * a->high);
}

static rt_status add_notes(const eval_result *r, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    if (r->n_unreadable > 0) {
        st = rt_buf_printf(out, err, "\n%" PRIu64 " answers could not be read and count as wrong:",
                           r->n_unreadable);
        for (size_t i = 0; st == RT_OK && i < r->n_reasons; i++)
            st = rt_buf_printf(out, err, " %s %" PRIu64, r->reasons[i].name, r->reasons[i].n);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    }
    if (st == RT_OK && r->n_teacher_left_out > 0)
        st = rt_buf_printf(out, err,
                           "\n%" PRIu64 " of the rows were not shown to the teacher: the budget is "
                           "spent. They do not count for it.\n",
                           r->n_teacher_left_out);
    if (st == RT_OK && r->n_in_dataset > 0)
        st = rt_buf_printf(out, err,
                           "\n%" PRIu64 " of the rows are in the labelled dataset too: the student "
                           "may have seen them.\n",
                           r->n_in_dataset);
    if (st == RT_OK && r->n_malformed + r->n_without_gold > 0)
        st = rt_buf_printf(out, err,
                           "\n%" PRIu64 " rows were malformed and %" PRIu64
                           " without a true answer; they are not counted.\n",
                           r->n_malformed, r->n_without_gold);
    return st;
}

static rt_status add_shown(const eval_result *r, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; i < r->n_shown && st == RT_OK; i++) {
        const eval_shown *s = &r->shown[i];
        st = rt_buf_printf(out, err,
                           "\n--- example %zu, %s\n%s\n  true answer: %s\n  student wrote: %s\n",
                           i + 1, s->right ? "right" : "wrong", s->input, s->gold, s->wrote);
        if (st == RT_OK && s->teacher != NULL)
            st = rt_buf_printf(out, err, "  teacher: %s\n", s->teacher);
    }
    return st;
}

rt_status eval_result_to_table(const eval_result *r, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "  %-28s %8s %8s %10s   %s\n", "", "right", "of",
                                 "share", "95 % interval");
    if (st == RT_OK && r->has_student) st = add_line(out, "student", &r->student, err);
    for (size_t i = 0; st == RT_OK && i < r->n_classes; i++) {
        char name[40] = "  ";
        strncat(name, r->classes[i].name, sizeof name - 3);
        st = add_line(out, name, &r->classes[i].student, err);
    }
    if (st == RT_OK && r->has_teacher) st = add_line(out, "teacher, same rows", &r->teacher, err);
    if (st == RT_OK && r->has_agreement)
        st = add_line(out, "student agrees with teacher", &r->agreement, err);
    if (st == RT_OK && r->has_dataset) st = add_line(out, "teacher, dataset", &r->dataset, err);
    if (st == RT_OK) st = add_notes(r, out, err);
    if (st == RT_OK) st = add_shown(r, out, err);
    return st;
}
