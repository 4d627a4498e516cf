#include "coordinator/recent_rows.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/cut_text.h"

void recent_rows_add(recent_rows *r, const label_record *record, double time_s)
{
    bool rejected = record->label == NULL;
    recent_list *list = rejected ? &r->rejected : &r->labelled;
    recent_row *row = &list->rows[list->n++ % RECENT_ROWS_MAX];
    const char *text = rejected ? record->raw : record->rationale;
    rt_id_to_hex(record->id, row->id);
    cut_text(record->input, row->input, sizeof row->input);
    cut_text(rejected ? record->reason : record->label, row->answer, sizeof row->answer);
    cut_text(text, row->text, sizeof row->text);
    cut_text(record->gold, row->gold, sizeof row->gold);
    row->has_text = text != NULL;
    row->has_gold = record->gold != NULL;
    row->time_s = time_s;
    size_t n = record->meta == NULL ? 0 : strlen(record->meta);
    if (n > RECENT_META_BYTES) n = 0;
    if (n > 0) memcpy(row->meta, record->meta, n);
    row->meta[n] = '\0';
}

uint64_t recent_rows_n(const recent_rows *r)
{
    return r->labelled.n + r->rejected.n;
}

static json_t *text_or_null(const char *text, bool there)
{
    return there ? json_string(text) : json_null();
}

/* What the record says of who wrote it. */
static json_t *teacher_of(const recent_row *row)
{
    json_t *meta = json_loads(row->meta, 0, NULL);
    json_t *teacher = json_incref(json_object_get(meta, "teacher"));
    json_decref(meta);
    if (json_is_string(teacher)) return teacher;
    json_decref(teacher);
    return json_string("");
}

static json_t *row_to_json(const recent_row *row, bool rejected)
{
    json_t *top = json_object();
    json_object_set_new(top, "id", json_string(row->id));
    json_object_set_new(top, "input", json_string(row->input));
    json_object_set_new(top, rejected ? "reason" : "label", json_string(row->answer));
    json_object_set_new(top, rejected ? "raw" : "rationale",
                        text_or_null(row->text, row->has_text));
    if (row->has_gold) json_object_set_new(top, "gold", json_string(row->gold));
    json_object_set_new(top, "teacher", teacher_of(row));
    json_object_set_new(top, "time", isnan(row->time_s) ? json_null() : json_real(row->time_s));
    return top;
}

static json_t *list_to_json(const recent_list *list, bool rejected)
{
    json_t *top = json_array();
    for (uint64_t i = 0; i < RT_MIN(list->n, (uint64_t)RECENT_ROWS_MAX); i++)
        json_array_append_new(
            top, row_to_json(&list->rows[(list->n - 1 - i) % RECENT_ROWS_MAX], rejected));
    return top;
}

rt_status recent_rows_to_json(const recent_rows *r, rt_buf *out, rt_error *err)
{
    json_t *top = json_pack("{s:o, s:o}", "labelled", list_to_json(&r->labelled, false), "rejected",
                            list_to_json(&r->rejected, true));
    char *text = top == NULL ? NULL : json_dumps(top, JSON_COMPACT | JSON_REAL_PRECISION(14));
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "recent rows")
                                : rt_buf_printf(out, err, "%s\n", text);
    free(text);
    json_decref(top);
    return st;
}
