#include "worker/teacher/forget_answers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/support/temp_folder.h"
#include "worker/teacher/batch/batch_backend.h"

/* A run's cache, filled by a batch whose provider says the same to every question. */
typedef struct desk {
    char *folder;
    config *config;
    answer_cache *cache;
    const char *says;  /* NULL: nothing */
    size_t n_says_max; /* then nothing; 0: no limit */
    size_t n_missing;
    int attempts_max;
    bool two_step;
} desk;

static rt_status answer(void *context, const batch_ticket *ticket, const char *body, size_t n_body,
                        rt_buf *reply, rt_error *err)
{
    desk *d = context;
    (void)ticket, (void)body, (void)n_body;
    d->n_missing++;
    if (d->says == NULL || (d->n_says_max > 0 && d->n_missing > d->n_says_max)) return RT_OK;
    return rt_buf_printf(reply, err,
                         "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{"
                         "\"content\":\"%s\"}}]}",
                         d->says);
}

static void set_config(desk *d, const char *more)
{
    char yaml[2048];
    rt_error err = {0};
    config_free(d->config);
    d->config = NULL;
    snprintf(yaml, sizeof yaml,
             "task: {answer: number, markers: [\"#\"]}\ncorpus: {files: [x.jsonl]}\n"
             "teacher: {backend: openai, base_url: \"http://127.0.0.1:9/v1\", model: m, api_key: "
             "\"${RT_NO_SUCH_KEY}\", attempts_max: %d, two_step: %s}\n%s",
             d->attempts_max, d->two_step ? "true" : "false", more);
    cr_assert_eq(config_parse("t", yaml, strlen(yaml), NULL, &d->config, &err), RT_OK, "%s",
                 err.text);
}

static desk desk_new(const char *more)
{
    rt_error err = {0};
    desk d = {.folder = temp_folder_new(), .attempts_max = 3};
    rt_log_init(RT_LOG_ERROR, "test");
    set_config(&d, more);
    cr_assert_eq(answer_cache_open(temp_folder_path(d.folder, "cache"), &d.cache, &err), RT_OK,
                 "%s", err.text);
    return d;
}

static void desk_free(desk *d)
{
    answer_cache_close(d->cache);
    config_free(d->config);
    temp_folder_free(d->folder);
}

static shard_example row(const char *input)
{
    return (shard_example){.id = rt_id_of(input, strlen(input)), .input = input, .source_id = ""};
}

/* Asks about the row as a run does; how many questions the cache could not answer. */
static size_t ask(desk *d, const config *c, const char *input, const char *says)
{
    rt_error err = {0};
    batch_labeller l = {0};
    label_record record = {0};
    label_counts counts = {0};
    shard_example e = row(input);
    batch_handler handler = {.missing = answer, .context = d};
    d->says = says;
    d->n_missing = 0;
    cr_assert_eq(batch_labeller_open(c, d->cache, &handler, &l, &err), RT_OK, "%s", err.text);
    cr_assert_eq(label_shard(&l.labeller, &e, 1, &record, &counts, &err), RT_OK, "%s", err.text);
    label_records_free(&record, 1);
    batch_labeller_close(&l);
    return d->n_missing;
}

static uint64_t forget(desk *d, const char *input)
{
    rt_error err = {0};
    forgetter *f = NULL;
    uint64_t n = 0;
    shard_example e = row(input);
    cr_assert_eq(forgetter_open(d->config, d->cache, &f, &err), RT_OK, "%s", err.text);
    cr_assert_eq(forgetter_forget(f, &e, 1, &n, &err), RT_OK, "%s", err.text);
    forgetter_close(f);
    return n;
}

Test(forget_answers, forgets_every_attempt_of_a_row_and_no_other_row)
{
    desk d = desk_new("");
    cr_assert_eq(ask(&d, d.config, "bad", "no marker"), 3);
    cr_assert_eq(ask(&d, d.config, "other", "no marker"), 3);
    cr_expect_eq(ask(&d, d.config, "bad", "# 1"), 0, "it is cached");
    cr_expect_eq(forget(&d, "bad"), 3);
    cr_expect_eq(forget(&d, "bad"), 0);
    cr_expect_eq(ask(&d, d.config, "other", NULL), 0);
    cr_expect_eq(ask(&d, d.config, "bad", "# 1"), 1, "asked afresh, and answered at once");
    desk_free(&d);
}

Test(forget_answers, forgets_every_text_of_a_vote)
{
    desk d = desk_new("quality: {samples: 4}\n");
    cr_assert_eq(ask(&d, d.config, "row", "# 5"), 4);
    cr_expect_eq(forget(&d, "row"), 4);
    cr_expect_eq(ask(&d, d.config, "row", NULL), 4);
    desk_free(&d);
}

Test(forget_answers, forgets_thoughts_too_also_those_that_led_to_no_answer)
{
    desk d = desk_new("");
    d.two_step = true;
    d.attempts_max = 1;
    set_config(&d, "");
    cr_assert_eq(ask(&d, d.config, "whole", "no label"), 2);
    cr_expect_eq(forget(&d, "whole"), 2, "a thought and an answer");
    cr_expect_eq(forget(&d, "whole"), 0);
    d.n_says_max = 1;
    cr_assert_eq(ask(&d, d.config, "half", "a thought"), 2);
    cr_expect_eq(forget(&d, "half"), 1);
    desk_free(&d);
}

Test(forget_answers, does_the_rest_after_it_was_killed)
{
    desk d = desk_new("");
    /* The last question goes first, so what a kill leaves is a beginning: here two of three. */
    d.attempts_max = 2;
    set_config(&d, "");
    cr_assert_eq(ask(&d, d.config, "row", "no marker"), 2);
    d.attempts_max = 3;
    set_config(&d, "");
    cr_expect_eq(forget(&d, "row"), 2);
    cr_expect_eq(ask(&d, d.config, "row", "still none"), 3);
    desk_free(&d);
}

Test(forget_answers, leaves_what_other_settings_asked)
{
    desk d = desk_new("");
    cr_assert_eq(ask(&d, d.config, "row", "no marker"), 3);
    set_config(&d, "prompt: {instruction: \"Say it in other words.\"}\n");
    cr_expect_eq(forget(&d, "row"), 0);
    set_config(&d, "");
    cr_expect_eq(ask(&d, d.config, "row", NULL), 0);
    desk_free(&d);
}

Test(forget_answers, forgets_what_a_second_teacher_said_too)
{
    char more[1024], path[512];
    rt_error err = {0};
    desk d = desk_new("");
    config *second = NULL;
    snprintf(path, sizeof path, "%s", temp_folder_path(d.folder, "second.yaml"));
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs("teacher: {backend: openai, base_url: \"http://127.0.0.1:9/v1\", model: large, api_key: "
          "\"${RT_NO_SUCH_KEY}\", attempts_max: 2}\n",
          f);
    fclose(f);
    snprintf(more, sizeof more, "escalate: {config: \"%s\"}\n", path);
    set_config(&d, more);
    cr_assert_eq(config_load_second(d.config, &second, &err), RT_OK, "%s", err.text);
    cr_assert_eq(ask(&d, d.config, "row", "no marker"), 3);
    cr_assert_eq(ask(&d, second, "row", "none either"), 2);
    cr_expect_eq(forget(&d, "row"), 5);
    cr_expect_eq(ask(&d, second, "row", NULL), 1);
    config_free(second);
    desk_free(&d);
}

Test(forget_answers, has_nothing_to_forget_of_teachers_without_a_cache)
{
    rt_error err = {0};
    desk d = desk_new("");
    config_free(d.config);
    d.config = NULL;
    const char *yaml = "corpus: {files: [x.jsonl]}\nteacher: {backend: recorded, files: [r.jsonl], "
                       "match_field: \"{q}\"}\n";
    cr_assert_eq(config_parse("t", yaml, strlen(yaml), NULL, &d.config, &err), RT_OK, "%s",
                 err.text);
    cr_expect_eq(forget(&d, "row"), 0, "the recording is not even opened");
    desk_free(&d);
}
