#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/temp_folder.h"
#include "worker/evaluate/gold_rows.h"

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [\"%s\"]\n  input: \"{q}\"\n  source_id: id\n"
                           "task:\n  name: quiz\n  answer: text\n"
                           "teacher:\n  files: [\"%s\"]\n  match_field: \"{q}\"\n%s";

static const char rows_text[] = "{\"id\": \"a\", \"q\": \"one\", \"gold\": \" 1 \"}\n"
                                "{\"id\": \"b\", \"q\": \"two\"}\n"
                                "not json\n"
                                "{\"id\": \"c\", \"q\": \"three\", \"gold\": \"\"}\n"
                                "{\"id\": \"d\", \"gold\": \"4\"}\n"
                                "{\"id\": \"e\", \"q\": \"five\", \"gold\": 5}\n";

typedef struct quiz {
    char *folder;
    config *config;
    gold_rows rows;
} quiz;

static quiz quiz_new(const char *eval_settings)
{
    quiz q = {.folder = temp_folder_new()};
    char text[4096];
    rt_error err = {0};
    temp_folder_write_text(q.folder, "rows.jsonl", rows_text);
    const char *path = temp_folder_path(q.folder, "rows.jsonl");
    snprintf(text, sizeof text, yaml, path, path, eval_settings);
    cr_assert_eq(config_parse("test", text, strlen(text), NULL, &q.config, &err), RT_OK, "%s",
                 err.text);
    return q;
}

static void quiz_free(quiz *q)
{
    gold_rows_free(&q->rows);
    config_free(q->config);
    temp_folder_free(q->folder);
}

Test(gold_rows, are_read_and_what_cannot_be_used_is_counted)
{
    quiz q = quiz_new("eval:\n  gold: \"{gold}\"\n");
    rt_error err = {0};
    const char *path = temp_folder_path(q.folder, "rows.jsonl");
    cr_assert_eq(gold_rows_read(q.config, path, 0, &q.rows, &err), RT_OK, "%s", err.text);
    cr_assert_eq(q.rows.n, 2);
    cr_expect_str_eq(q.rows.rows[0].input, "one");
    cr_expect_str_eq(q.rows.rows[0].gold, "1");
    cr_expect_str_eq(q.rows.rows[0].source_id, "a");
    cr_expect_str_eq(q.rows.rows[1].gold, "5");
    cr_expect(rt_id_equal(q.rows.rows[0].id, rt_id_of_two("quiz", 4, "one", 3)));
    cr_expect_eq(q.rows.n_without_gold, 2);
    cr_expect_eq(q.rows.n_malformed, 2);
    quiz_free(&q);
}

Test(gold_rows, stop_at_the_limit)
{
    quiz q = quiz_new("eval:\n  gold: \"{gold}\"\n");
    rt_error err = {0};
    const char *path = temp_folder_path(q.folder, "rows.jsonl");
    cr_assert_eq(gold_rows_read(q.config, path, 1, &q.rows, &err), RT_OK, "%s", err.text);
    cr_expect_eq(q.rows.n, 1);
    quiz_free(&q);
}

Test(gold_rows, need_files_a_template_and_one_usable_row)
{
    quiz q = quiz_new("");
    rt_error err = {0};
    const char *path = temp_folder_path(q.folder, "rows.jsonl");
    cr_expect_eq(gold_rows_read(q.config, NULL, 0, &q.rows, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "eval.files"), "%s", err.text);
    cr_expect_eq(gold_rows_read(q.config, path, 0, &q.rows, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "eval.gold"), "%s", err.text);
    quiz_free(&q);
    q = quiz_new("eval:\n  gold: \"{nothing}\"\n");
    path = temp_folder_path(q.folder, "rows.jsonl");
    cr_expect_eq(gold_rows_read(q.config, path, 0, &q.rows, &err), RT_CORRUPT);
    cr_expect_eq(gold_rows_read(q.config, "/nowhere/x.jsonl", 0, &q.rows, &err), RT_NOTFOUND);
    cr_expect_eq(q.rows.n, 0);
    quiz_free(&q);
}
