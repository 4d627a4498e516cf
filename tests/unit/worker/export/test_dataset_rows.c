/* A record as rows of other trainers; pairs are of what the teacher wrote, or there are none. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "worker/export/dataset_rows.h"

static const char *const markers[] = {"#"};

static row_style style_of(dataset_rows_format format)
{
    return (row_style){.format = format,
                       .label_format = "{marker} {label}",
                       .marker = "#",
                       .rules = {.kind = RULE_NUMBER, .markers = markers, .n_markers = 1}};
}

static label_record record = {.input = "2 \"and\" 5?",
                              .label = "7",
                              .rationale = "2 + 5 = 7.",
                              .meta = "{\"others\": [{\"label\": \"8\", \"rationale\": \"r\"}, "
                                      "{\"label\": \"7.0\"}, {\"reason\": \"no_marker\", "
                                      "\"text\": \"well\"}, {\"reason\": \"empty\", \"text\": "
                                      "\" \"}, 5]}"};

static const char *rows_of(const row_style *style, const label_record *r, size_t *n)
{
    static rt_buf out;
    rt_buf_clear(&out);
    cr_assert_eq(dataset_rows_of(style, r, &out, n, NULL), RT_OK);
    return out.data == NULL ? "" : out.data;
}

#define ID "\"id\":\"00000000000000000000000000000000\""

Test(dataset_rows, forms_are_as_documented)
{
    size_t n = 0;
    row_style style = style_of(ROWS_PROMPT_COMPLETION);
    cr_expect_str_eq(rows_of(&style, &record, &n),
                     "{" ID
                     ",\"prompt\":\"2 \\\"and\\\" 5?\\n\",\"completion\":\"2 + 5 = 7. # 7\"}\n");
    cr_expect_eq(n, 1);
    style.label_only = true;
    cr_expect_not_null(strstr(rows_of(&style, &record, &n), "\"completion\":\"7\""));
    style = style_of(ROWS_MESSAGES);
    cr_expect_str_eq(rows_of(&style, &record, &n),
                     "{" ID ",\"messages\":[{\"role\":\"user\",\"content\":\"2 \\\"and\\\" 5?\"},"
                     "{\"role\":\"assistant\",\"content\":\"2 + 5 = 7. # 7\"}]}\n");
}

Test(dataset_rows, pairs_are_of_texts_with_another_label_or_none)
{
    size_t n = 0;
    row_style style = style_of(ROWS_PREFERENCE);
    const char *rows = rows_of(&style, &record, &n);
    cr_expect_eq(n, 2, "7.0 is the same label, and a blank is no text");
    cr_expect_not_null(strstr(rows, "\"rejected\":\"r # 8\",\"rejected_from\":\"other_label\""));
    cr_expect_not_null(strstr(rows, "\"rejected\":\"well\",\"rejected_from\":\"no_label\""));
    style.label_only = true;
    rows_of(&style, &record, &n);
    cr_expect_eq(n, 1, "a text without a label has no label to be compared");
}

Test(dataset_rows, without_other_texts_there_is_no_pair)
{
    size_t n = 7;
    row_style style = style_of(ROWS_PREFERENCE);
    label_record alone = {.input = "i", .label = "7", .meta = "{\"votes\": {\"7\": 1}}"};
    cr_expect_str_eq(rows_of(&style, &alone, &n), "");
    cr_expect_eq(n, 0);
    alone.meta = NULL;
    rows_of(&style, &alone, &n);
    cr_expect_eq(n, 0);
    alone.meta = "broken";
    rows_of(&style, &alone, &n);
    cr_expect_eq(n, 0);
}

Test(dataset_rows, a_label_that_is_known_to_be_wrong_is_noticed)
{
    bool wrong = true;
    row_style style = style_of(ROWS_PREFERENCE);
    label_record r = {.input = "i", .label = "7", .gold = "7.0"};
    cr_assert_eq(dataset_label_is_wrong(&style.rules, &r, &wrong, NULL), RT_OK);
    cr_expect_not(wrong, "by value");
    r.gold = "8";
    cr_assert_eq(dataset_label_is_wrong(&style.rules, &r, &wrong, NULL), RT_OK);
    cr_expect(wrong);
    r.gold = NULL;
    cr_assert_eq(dataset_label_is_wrong(&style.rules, &r, &wrong, NULL), RT_OK);
    cr_expect_not(wrong, "nobody knows");
}
