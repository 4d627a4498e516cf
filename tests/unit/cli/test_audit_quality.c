#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cli/audit_quality.h"
#include "common/dataset/topk.h"

static void add(audit_quality *q, char *label, char *reason, char *meta)
{
    label_record r = {.label = label, .reason = reason, .meta = meta};
    rt_error err = {0};
    cr_assert_eq(audit_quality_add(q, &r, &err), RT_OK, "%s", err.text);
}

static double number_at(const json_t *root, const char *a, const char *b, const char *c)
{
    const json_t *value = json_object_get(root, a);
    if (b != NULL) value = json_object_get(value, b);
    if (c != NULL) value = json_object_get(value, c);
    cr_assert(json_is_number(value), "%s.%s is no number", a, b == NULL ? "" : b);
    return json_number_value(value);
}

Test(audit_quality, adds_up_what_meta_tells)
{
    audit_quality q = {0};
    rt_buf text = {0};
    add(&q, "yes", NULL,
        "{\"teacher\":\"cheap\",\"parse\":[\"run_on\"],\"tokens\":{\"prompt\":10,\"completion\":4,"
        "\"cached\":2,\"reasoning\":1},\"cost\":0.5,\"cached\":1,\"confidence\":0.8,\"margin\":0.6,"
        "\"filters\":[\"too_short\",\"repeats\"],\"usefulness\":2.5}");
    add(&q, "no", NULL,
        "{\"teacher\":\"strong\",\"tokens\":{\"prompt\":100,\"completion\":40},\"cost\":7,"
        "\"confidence\":1.0,\"margin\":1.0,\"filters\":[\"too_short\"],\"gold\":{\"by\":\"label_given\",\"said\":\"yes\"},"
        "\"escalated\":{\"from\":\"cheap\",\"reason\":\"no_marker\",\"tokens\":{\"prompt\":10,"
        "\"completion\":5},\"cost\":0.25}}");
    add(&q, NULL, "no_marker",
        "{\"teacher\":\"cheap\",\"escalated\":{\"to\":\"strong\",\"reason\":\"refused\"},"
        "\"confidence\":0.1}");
    add(&q, NULL, "no_marker", NULL);
    json_t *root = audit_quality_json(&q);
    cr_expect_eq(number_at(root, "reasons", "no_marker", NULL), 2);
    cr_expect_eq(number_at(root, "filters", "too_short", NULL), 2);
    cr_expect_eq(number_at(root, "filters", "repeats", NULL), 1);
    cr_expect_eq(number_at(root, "parse", "run_on", NULL), 1);
    cr_expect_float_eq(number_at(root, "confidence", NULL, NULL), 0.9, 1e-12,
                       "of labelled records");
    cr_expect_float_eq(number_at(root, "margin", NULL, NULL), 0.8, 1e-12);
    cr_expect_eq(number_at(root, "gold", "label_given", NULL), 1);
    cr_expect_eq(number_at(root, "gold", "failed", NULL), 0);
    cr_expect_eq(number_at(root, "scored", NULL, NULL), 1);
    cr_expect_float_eq(number_at(root, "usefulness", NULL, NULL), 2.5, 1e-12);
    cr_expect_eq(number_at(root, "escalated", NULL, NULL), 2);
    cr_expect_float_eq(number_at(root, "escalated_share", NULL, NULL), 0.5, 1e-12);
    cr_expect_float_eq(number_at(root, "cost", NULL, NULL), 7.75, 1e-12);
    cr_expect_eq(number_at(root, "tokens", "prompt", NULL), 120);
    cr_expect_eq(number_at(root, "tokens", "completion", NULL), 49);
    cr_expect_eq(number_at(root, "tokens", "reasoning", NULL), 1);
    cr_expect_eq(number_at(root, "cached_texts", NULL, NULL), 1);
    cr_expect_eq(number_at(root, "teachers", "cheap", "labelled"), 1);
    cr_expect_eq(number_at(root, "teachers", "cheap", "rejected"), 1);
    cr_expect_float_eq(number_at(root, "teachers", "cheap", "cost"), 0.75, 1e-12);
    cr_expect_eq(number_at(root, "teachers", "strong", "labelled"), 1);
    json_decref(root);
    cr_assert_eq(audit_quality_text(&q, &text, NULL), RT_OK);
    cr_expect_not_null(strstr(text.data, "no_marker                       2"), "%s", text.data);
    cr_expect_not_null(strstr(text.data, "0.9000  mean share"), "%s", text.data);
    cr_expect_not_null(strstr(text.data, "50.0 %"), "%s", text.data);
    rt_buf_free(&text);
    audit_quality_free(&q);
}

Test(audit_quality, says_nothing_where_there_is_nothing)
{
    audit_quality q = {0};
    rt_buf text = {0};
    cr_assert_eq(audit_quality_text(&q, &text, NULL), RT_OK);
    cr_expect_eq(text.n, 0);
    json_t *root = audit_quality_json(&q);
    cr_expect_null(json_object_get(root, "confidence"));
    cr_expect_eq(number_at(root, "escalated_share", NULL, NULL), 0);
    json_decref(root);
    audit_quality_free(&q);
}

Test(audit_quality, bears_meta_of_any_shape)
{
    static char odd[][120] = {
        "{\"teacher\":3,\"filters\":\"x\",\"parse\":[1,null],\"tokens\":[],\"cost\":\"much\"}",
        "{\"escalated\":{},\"confidence\":\"high\",\"cached\":true}",
        "{\"tokens\":{\"prompt\":-5,\"completion\":1e300},\"escalated\":7}",
        "[]",
        "not json",
    };
    audit_quality q = {0};
    for (size_t i = 0; i < RT_COUNT(odd); i++) add(&q, "yes", NULL, odd[i]);
    json_t *root = audit_quality_json(&q);
    cr_expect_eq(number_at(root, "tokens", "prompt", NULL), 0);
    cr_expect_eq(number_at(root, "votes", NULL, NULL), 0);
    cr_expect_eq(number_at(root, "escalated", NULL, NULL), 1);
    json_decref(root);
    audit_quality_free(&q);
}

Test(audit_quality, does_not_grow_with_the_number_of_names)
{
    audit_quality q = {0};
    for (int i = 0; i < 500; i++) {
        char reason[32], meta[80];
        snprintf(reason, sizeof reason, "reason-%d", i);
        snprintf(meta, sizeof meta, "{\"teacher\":\"t%d\",\"cost\":1}", i);
        add(&q, NULL, reason, meta);
        add(&q, NULL, "reason-0", meta);
    }
    cr_expect_eq(q.reasons.n, AUDIT_NAMES_MAX);
    cr_expect_eq(q.n_teachers, AUDIT_NAMES_MAX);
    json_t *root = audit_quality_json(&q);
    cr_expect_eq(number_at(root, "reasons", "reason-0", NULL), 501);
    cr_expect_eq(number_at(root, "reasons", "other", NULL), 500 - (AUDIT_NAMES_MAX - 1));
    cr_expect_float_eq(number_at(root, "cost", NULL, NULL), 1000, 1e-9);
    json_decref(root);
    audit_quality_free(&q);
}

Test(audit_quality, tells_how_much_probability_the_kept_tokens_leave_out)
{
    audit_quality q = {0};
    rt_buf text = {0}, lines = {0};
    topk_writer w = {0};
    rt_error err = {0};
    topk_place a = {.n = 1, .entries = {{.token = "a", .n = 1, .logprob = -0.0}}};
    topk_place b = {.n = 1, .entries = {{.token = "b", .n = 1, .logprob = log(0.8)}}};
    cr_assert_eq(topk_add(&w, &a, &err), RT_OK);
    cr_assert_eq(topk_add(&w, &b, &err), RT_OK);
    cr_assert_eq(topk_text(&w, &text, &err), RT_OK);
    label_record good = {.label = "x", .topk = text.data}, bad = {.label = "x", .topk = "AQ=="};
    cr_assert_eq(audit_quality_add(&q, &good, &err), RT_OK);
    cr_assert_eq(audit_quality_add(&q, &bad, &err), RT_OK);
    json_t *root = audit_quality_json(&q);
    cr_expect_eq(number_at(root, "topk", "records", NULL), 1);
    cr_expect_eq(number_at(root, "topk", "tokens", NULL), 2);
    cr_expect_eq(number_at(root, "topk", "damaged", NULL), 1);
    cr_expect_float_eq(number_at(root, "topk", "tail", NULL), 0.1, 1e-6);
    cr_assert_eq(audit_quality_text(&q, &lines, &err), RT_OK);
    cr_expect_not_null(strstr(lines.data, "10.00 %"), "%s", lines.data);
    cr_expect_not_null(strstr(lines.data, "topk cannot be read"), "%s", lines.data);
    json_decref(root);
    rt_buf_free(&text);
    rt_buf_free(&lines);
    topk_writer_free(&w);
    audit_quality_free(&q);
}
