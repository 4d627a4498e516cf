/* The newest rows: order, cuts, what is shown of a rejected one. */
#include "coordinator/recent_rows.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static recent_rows *new_rows(void)
{
    recent_rows *r = calloc(1, sizeof *r);
    cr_assert_not_null(r);
    return r;
}

static json_t *shown(const recent_rows *r)
{
    rt_buf out = {0};
    cr_assert_eq(recent_rows_to_json(r, &out, NULL), RT_OK);
    json_t *top = json_loadb(out.data, out.n, 0, NULL);
    cr_assert_not_null(top, "%s", out.data);
    cr_expect_eq(strcspn(out.data, "\n"), out.n - 1, "one line");
    rt_buf_free(&out);
    return top;
}

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text != NULL ? text : "(none)";
}

Test(recent_rows, newest_first_and_no_more_than_fit)
{
    char label[16], input[] = "what?", rationale[] = "so", gold[] = "7";
    char meta[] = "{\"teacher\":\"model-a\"}";
    recent_rows *r = new_rows();
    for (int i = 1; i <= RECENT_ROWS_MAX + 5; i++) {
        snprintf(label, sizeof label, "%d", i);
        label_record record = {
            .input = input, .label = label, .rationale = rationale, .gold = gold, .meta = meta};
        recent_rows_add(r, &record, 100 + i);
    }
    json_t *top = shown(r);
    const json_t *list = json_object_get(top, "labelled"), *first = json_array_get(list, 0);
    cr_expect_eq(json_array_size(list), RECENT_ROWS_MAX);
    cr_expect_eq(json_array_size(json_object_get(top, "rejected")), 0);
    cr_expect_str_eq(text_of(first, "label"), "55");
    cr_expect_str_eq(text_of(first, "teacher"), "model-a");
    cr_expect_str_eq(text_of(first, "gold"), "7");
    cr_expect_eq(json_number_value(json_object_get(first, "time")), 155);
    cr_expect_str_eq(text_of(json_array_get(list, RECENT_ROWS_MAX - 1), "label"), "6");
    cr_expect_eq(recent_rows_n(r), RECENT_ROWS_MAX + 5);
    json_decref(top);
    free(r);
}

Test(recent_rows, a_rejected_one_has_its_reason_and_what_was_said)
{
    char input[] = "what?", reason[] = "no_marker", raw[] = "hm", meta[] = "no JSON";
    label_record record = {.input = input, .reason = reason, .raw = raw, .meta = meta};
    recent_rows *r = new_rows();
    recent_rows_add(r, &record, NAN);
    record.raw = NULL;
    recent_rows_add(r, &record, NAN);
    json_t *top = shown(r);
    const json_t *list = json_object_get(top, "rejected");
    cr_expect_eq(json_array_size(list), 2);
    cr_expect(json_is_null(json_object_get(json_array_get(list, 0), "raw")));
    cr_expect(json_is_null(json_object_get(json_array_get(list, 0), "time")));
    cr_expect_str_eq(text_of(json_array_get(list, 1), "raw"), "hm");
    cr_expect_str_eq(text_of(json_array_get(list, 1), "reason"), "no_marker");
    cr_expect_str_eq(text_of(json_array_get(list, 1), "teacher"), "");
    cr_expect_null(json_object_get(json_array_get(list, 1), "gold"));
    json_decref(top);
    free(r);
}

Test(recent_rows, long_texts_are_cut_on_a_border)
{
    char label[] = "1";
    recent_rows *r = new_rows();
    for (size_t n = RECENT_TEXT_BYTES - 4; n < RECENT_TEXT_BYTES + 8; n++) {
        char *input = malloc(4 * n + 1);
        cr_assert_not_null(input);
        for (size_t i = 0; i < n; i++) memcpy(input + 4 * i, "\xf0\x9f\x98\x80", 4);
        input[4 * n] = '\0';
        label_record record = {.input = input + n % 4, .label = label};
        if (n % 4 == 0) recent_rows_add(r, &record, 1);
        input[n] = '\0';
        recent_rows_add(r, &record, 1);
        free(input);
    }
    json_t *top = shown(r); /* UTF-8, or it were none */
    json_decref(top);
    for (size_t i = 0; i < r->labelled.n; i++)
        cr_expect_leq(strlen(r->labelled.rows[i].input), RECENT_TEXT_BYTES);
    free(r);
}
