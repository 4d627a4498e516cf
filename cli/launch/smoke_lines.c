#include "cli/launch/smoke_lines.h"

#include <jansson.h>
#include <string.h>

#include "cli/launch/progress.h"
#include "common/text/display.h"

#define COLUMNS_MIN 20

static const char *text_of(const json_t *one, const char *key)
{
    const char *text = json_string_value(json_object_get(one, key));
    return text == NULL ? "" : text;
}

/* `indent` and the text, cut at the column. */
static rt_status add_line(rt_buf *out, const char *indent, const rt_buf *text, size_t columns,
                          rt_error *err)
{
    rt_status st = rt_buf_add_text(out, indent, err);
    if (st == RT_OK) st = display_line(text->data, text->n, columns - strlen(indent), out, err);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static rt_status add_row(rt_buf *out, const json_t *one, size_t columns, rt_error *err)
{
    rt_buf line = {0};
    const char *reason = text_of(one, "reason"), *rationale = text_of(one, "rationale");
    rt_status st = rt_buf_add_text(&line, text_of(one, "input"), err);
    if (st == RT_OK) st = add_line(out, "  ", &line, columns, err);
    rt_buf_clear(&line);
    /* The label stays in sight, however long the rationale is. */
    if (st == RT_OK && reason[0] != '\0')
        st = rt_buf_printf(&line, err, "rejected: %s · %s", reason, text_of(one, "raw"));
    else if (st == RT_OK)
        st = rt_buf_printf(&line, err, "%s%s%s", text_of(one, "label"),
                           rationale[0] != '\0' ? " ← " : "", rationale);
    if (st == RT_OK) st = add_line(out, "    ", &line, columns, err);
    rt_buf_free(&line);
    return st;
}

static uint64_t count_of(const json_t *top, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(top, key));
    return n > 0 ? (uint64_t)n : 0;
}

rt_status smoke_lines(const char *json, size_t n, size_t columns, rt_buf *out, rt_error *err)
{
    size_t i;
    json_t *one;
    char rows[32], labelled[32], rejected[32];
    json_error_t where;
    json_t *top = json_loadb(json, n, 0, &where);
    if (columns < COLUMNS_MIN) columns = COLUMNS_MIN;
    if (!json_is_object(top) || !json_is_array(json_object_get(top, "shown"))) {
        json_decref(top);
        return rt_fail(err, RT_CORRUPT, "smoke.json: expected an object with \"shown\"");
    }
    progress_thousands(count_of(top, "rows"), rows);
    progress_thousands(count_of(top, "labelled"), labelled);
    progress_thousands(count_of(top, "rejected"), rejected);
    rt_status st = rt_buf_printf(out, err, "the first %s rows: %s labelled, %s rejected\n", rows,
                                 labelled, rejected);
    json_array_foreach(json_object_get(top, "shown"), i, one)
    {
        if (st == RT_OK) st = add_row(out, one, columns, err);
    }
    json_decref(top);
    return st;
}

bool smoke_has_passed(const char *json, size_t n)
{
    json_t *top = json_loadb(json, n, 0, NULL);
    bool passed = json_is_true(json_object_get(top, "passed"));
    json_decref(top);
    return passed;
}
