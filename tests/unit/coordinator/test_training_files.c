/* What is left of a training, and when labels may still change under it. */
#include "coordinator/training_files.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/fs.h"
#include "coordinator/plan_journal.h"
#include "tests/support/temp_folder.h"

static config *settings;
static run_folder folder;
static char *place;

static void configure(const char *steps, const char *model)
{
    const char *sets[] = {"train.chunk_size=10", "train.warmup_steps=1", steps, model, NULL};
    rt_error err = {0};
    config_free(settings);
    settings = NULL;
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &settings, &err), RT_OK, "%s", err.text);
}

static void set_up(void)
{
    configure("train.steps=100", NULL);
    place = temp_folder_new();
    snprintf(folder.path, sizeof folder.path, "%s", place);
}

static void tear_down(void)
{
    temp_folder_free(place);
    config_free(settings);
}

TestSuite(training_files, .init = set_up, .fini = tear_down);

static void put(const char *name)
{
    cr_assert_eq(rt_fs_write_atomic(temp_folder_path(place, name), name, strlen(name), NULL),
                 RT_OK);
}

static bool is_there(const char *name)
{
    return rt_fs_exists(temp_folder_path(place, name));
}

static void plan_one(plan_kind kind, uint64_t index, size_t i_segment)
{
    plan_journal *j = NULL;
    plan_segment s = {.kind = kind,
                      .index = index,
                      .epoch = kind == PLAN_EPOCH ? index : 0,
                      .first_step = 3 * i_segment,
                      .n_steps = 3,
                      .n_records = 10,
                      .sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"};
    rt_error err = {0};
    cr_assert_eq(plan_journal_open(temp_folder_path(place, "plan.jsonl"), &j, &err), RT_OK, "%s",
                 err.text);
    cr_assert_eq(plan_journal_take(j, i_segment, &s, &err), RT_OK, "%s", err.text);
    plan_journal_close(j);
}

static training_files look(void)
{
    training_files files = {0};
    rt_error err = {0};
    cr_assert_eq(training_files_look(&folder, settings, 35, &files, &err), RT_OK, "%s", err.text);
    return files;
}

Test(training_files, a_plan_covers_the_chunks_that_it_has_read)
{
    cr_expect_eq(look().n_covered, 0);
    plan_one(PLAN_CHUNK, 0, 0);
    cr_expect_eq(look().n_covered, 10);
    plan_one(PLAN_CHUNK, 1, 1);
    cr_expect_eq(look().n_covered, 20);
    plan_one(PLAN_CHUNK, 2, 2);
    plan_one(PLAN_CHUNK, 3, 3);
    cr_expect_eq(look().n_covered, 35, "the last one is short");
    plan_one(PLAN_EPOCH, 1, 4);
    cr_expect_eq(look().n_covered, 35);
    cr_expect_not(look().has_begun);
}

Test(training_files, a_length_that_follows_from_all_labels_covers_them_all)
{
    configure("train.steps=0", NULL);
    plan_one(PLAN_CHUNK, 0, 0);
    cr_expect_eq(look().n_covered, 35);
}

Test(training_files, a_tokenizer_that_was_trained_here_has_read_the_first_chunk)
{
    put("tokenizer.model");
    cr_expect_eq(look().n_covered, 10);
    configure("train.steps=100", "tokenizer.model=elsewhere.model");
    cr_expect_eq(look().n_covered, 0);
}

Test(training_files, training_has_begun_with_a_step_or_a_checkpoint)
{
    cr_assert_eq(rt_fs_mkdirs(temp_folder_path(place, "checkpoints"), NULL), RT_OK);
    cr_assert_eq(rt_fs_write_atomic(temp_folder_path(place, "metrics.jsonl"), "", 0, NULL), RT_OK);
    cr_expect_not(look().has_begun);
    cr_assert_eq(rt_fs_mkdirs(temp_folder_path(place, "checkpoints/step-7"), NULL), RT_OK);
    cr_expect(look().has_begun);
    cr_assert_eq(rt_fs_remove_tree(temp_folder_path(place, "checkpoints"), NULL), RT_OK);
    put("metrics.jsonl");
    cr_expect(look().has_begun);
}

Test(training_files, labels_may_change_where_nothing_has_read_them)
{
    const training_files none = {0}, planned = {.n_covered = 10},
                         begun = {.n_covered = 10, .has_begun = true};
    cr_expect_eq(reopening_of(&none, false), REOPEN_FREELY);
    cr_expect_eq(reopening_of(&planned, true), REOPEN_FREELY);
    cr_expect_eq(reopening_of(&begun, true), REOPEN_FREELY);
    cr_expect_eq(reopening_of(&planned, false), REOPEN_WITH_NEW_PLAN);
    cr_expect_eq(reopening_of(&begun, false), REOPEN_NEVER);
}

Test(training_files, dropping_leaves_labels_and_a_given_tokenizer)
{
    put("plan.jsonl"), put("tokens.bin"), put("tokenizer.model"), put("spend.json");
    configure("train.steps=100", "tokenizer.model=elsewhere.model");
    cr_assert_eq(training_files_drop(&folder, settings, NULL), RT_OK);
    cr_expect_not(is_there("plan.jsonl"));
    cr_expect_not(is_there("tokens.bin"));
    cr_expect(is_there("tokenizer.model"));
    configure("train.steps=100", NULL);
    cr_assert_eq(training_files_drop(&folder, settings, NULL), RT_OK);
    cr_expect_not(is_there("tokenizer.model"));
    cr_expect(is_there("spend.json"));
}

Test(training_files, retiring_keeps_everything_in_a_place_of_its_own)
{
    char kept_in[RUN_PATH_SIZE];
    rt_error err = {0};
    put("result.json"); /* labelled, and nothing trained */
    cr_assert_eq(training_files_retire(&folder, settings, kept_in, &err), RT_OK, "%s", err.text);
    cr_expect_str_empty(kept_in);
    cr_expect(is_there("result.json"));
    cr_assert_eq(rt_fs_mkdirs(temp_folder_path(place, "checkpoints/step-7"), NULL), RT_OK);
    put("plan.jsonl"), put("tokens.bin"), put("tokenizer.model"), put("spend.json");
    cr_assert_eq(training_files_retire(&folder, settings, kept_in, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(kept_in, temp_folder_path(place, "retired-1"));
    cr_expect(is_there("retired-1/checkpoints/step-7"));
    cr_expect(is_there("retired-1/plan.jsonl"));
    cr_expect(is_there("retired-1/result.json"));
    cr_expect_not(is_there("tokens.bin"), "made from the labels whenever it is wanted");
    cr_expect_not(is_there("plan.jsonl"));
    cr_expect(is_there("spend.json"));
    put("plan.jsonl");
    cr_assert_eq(training_files_retire(&folder, settings, kept_in, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(kept_in, temp_folder_path(place, "retired-2"));
}
