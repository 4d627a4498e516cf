#include "common/dataset/task_text.h"

#include <string.h>

#include "common/text/template.h"

const char *student_task_name(student_task task)
{
    static const char *const names[TASK_COUNT] = {"predict", "explain", "solve"};
    return (unsigned)task < TASK_COUNT ? names[task] : "unknown";
}

rt_status task_prompt(student_task task, const char *input, rt_buf *out, rt_error *err)
{
    if ((unsigned)task >= TASK_COUNT) return rt_fail(err, RT_INVALID, "student task %d", (int)task);
    size_t start = out->n;
    rt_status st = rt_buf_add_text(out, student_task_name(task), err);
    if (st == RT_OK) st = rt_buf_add_text(out, ": ", err);
    if (st == RT_OK) st = rt_buf_add_text(out, input, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    if (st != RT_OK && out->n > start) out->data[out->n = start] = '\0';
    return st;
}

/* The label behind its marker, without blanks at its ends (a task may have no marker). */
static rt_status add_label_part(const label_record *record, const char *label_format,
                                const char *marker, rt_buf *out, rt_error *err)
{
    rt_status st;
    rt_buf part = {0};
    template *format = NULL;
    const template_pair pairs[] = {{"label", record->label},
                                   {"marker", marker == NULL ? "" : marker}};
    if (label_format == NULL || label_format[0] == '\0') label_format = "{marker} {label}";
    if ((st = template_parse(label_format, &format, err)) != RT_OK) goto out;
    st = template_render_pairs(format, pairs, RT_COUNT(pairs), &part, err);
    /* A field that no label has is a wrong setting, not a record that lacks something. */
    if (st == RT_NOTFOUND) st = rt_wrap(err, RT_INVALID, "label_format '%s'", label_format);
    if (st != RT_OK) goto out;
    size_t from = 0, to = part.n;
    while (from < to && strchr(" \t\n", part.data[from]) != NULL) from++;
    while (to > from && strchr(" \t\n", part.data[to - 1]) != NULL) to--;
    if (out->n > 0 && to > from) st = rt_buf_add_text(out, " ", err);
    if (st == RT_OK && to > from) st = rt_buf_add(out, part.data + from, to - from, err);
out:
    template_free(format);
    rt_buf_free(&part);
    return st;
}

static rt_status add_solution(const label_record *record, const char *label_format,
                              const char *marker, rt_buf *out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = RT_OK;
    if (record->rationale != NULL) st = rt_buf_add_text(&text, record->rationale, err);
    if (st == RT_OK) st = add_label_part(record, label_format, marker, &text, err);
    if (st == RT_OK) st = rt_buf_add(out, text.data, text.n, err);
    rt_buf_free(&text);
    return st;
}

rt_status task_target(student_task task, const label_record *record, const char *label_format,
                      const char *marker, rt_buf *out, rt_error *err)
{
    switch (task) {
    case TASK_PREDICT:
        if (record->label == NULL) return rt_fail(err, RT_NOTFOUND, "predict: record has no label");
        return rt_buf_add_text(out, record->label, err);
    case TASK_EXPLAIN:
        if (record->rationale == NULL || record->label == NULL)
            return rt_fail(err, RT_NOTFOUND, "explain: record has no rationale");
        return rt_buf_add_text(out, record->rationale, err);
    case TASK_SOLVE:
        if (record->label == NULL) return rt_fail(err, RT_NOTFOUND, "solve: record has no label");
        return add_solution(record, label_format, marker, out, err);
    case TASK_COUNT: break;
    }
    return rt_fail(err, RT_INVALID, "student task %d", (int)task);
}
