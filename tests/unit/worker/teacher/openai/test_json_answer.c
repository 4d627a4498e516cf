#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/json_answer.h"

static const json_answer_rules rules = {.label_key = "label",
                                        .rationale_key = "rationale",
                                        .label_format = "{marker} {label}",
                                        .marker = "The answer is"};

static void expect_text(const json_answer_rules *r, const char *json, const char *text,
                        const char *rationale)
{
    rt_buf out = {0}, why = {0};
    rt_error err = {0};
    rt_status st = json_answer_text(r, json, strlen(json), &out, &why, &err);
    cr_assert_eq(st, text != NULL ? RT_OK : RT_CORRUPT, "%s: %s", json, err.text);
    if (text != NULL) cr_expect_str_eq(out.data, text);
    if (rationale != NULL) cr_expect_str_eq(why.data, rationale);
    rt_buf_free(&out);
    rt_buf_free(&why);
}

Test(json_answer, becomes_rationale_marker_and_label)
{
    expect_text(&rules, "{\"rationale\":\"Since.\",\"label\":\"yes\"}", "Since.\nThe answer is yes",
                NULL);
    expect_text(&rules, "{\"label\":4}", "The answer is 4", NULL);
    expect_text(&rules, "{\"label\":1.1,\"rationale\":null}", "The answer is 1.1", NULL);
    expect_text(&rules, "{\"label\":true,\"rationale\":\"r\"}", "r\nThe answer is true", NULL);
    expect_text(&rules, "```json\n{\"label\":\"{x}\"}\n```", "The answer is {x}", NULL);
}

Test(json_answer, without_a_marker_the_rationale_stands_apart)
{
    json_answer_rules bare = rules;
    bare.marker = "";
    expect_text(&bare, "{\"rationale\":\"Since.\",\"label\":\"yes\"}", "yes", "Since.");
}

Test(json_answer, refuses_what_has_no_label)
{
    static const char *const bad[] = {"",
                                      "yes",
                                      "[1]",
                                      "{}",
                                      "{\"label\":null}",
                                      "{\"label\":[1]}",
                                      "{\"label\":\"x\",\"rationale\":{}}",
                                      "{\"label\":"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) expect_text(&rules, bad[i], NULL, NULL);
}
