/* The pure part: a record as rows. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/dataset/task_text.h"
#include "worker/export/dataset_rows.h"

static const char *const format_names[] = {[ROWS_PROMPT_COMPLETION] = "prompt-completion",
                                           [ROWS_MESSAGES] = "messages",
                                           [ROWS_PREFERENCE] = "preference"};

const char *dataset_rows_format_name(dataset_rows_format format)
{
    return format_names[format];
}

rt_status dataset_rows_format_parse(const char *text, dataset_rows_format *out, rt_error *err)
{
    for (size_t i = 0; i < RT_COUNT(format_names); i++) {
        if (strcmp(text, format_names[i]) != 0) continue;
        *out = (dataset_rows_format)i;
        return RT_OK;
    }
    return rt_fail(err, RT_INVALID,
                   "found '%.64s', expected prompt-completion, messages or preference", text);
}

/* What a student would write: returns new. */
static rt_status completion_of(const row_style *style, const label_record *r, char **out,
                               rt_error *err)
{
    rt_buf text = {0};
    student_task task = style->label_only ? TASK_PREDICT : TASK_SOLVE;
    rt_status st = task_target(task, r, style->label_format, style->marker, &text, err);
    if (st == RT_OK && text.data == NULL) st = rt_buf_add_text(&text, "", err);
    if (st != RT_OK) {
        rt_buf_free(&text);
        return st;
    }
    *out = text.data;
    return RT_OK;
}

/* Takes the row. */
static rt_status put_row(json_t *row, rt_buf *out, size_t *n, rt_error *err)
{
    char *text = row != NULL ? json_dumps(row, JSON_COMPACT) : NULL;
    rt_status st =
        text == NULL ? rt_fail(err, RT_NOMEM, "row of a dataset") : rt_buf_add_text(out, text, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    if (st == RT_OK) (*n)++;
    free(text);
    json_decref(row);
    return st;
}

/* A prompt ends with a newline, so that prompt and completion joined are text. */
static json_t *prompt_json(const char *input)
{
    rt_buf text = {0};
    json_t *out = NULL;
    if (rt_buf_printf(&text, NULL, "%s\n", input) == RT_OK) out = json_stringn(text.data, text.n);
    rt_buf_free(&text);
    return out;
}

static json_t *start_row(const label_record *r)
{
    char id[RT_ID_HEX_SIZE];
    rt_id_to_hex(r->id, id);
    return json_pack("{s:s}", "id", id);
}

static json_t *message_json(const char *role, const char *content)
{
    return json_pack("{s:s, s:s}", "role", role, "content", content);
}

static json_t *plain_row(const row_style *style, const label_record *r, const char *completion)
{
    json_t *row = start_row(r);
    if (style->format == ROWS_MESSAGES) {
        json_object_set_new(row, "messages",
                            json_pack("[o, o]", message_json("user", r->input),
                                      message_json("assistant", completion)));
        return row;
    }
    json_object_set_new(row, "prompt", prompt_json(r->input));
    json_object_set_new(row, "completion", json_string(completion));
    return row;
}

static rt_status put_pair(const label_record *r, const char *chosen, const char *rejected,
                          const char *from, rt_buf *out, size_t *n, rt_error *err)
{
    if (rejected == NULL || rejected[strspn(rejected, " \t\r\n")] == '\0') return RT_OK;
    if (strcmp(chosen, rejected) == 0) return RT_OK;
    json_t *row = start_row(r);
    json_object_set_new(row, "prompt", prompt_json(r->input));
    json_object_set_new(row, "chosen", json_string(chosen));
    json_object_set_new(row, "rejected", json_string(rejected));
    json_object_set_new(row, "rejected_from", json_string(from));
    return put_row(row, out, n, err);
}

/* One text of meta's "others": {"label","rationale"?} or {"reason","text"}. */
static rt_status put_other(const row_style *style, const label_record *r, const char *chosen,
                           const json_t *other, rt_buf *out, size_t *n, rt_error *err)
{
    char *text = NULL;
    const char *label = json_string_value(json_object_get(other, "label"));
    const char *raw = json_string_value(json_object_get(other, "text"));
    if (label == NULL)
        return style->label_only ? RT_OK : put_pair(r, chosen, raw, "no_label", out, n, err);
    if (answer_equal(&style->rules, label, r->label)) return RT_OK;
    label_record said = {
        .label = (char *)label,
        .rationale = (char *)json_string_value(json_object_get(other, "rationale")),
    };
    rt_status st = completion_of(style, &said, &text, err);
    if (st == RT_OK) st = put_pair(r, chosen, text, "other_label", out, n, err);
    free(text);
    return st;
}

static rt_status put_others(const row_style *style, const label_record *r, const char *chosen,
                            rt_buf *out, size_t *n, rt_error *err)
{
    rt_status st = RT_OK;
    size_t i;
    json_t *other, *meta = r->meta != NULL ? json_loads(r->meta, 0, NULL) : NULL;
    json_array_foreach(json_object_get(meta, "others"), i, other)
    {
        if (st == RT_OK) st = put_other(style, r, chosen, other, out, n, err);
    }
    json_decref(meta);
    return st;
}

rt_status dataset_rows_of(const row_style *style, const label_record *r, rt_buf *out, size_t *n,
                          rt_error *err)
{
    char *text = NULL;
    rt_status st = completion_of(style, r, &text, err);
    *n = 0;
    if (st == RT_OK && style->format == ROWS_PREFERENCE)
        st = put_others(style, r, text, out, n, err);
    else if (st == RT_OK)
        st = put_row(plain_row(style, r, text), out, n, err);
    free(text);
    return st;
}

rt_status dataset_pair_of(const row_style *style, const label_record *r,
                          const label_record *rejected, rt_buf *out, size_t *n, rt_error *err)
{
    char *text = NULL;
    *n = 0;
    if (style->label_only) return RT_OK;
    rt_status st = completion_of(style, r, &text, err);
    if (st == RT_OK) st = put_pair(r, text, rejected->raw, "rejected_before", out, n, err);
    free(text);
    return st;
}

rt_status dataset_label_is_wrong(const answer_rules *rules, const label_record *r, bool *out,
                                 rt_error *err)
{
    parse_status status = PARSE_OK;
    char *gold = NULL;
    *out = false;
    if (r->gold == NULL || r->gold[0] == '\0') return RT_OK;
    rt_status st = answer_canonical(rules, r->input, r->gold, &status, &gold, err);
    if (st == RT_OK) *out = !answer_equal(rules, r->label, gold != NULL ? gold : r->gold);
    free(gold);
    return st;
}
