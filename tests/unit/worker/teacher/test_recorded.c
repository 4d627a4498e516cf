#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "tests/support/temp_folder.h"
#include "worker/teacher/backend.h"
#include "worker/teacher/recorded.h"

static const char rows[] =
    "{\"id\": \"r1\", \"q\": \"What?\", \"raw\": \"This. Answer: yes\"}\n"
    "{\"id\": \"r2\", \"q\": \" Why?\\n\", \"raw\": \"\", \"finish_reason\": \"stop\"}\n"
    "{\"id\": \"r3\", \"q\": \"Cut?\", \"raw\": \"It is\", \"finish_reason\": \"length\"}\n"
    "{\"id\": \"r4\", \"q\": \"What?\", \"raw\": \"another text\"}\n"
    "not json\n"
    "{\"id\": \"r5\", \"q\": \"No text?\"}\n";

typedef struct shelf {
    char *folder;
    recorded *recorded;
    rt_buf text;
    bool truncated, found;
} shelf;

static rt_status shelf_open(shelf *s, const char *file, const char *key, const char *text,
                            rt_error *err)
{
    const char *files[] = {temp_folder_path(s->folder, file)};
    recorded_settings settings = {
        .files = files, .n_files = 1, .key_template = key, .text_template = text};
    return recorded_open(&settings, &s->recorded, err);
}

static shelf shelf_new(const char *key)
{
    shelf s = {.folder = temp_folder_new()};
    rt_error err = {0};
    temp_folder_write_text(s.folder, "rows.jsonl", rows);
    cr_assert_eq(shelf_open(&s, "rows.jsonl", key, "{raw}", &err), RT_OK, "%s", err.text);
    return s;
}

static void shelf_free(shelf *s)
{
    recorded_close(s->recorded);
    rt_buf_free(&s->text);
    temp_folder_free(s->folder);
}

static const char *find(shelf *s, const char *key)
{
    rt_error err = {0};
    cr_assert_eq(
        recorded_find(s->recorded, key, strlen(key), 0, &s->text, &s->truncated, &s->found, &err),
        RT_OK, "%s", err.text);
    return s->found ? s->text.data : NULL;
}

Test(recorded, finds_a_text_by_the_rendered_input)
{
    shelf s = shelf_new("{q}");
    cr_expect_str_eq(find(&s, "What?"), "This. Answer: yes", "the first row of a key wins");
    cr_expect_str_eq(find(&s, "Why?"), "", "white space around a key does not count");
    cr_expect_str_eq(find(&s, "  What?\n"), "This. Answer: yes");
    cr_expect_null(find(&s, "Who?"));
    cr_expect_null(find(&s, ""));
    shelf_free(&s);
}

Test(recorded, finds_a_text_by_an_id_template)
{
    shelf s = shelf_new("corpus-{id}");
    cr_expect_str_eq(find(&s, "corpus-r4"), "another text");
    cr_expect_null(find(&s, "r4"));
    shelf_free(&s);
}

Test(recorded, knows_texts_that_stopped_for_length)
{
    shelf s = shelf_new("{id}");
    cr_expect_str_eq(find(&s, "r3"), "It is");
    cr_expect(s.truncated);
    find(&s, "r2");
    cr_expect_not(s.truncated);
    shelf_free(&s);
}

Test(recorded, counts_what_it_read)
{
    shelf s = shelf_new("{q}");
    const recorded_counts *c = recorded_get_counts(s.recorded);
    cr_expect_eq(c->n_rows, 6);
    cr_expect_eq(c->n_keys, 3);
    cr_expect_eq(c->n_duplicates, 1);
    cr_expect_eq(c->n_bad, 2);
    shelf_free(&s);
}

Test(recorded, rows_of_one_key_are_its_samples_where_there_may_be_several)
{
    static const char many[] =
        "{\"id\": 1, \"q\": \"a\", \"raw\": \"a0\"}\n"
        "{\"id\": 2, \"q\": \"b\", \"raw\": \"b0\"}\n"
        "{\"id\": 3, \"q\": \"a\", \"raw\": \"\"}\n"
        "{\"id\": 4, \"q\": \"a\", \"raw\": \"a2\", \"finish_reason\": \"length\"}\n"
        "{\"id\": 5, \"q\": \"a\", \"raw\": \"a3\"}\n";
    static const char *const expected[] = {"a0", "", "a2", NULL};
    shelf s = {.folder = temp_folder_new()};
    rt_error err = {0};
    temp_folder_write_text(s.folder, "many.jsonl", many);
    const char *files[] = {temp_folder_path(s.folder, "many.jsonl")};
    recorded_settings settings = {.files = files,
                                  .n_files = 1,
                                  .key_template = "{q}",
                                  .text_template = "{raw}",
                                  .samples_max = 3};
    cr_assert_eq(recorded_open(&settings, &s.recorded, &err), RT_OK, "%s", err.text);
    for (uint32_t i = 0; i < RT_COUNT(expected); i++) {
        cr_assert_eq(recorded_find(s.recorded, "a", 1, i, &s.text, &s.truncated, &s.found, &err),
                     RT_OK);
        cr_assert_eq(s.found, expected[i] != NULL, "sample %u", i);
        if (!s.found) continue;
        cr_expect_str_eq(s.text.data, expected[i]);
        cr_expect_eq(s.truncated, i == 2);
    }
    cr_assert_eq(recorded_find(s.recorded, "b", 1, 1, &s.text, &s.truncated, &s.found, &err),
                 RT_OK);
    cr_expect_not(s.found, "b has one row");
    cr_expect_eq(recorded_get_counts(s.recorded)->n_duplicates, 1);
    cr_expect_eq(recorded_get_counts(s.recorded)->n_keys, 2);
    shelf_free(&s);
}

Test(recorded, reads_gzip)
{
    shelf s = {.folder = temp_folder_new()};
    rt_error err = {0};
    gzFile file = gzopen(temp_folder_path(s.folder, "rows.jsonl.gz"), "wb");
    cr_assert_eq(gzwrite(file, rows, sizeof rows - 1), (int)sizeof rows - 1);
    gzclose(file);
    cr_assert_eq(shelf_open(&s, "rows.jsonl.gz", "{id}", "{raw}", &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(find(&s, "r1"), "This. Answer: yes");
    shelf_free(&s);
}

Test(recorded, many_and_long_texts_come_back_whole)
{
    shelf s = {.folder = temp_folder_new()};
    rt_error err = {0};
    rt_buf file = {0};
    char filler[3001];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (int i = 0; i < 2000; i++)
        cr_assert_eq(rt_buf_printf(&file, NULL, "{\"q\": \"k%d\", \"raw\": \"%d %s\"}\n", i, i,
                                   filler + i % 3000),
                     RT_OK);
    temp_folder_write(s.folder, "many.jsonl", file.data, file.n);
    rt_buf_free(&file);
    cr_assert_eq(shelf_open(&s, "many.jsonl", "{q}", "{raw}", &err), RT_OK, "%s", err.text);
    for (int i = 0; i < 2000; i += 7) {
        char key[16], expected[3100];
        snprintf(key, sizeof key, "k%d", i);
        snprintf(expected, sizeof expected, "%d %s", i, filler + i % 3000);
        cr_assert_str_eq(find(&s, key), expected);
    }
    shelf_free(&s);
}

Test(recorded, refuses_files_without_a_usable_row)
{
    shelf s = {.folder = temp_folder_new()};
    rt_error err = {0};
    temp_folder_write_text(s.folder, "rows.jsonl", rows);
    cr_expect_eq(shelf_open(&s, "rows.jsonl", "{nothing}", "{raw}", &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "rows.jsonl:1"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "nothing"), "%s", err.text);
    cr_expect_eq(shelf_open(&s, "absent.jsonl", "{q}", "{raw}", &err), RT_NOTFOUND);
    cr_expect_eq(shelf_open(&s, "rows.jsonl", "{q", "{raw}", &err), RT_INVALID);
    cr_expect_null(s.recorded);
    shelf_free(&s);
}

static const char yaml[] = "name: t\n"
                           "corpus:\n  files: [\"%s\"]\n  input: \"{q}\"\n  source_id: id\n"
                           "task:\n  answer: text\n"
                           "teacher:\n  backend: recorded\n  files: [\"%s\"]\n"
                           "  text_field: \"{raw}\"\n  match: %s\n  match_field: \"{%s}\"\n";

Test(recorded, the_backend_matches_as_the_config_says)
{
    char *folder = temp_folder_new();
    temp_folder_write_text(folder, "rows.jsonl", rows);
    for (int by_id = 0; by_id < 2; by_id++) {
        char text[2048];
        const char *path = temp_folder_path(folder, "rows.jsonl");
        rt_error err = {0};
        config *c = NULL;
        backend *b = NULL;
        backend_answer answers[2] = {{0}};
        snprintf(text, sizeof text, yaml, path, path, by_id ? "id" : "input", by_id ? "id" : "q");
        cr_assert_eq(config_parse("test", text, strlen(text), NULL, &c, &err), RT_OK, "%s",
                     err.text);
        cr_assert_eq(backend_open(c, &b, &err), RT_OK, "%s", err.text);
        backend_request requests[] = {{.input = "What?", .source_id = "r4", .prompt = ""},
                                      {.input = "Cut?", .source_id = "r9", .prompt = ""}};
        backend_sampling sampling = {.top_p = 1};
        cr_assert_eq(backend_complete(b, requests, 2, &sampling, answers, &err), RT_OK);
        cr_expect_str_eq(answers[0].text, by_id ? "another text" : "This. Answer: yes");
        if (by_id) {
            cr_expect_str_eq(answers[1].reason, "not_recorded");
        } else {
            cr_expect(answers[1].truncated);
            cr_expect_str_eq(answers[1].finish_reason, "length");
        }
        cr_expect_not(backend_can(b, BACKEND_CAN_GENERATE));
        cr_expect_eq(backend_score(b, requests, NULL, 2, NULL, &err), RT_UNSUPPORTED);
        backend_answers_free(answers, 2);
        backend_close(b);
        config_free(c);
    }
    temp_folder_free(folder);
}
