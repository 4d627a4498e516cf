#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/conf/config.h"
#include "common/conf/settings.h"

#define SMALLEST                   \
    "corpus: {files: [q.jsonl]}\n" \
    "teacher: {files: [a.jsonl], match_field: \"{input}\"}\n"

static config *must_parse(const char *yaml, const char *const *sets)
{
    rt_error err = {0};
    config *c = NULL;
    rt_status st = config_parse("test.yaml", yaml, strlen(yaml), sets, &c, &err);
    cr_assert_eq(st, RT_OK, "%s", err.text);
    cr_assert_not_null(c);
    return c;
}

Test(config_load, fills_every_absent_setting_with_its_default)
{
    config *c = must_parse(SMALLEST, NULL);
    cr_expect_str_eq(c->name, "run");
    cr_expect_str_eq(c->run_dir, "");
    cr_expect_eq(c->seed, 1);
    cr_expect_eq(c->threads, 1);
    cr_expect_str_eq(c->corpus.input, "{input}");
    cr_expect_str_eq(c->prompt.separator, "\n\n");
    cr_expect_eq(c->label.shard_size, 50);
    cr_expect_eq(c->queue.labels_max, 4096);
    cr_expect_float_eq(c->train.beta2, 0.98, 1e-15);
    cr_expect_float_eq(c->train.eps, 1e-8, 1e-22);
    cr_expect_eq(c->train.micro_batches, 2);
    cr_expect_eq(c->student.tied, true);
    cr_expect_eq(c->eval.teacher, false);
    cr_expect_eq(c->net.dead_after_ms, 10000);
    cr_expect_eq(c->export_dtype, EXPORT_F32);
    cr_expect_eq(c->task.markers.n, 0);
    config_free(c);
}

Test(config_load, leaves_no_text_null_and_no_list_without_items)
{
    config *c = must_parse(SMALLEST, NULL);
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        const char *field = (const char *)c + s->offset;
        if (s->type == SETTING_TEXT || s->type == SETTING_SECRET)
            cr_expect_not_null(*(char *const *)field, "%s", s->path);
        if (s->type == SETTING_LIST && ((const text_list *)field)->n > 0)
            cr_expect_not_null(((const text_list *)field)->items, "%s", s->path);
    }
    config_free(c);
}

Test(config_load, reads_every_kind_of_value)
{
    config *c = must_parse(SMALLEST "name: gsm-8k.v2\n"
                                    "seed: 9007199254740991\n"
                                    "task:\n"
                                    "  answer: class\n"
                                    "  classes: [yes, 'no', \"may be\"]\n"
                                    "  markers:\n"
                                    "    - The answer is\n"
                                    "    - 'So:'\n"
                                    "train:\n"
                                    "  preset: rationale-first\n"
                                    "  schedule: linear\n"
                                    "  lr: 3e-4\n"
                                    "  steps: 010\n"
                                    "prompt:\n"
                                    "  instruction: |\n"
                                    "    Think.\n"
                                    "    Then answer: \"x\" \xf0\x9f\x99\x82\n"
                                    "tokenizer: {kind: bpe, lowercase: true}\n"
                                    "export: {dtype: bf16}\n",
                           NULL);
    cr_expect_str_eq(c->name, "gsm-8k.v2");
    cr_expect_eq(c->seed, 9007199254740991u);
    cr_expect_eq(c->task.answer, ANSWER_CLASS);
    cr_assert_eq(c->task.classes.n, 3);
    cr_expect_str_eq(c->task.classes.items[0], "yes");
    cr_expect_str_eq(c->task.classes.items[1], "no");
    cr_expect_str_eq(c->task.classes.items[2], "may be");
    cr_assert_eq(c->task.markers.n, 2);
    cr_expect_str_eq(c->task.markers.items[1], "So:");
    cr_expect_eq(c->train.preset, PRESET_RATIONALE_FIRST);
    cr_expect_eq(c->train.schedule, SCHEDULE_LINEAR);
    cr_expect_float_eq(c->train.lr, 3e-4, 1e-18);
    cr_expect_eq(c->train.steps, 10, "a leading zero is not octal: %lu", (unsigned long)10);
    cr_expect_str_eq(c->prompt.instruction, "Think.\nThen answer: \"x\" \xf0\x9f\x99\x82\n");
    cr_expect_eq(c->tokenizer.kind, TOKENIZER_BPE);
    cr_expect(c->tokenizer.lowercase);
    cr_expect_eq(c->export_dtype, EXPORT_BF16);
    config_free(c);
}

Test(config_load, takes_a_section_whose_settings_are_all_commented_out)
{
    config *c = must_parse(SMALLEST "train:\n  # steps: 3\nlabel:\n", NULL);
    cr_expect_eq(c->train.steps, 0);
    config_free(c);
}

Test(config_load, set_replaces_what_the_file_says_and_the_last_one_wins)
{
    const char *sets[] = {"train.steps=5",
                          "train.steps=7",
                          "seed=3",
                          "corpus.files=[\"x.jsonl\", 'y z.jsonl']",
                          "prompt.instruction=a = b: [c], #d",
                          "task.stop_marks=[]",
                          "run_dir=",
                          NULL};
    config *c = must_parse(SMALLEST "train: {steps: 1}\nrun_dir: here\n"
                                    "task: {stop_marks: [Q]}\n",
                           sets);
    cr_expect_eq(c->train.steps, 7);
    cr_expect_eq(c->seed, 3);
    cr_assert_eq(c->corpus.files.n, 2);
    cr_expect_str_eq(c->corpus.files.items[0], "x.jsonl");
    cr_expect_str_eq(c->corpus.files.items[1], "y z.jsonl");
    cr_expect_str_eq(c->prompt.instruction, "a = b: [c], #d");
    cr_expect_eq(c->task.stop_marks.n, 0);
    cr_expect_str_eq(c->run_dir, "");
    config_free(c);
}

Test(config_load, replaces_variables_of_the_environment_in_texts_lists_and_numbers)
{
    setenv("RT_TEST_PLACE", "data/in", 1);
    setenv("RT_TEST_STEPS", "42", 1);
    const char *sets[] = {"train.steps=${RT_TEST_STEPS}", NULL};
    config *c = must_parse("corpus: {files: [\"${RT_TEST_PLACE}/q.jsonl\"]}\n"
                           "teacher: {files: [a], match_field: \"{input}\"}\n"
                           "prompt: {instruction: \"costs $${5} ${RT_TEST_STEPS}\"}\n",
                           sets);
    cr_expect_str_eq(c->corpus.files.items[0], "data/in/q.jsonl");
    cr_expect_eq(c->train.steps, 42);
    cr_expect_str_eq(c->prompt.instruction, "costs ${5} 42");
    config_free(c);
}

Test(config_load, keeps_a_secret_as_it_is_written)
{
    config *c = must_parse(SMALLEST "queue: {password: \"${RT_TEST_NOT_SET_AT_ALL}\"}\n", NULL);
    cr_expect_str_eq(c->queue.password, "${RT_TEST_NOT_SET_AT_ALL}");
    config_free(c);
}

Test(config_load, reads_a_file_and_says_when_there_is_none)
{
    char path[] = "/tmp/rt-config-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    rt_error err = {0};
    cr_assert_eq(rt_fs_write_atomic(path, SMALLEST, strlen(SMALLEST), &err), RT_OK, "%s", err.text);
    config *c = NULL;
    cr_expect_eq(config_load(path, NULL, &c, &err), RT_OK, "%s", err.text);
    config_free(c);
    c = NULL;
    unlink(path);
    cr_expect_eq(config_load(path, NULL, &c, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, path), "%s", err.text);
    cr_expect_null(c);
}

Test(config_load, free_accepts_null)
{
    config_free(NULL);
}

Test(config_load, every_default_is_in_its_own_range_and_every_path_is_unique)
{
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        cr_expect_eq(settings_find_path(s->path), s, "%s stands twice", s->path);
        cr_expect_eq(settings_find(s->section, s->key), s, "%s", s->path);
        cr_expect_gt(strlen(s->help), 3, "%s has no help", s->path);
    }
}
