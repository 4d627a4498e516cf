#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/conf/config.h"
#include "common/conf/settings.h"

#define RICH                                                                                  \
    "name: rich\n"                                                                            \
    "run_dir: \"a: b # c\"\n"                                                                 \
    "corpus: {files: [\"q 1.jsonl\", \"- x\", \"$${NOT}\"]}\n"                                \
    "teacher: {files: ['a''b'], match_field: \"{input}\", temperature: 0.1}\n"                \
    "prompt: {instruction: \"\\u00e4 \\U0001f642 \\t\\r\\n \\\"q\\\" \\\\ \\x01 \\ufeff\"}\n" \
    "queue: {password: \"${SOME_SECRET}\"}\n"                                                 \
    "task: {answer: class, classes: [\"true\", \"1\", \"~\"], markers: [\" \"]}\n"            \
    "train: {lr: 0.1, eps: 1.2345678901234567e-9, steps: 3}\n"                                \
    "student: {tied: false}\n"                                                                \
    "export: {dtype: f16}\n"

static config *must_parse(const char *yaml, const char *const *sets)
{
    rt_error err = {0};
    config *c = NULL;
    cr_assert_eq(config_parse("t.yaml", yaml, strlen(yaml), sets, &c, &err), RT_OK, "%s", err.text);
    return c;
}

static void expect_same_field(const config *a, const config *b, const setting *s)
{
    const char *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_SECRET:
        cr_expect_str_eq(*(char *const *)x, *(char *const *)y, "%s", s->path);
        break;
    case SETTING_LIST: {
        const text_list *p = (const text_list *)x, *q = (const text_list *)y;
        cr_assert_eq(p->n, q->n, "%s", s->path);
        for (unsigned i = 0; i < p->n; i++)
            cr_expect_str_eq(p->items[i], q->items[i], "%s", s->path);
        break;
    }
    case SETTING_U64: cr_expect_eq(memcmp(x, y, sizeof(uint64_t)), 0, "%s", s->path); break;
    case SETTING_DOUBLE: cr_expect_eq(memcmp(x, y, sizeof(double)), 0, "%s", s->path); break;
    case SETTING_BOOL: cr_expect_eq(*x, *y, "%s", s->path); break;
    case SETTING_ENUM: cr_expect_eq(memcmp(x, y, sizeof(answer_kind)), 0, "%s", s->path); break;
    }
}

Test(config_print, loads_again_to_an_equal_config)
{
    rt_error err = {0};
    rt_buf once = {0}, twice = {0};
    config *c = must_parse(RICH, NULL);
    cr_assert_eq(config_print(c, &once, &err), RT_OK, "%s", err.text);
    config *again = must_parse(once.data, NULL);
    for (size_t i = 0; i < settings_count(); i++) expect_same_field(c, again, settings_at(i));
    cr_assert_eq(config_print(again, &twice, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(once.data, twice.data);
    config_free(c);
    config_free(again);
    rt_buf_free(&once);
    rt_buf_free(&twice);
}

/* A setting that is there twice would be loaded twice into one place. */
Test(config_print, knows_each_setting_once_and_each_section_in_one_piece)
{
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        cr_expect_eq(settings_find_path(s->path), s, "%s stands twice", s->path);
        bool goes_on = i > 0 && strcmp(settings_at(i - 1)->section, s->section) == 0;
        for (size_t k = 0; k < i && !goes_on; k++)
            cr_expect_str_neq(settings_at(k)->section, s->section, "%s is apart from its section",
                              s->path);
    }
}

Test(config_print, names_every_setting_and_no_value_of_a_secret)
{
    setenv("SOME_SECRET", "hunter2", 1);
    rt_error err = {0};
    rt_buf out = {0};
    config *c = must_parse(RICH, NULL);
    cr_assert_eq(config_print(c, &out, &err), RT_OK, "%s", err.text);
    cr_expect_null(strstr(out.data, "hunter2"));
    cr_expect_not_null(strstr(out.data, "password: \"${SOME_SECRET}\""), "%s", out.data);
    cr_expect_not_null(strstr(out.data, "lr: 0.1\n"), "%s", out.data);
    for (size_t i = 0; i < settings_count(); i++)
        cr_expect_not_null(strstr(out.data, settings_at(i)->key), "%s", settings_at(i)->path);
    config_free(c);
    rt_buf_free(&out);
}

static void fingerprint(const char *set, char out[33])
{
    const char *sets[] = {set, NULL};
    rt_error err = {0};
    config *c = must_parse(RICH, set == NULL ? NULL : sets);
    cr_assert_eq(config_fingerprint(c, out, &err), RT_OK, "%s", err.text);
    config_free(c);
}

Test(config_print, fingerprint_ignores_machines_and_numbers_of_workers)
{
    const char *free_sets[] = {"launch.students=9",
                               "launch.servers=3",
                               "net.coordinator=tcp://127.0.0.1:5000",
                               "net.http=off",
                               "queue.labels_max=7",
                               "queue.url=unix:/tmp/r",
                               "name=other",
                               "run_dir=elsewhere",
                               "label.lease_ms=1000",
                               "train.checkpoints_kept=9",
                               "eval.rows_max=4"};
    char first[33], other[33];
    fingerprint(NULL, first);
    cr_expect_eq(strlen(first), 32);
    for (size_t i = 0; i < RT_COUNT(free_sets); i++) {
        fingerprint(free_sets[i], other);
        cr_expect_str_eq(first, other, "%s changed it", free_sets[i]);
    }
}

Test(config_print, fingerprint_changes_with_what_decides_the_student)
{
    const char *sets[] = {"seed=2",
                          "task.classes=[\"true\", \"1~\"]",
                          "task.classes=[\"true1\", \"~\", \"x\"]",
                          "corpus.input={question}",
                          "teacher.temperature=0.2",
                          "prompt.separator=x",
                          "tokenizer.vocab_size=100",
                          "student.tied=true",
                          "student.n_layers=7",
                          "train.lr=0.2",
                          "train.preset=label-only",
                          "quality.samples=3",
                          "quality.note_if=[repeats]",
                          "escalate.config=strong.yaml",
                          "label.shard_size=51"};
    char seen[RT_COUNT(sets) + 1][33];
    fingerprint(NULL, seen[RT_COUNT(sets)]);
    for (size_t i = 0; i < RT_COUNT(sets); i++) {
        fingerprint(sets[i], seen[i]);
        for (size_t j = 0; j < RT_COUNT(seen); j++)
            if (j < i || j == RT_COUNT(sets)) cr_expect_str_neq(seen[i], seen[j], "%s", sets[i]);
    }
}

Test(config_print, the_reference_in_docs_is_current)
{
    const char *root = getenv("RT_SOURCE_DIR");
    if (root == NULL) cr_skip_test("RT_SOURCE_DIR is not set");
    char path[4096];
    rt_error err = {0};
    rt_buf made = {0}, kept = {0};
    cr_assert_eq(rt_fs_join(path, sizeof path, root, "docs/config.md", &err), RT_OK);
    cr_assert_eq(rt_fs_read(path, 1 << 20, &kept, &err), RT_OK, "%s", err.text);
    cr_assert_eq(config_reference(&made, &err), RT_OK, "%s", err.text);
    cr_expect(strcmp(made.data, kept.data) == 0,
              "docs/config.md is stale: retort config reference > docs/config.md");
    for (size_t i = 0; i < settings_count(); i++)
        cr_expect_not_null(strstr(made.data, settings_at(i)->path), "%s", settings_at(i)->path);
    rt_buf_free(&made);
    rt_buf_free(&kept);
}

Test(config_print, the_example_in_the_reference_loads)
{
    rt_error err = {0};
    rt_buf made = {0};
    cr_assert_eq(config_reference(&made, &err), RT_OK, "%s", err.text);
    char *begin = strstr(made.data, "```yaml\n");
    cr_assert_not_null(begin);
    begin += strlen("```yaml\n");
    char *end = strstr(begin, "```");
    cr_assert_not_null(end);
    *end = '\0';
    config *c = must_parse(begin, NULL);
    cr_expect_str_eq(c->name, "arithmetic");
    config_free(c);
    rt_buf_free(&made);
}
