#include "worker/teacher/batch/batch_backend.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/support/temp_folder.h"

/* A desk with three rows, a cache, and a provider that answers what its script says. */
#define N_ROWS 3

typedef struct desk {
    char *folder;
    config *config;
    answer_cache *cache;
    batch_handler handler;
    batch_labeller labeller;
    const char *texts[8]; /* reply to the k-th question that is missing; NULL: none */
    size_t n_missing, n_known, n_known_last;
    const char *second_reply; /* to each second question; NULL: none */
    batch_ticket tickets[16];
    char *bodies[16];
    label_record records[N_ROWS];
} desk;

static rt_status missing(void *context, const batch_ticket *ticket, const char *body, size_t n_body,
                         rt_buf *reply, rt_error *err)
{
    desk *d = context;
    size_t k = d->n_missing++;
    cr_assert_lt(k, RT_COUNT(d->tickets));
    d->tickets[k] = *ticket;
    d->bodies[k] = rt_strndup(body, n_body);
    if (d->second_reply != NULL && strstr(d->bodies[k], "Therefore") != NULL)
        return rt_buf_add_text(reply, d->second_reply, err);
    if (k >= RT_COUNT(d->texts) || d->texts[k] == NULL) return RT_OK;
    return rt_buf_add_text(reply, d->texts[k], err);
}

static rt_status known(void *context, const batch_ticket *ticket, bool is_last, rt_error *err)
{
    desk *d = context;
    (void)err;
    d->n_known_last += is_last;
    for (size_t i = 0; i < d->n_missing; i++) {
        char a[BATCH_CUSTOM_ID_SIZE], b[BATCH_CUSTOM_ID_SIZE];
        batch_ticket_print(ticket, a);
        batch_ticket_print(&d->tickets[i], b);
        d->n_known += strcmp(a, b) == 0; /* the same question has the same ticket */
    }
    return RT_OK;
}

static config *config_of(const char *teacher)
{
    char yaml[1024];
    config *c = NULL;
    rt_error err = {0};
    snprintf(yaml, sizeof yaml,
             "task: {answer: number, markers: [\"#\"]}\ncorpus: {files: [x.jsonl]}\n"
             "teacher: {backend: openai, base_url: \"http://127.0.0.1:9/v1\", model: m, api_key: "
             "\"${RT_NO_SUCH_KEY}\"%s}\n",
             teacher);
    cr_assert_eq(config_parse("t", yaml, strlen(yaml), NULL, &c, &err), RT_OK, "%s", err.text);
    return c;
}

static desk *desk_new(const char *teacher)
{
    rt_error err = {0};
    desk *d = calloc(1, sizeof *d);
    rt_log_init(RT_LOG_ERROR, "test");
    d->folder = temp_folder_new();
    d->config = config_of(teacher);
    d->handler = (batch_handler){.missing = missing, .known = known, .context = d};
    cr_assert_eq(answer_cache_open(d->folder, &d->cache, &err), RT_OK, "%s", err.text);
    cr_assert_eq(batch_labeller_open(d->config, d->cache, &d->handler, &d->labeller, &err), RT_OK,
                 "%s", err.text);
    return d;
}

static void desk_free(desk *d)
{
    for (size_t i = 0; i < d->n_missing; i++) free(d->bodies[i]);
    label_records_free(d->records, N_ROWS);
    batch_labeller_close(&d->labeller);
    answer_cache_close(d->cache);
    config_free(d->config);
    temp_folder_free(d->folder);
    free(d);
}

static void label(desk *d)
{
    shard_example examples[N_ROWS];
    label_counts counts = {0};
    rt_error err = {0};
    char inputs[N_ROWS][16];
    for (int i = 0; i < N_ROWS; i++) {
        snprintf(inputs[i], sizeof inputs[i], "row %d", i);
        examples[i] = (shard_example){
            .id = rt_id_of(inputs[i], strlen(inputs[i])), .input = inputs[i], .source_id = ""};
    }
    label_records_free(d->records, N_ROWS);
    cr_assert_eq(label_shard(&d->labeller.labeller, examples, N_ROWS, d->records, &counts, &err),
                 RT_OK, "%s", err.text);
}

#define REPLY(text)                                                                          \
    "{\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"content\":\"" text \
    "\"}}]}"

Test(batch_backend, hands_out_each_question_once_and_leaves_its_row_open)
{
    desk *d = desk_new("");
    label(d);
    cr_assert_eq(d->n_missing, N_ROWS);
    cr_expect_eq(d->n_known, 0);
    for (int i = 0; i < N_ROWS; i++) {
        char text[16];
        snprintf(text, sizeof text, "row %d", i);
        cr_expect(strstr(d->bodies[i], text) != NULL, "%s", d->bodies[i]);
        cr_expect(strstr(d->bodies[i], "\"model\":\"m\"") != NULL, "%s", d->bodies[i]);
        cr_expect_eq(d->tickets[i].sample, 0);
        cr_expect_eq(d->tickets[i].key_high, rt_id_of(d->bodies[i], strlen(d->bodies[i])).high);
        cr_expect_str_eq(d->records[i].reason, REASON_BATCH_PENDING);
    }
    desk_free(d);
}

Test(batch_backend, keeps_answers_for_the_run_and_asks_warmer_about_what_cannot_be_parsed)
{
    desk *d = desk_new("");
    d->texts[0] = REPLY("because # 4");
    d->texts[1] = REPLY("no marker");
    label(d); /* three questions, and the second row's next attempt */
    cr_assert_eq(d->n_missing, 4);
    cr_expect_eq(d->labeller.n_taken, 2);
    cr_expect_str_eq(d->records[0].label, "4");
    cr_expect_eq(d->tickets[3].sample, 1);
    cr_expect(rt_id_equal(d->tickets[3].record_id, d->tickets[1].record_id));
    cr_expect(strstr(d->bodies[3], "0.7") != NULL, "%s", d->bodies[3]);

    label(d); /* the cache knows the two answers; the open questions are the same as before */
    cr_assert_eq(d->n_missing, 6);
    cr_expect_eq(d->n_known, 2);
    cr_expect_str_eq(d->bodies[4], d->bodies[2]);
    cr_expect_str_eq(d->bodies[5], d->bodies[3]);
    cr_expect_str_eq(d->records[0].label, "4");
    desk_free(d);
}

Test(batch_backend, takes_nothing_from_a_reply_that_is_none)
{
    desk *d = desk_new("");
    d->texts[0] = "{\"error\":{\"message\":\"oops\"}}";
    d->texts[1] = "{\"choices\":[]}";
    d->texts[2] = "{}";
    label(d);
    cr_expect_eq(d->labeller.n_taken, 0);
    cr_expect_eq(d->labeller.n_unusable, 3);
    for (int i = 0; i < N_ROWS; i++) cr_expect_str_eq(d->records[i].reason, REASON_BATCH_PENDING);
    cr_expect_eq(answer_cache_get_counts(d->cache).n_puts, 0);
    desk_free(d);
}

/* Rows 0 and 1 are thought about in the first batch; 0 is answered in the second; 2 never comes. */
Test(batch_backend, of_two_steps_the_second_is_asked_once_the_first_is_answered)
{
    desk *d = desk_new(", two_step: true");
    label(d);
    cr_assert_eq(d->n_missing, 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect(strstr(d->bodies[i], "step by step") != NULL, "%s", d->bodies[i]);
    d->texts[3] = REPLY("three and one");
    d->texts[5] = REPLY("two and two");
    label(d); /* each thought is taken, and its second question handed out at once */
    cr_assert_eq(d->n_missing, 8);
    cr_expect_eq(d->labeller.n_taken, 2);
    cr_expect(strstr(d->bodies[4], "three and one") != NULL, "%s", d->bodies[4]);
    cr_expect(strstr(d->bodies[6], "two and two") != NULL, "%s", d->bodies[6]);
    cr_expect_str_eq(d->bodies[7], d->bodies[2]);
    cr_expect_str_eq(d->records[0].reason, REASON_BATCH_PENDING);

    d->n_known = d->n_known_last = 0;
    memset(d->texts, 0, sizeof d->texts);
    label(d); /* the cache has the thoughts: only second questions for them */
    cr_assert_eq(d->n_missing, 11);
    cr_expect_str_eq(d->bodies[8], d->bodies[4]);
    cr_expect_str_eq(d->bodies[9], d->bodies[6]);
    cr_expect_eq(d->n_known, 2 * 2, "both thoughts, each asked for twice before");
    cr_expect_eq(d->n_known_last, 0);
    d->second_reply = REPLY("4");
    label(d);
    cr_assert_eq(d->n_missing, 14);
    cr_expect_str_eq(d->records[0].label, "4");
    cr_expect_str_eq(d->records[0].rationale, "three and one");
    cr_expect_str_eq(d->records[2].reason, REASON_BATCH_PENDING);

    d->n_known = d->n_known_last = 0;
    label(d); /* both questions of an answered row are known, by the tickets that they had */
    cr_assert_eq(d->n_missing, 15);
    cr_expect_eq(d->n_known_last, 2);
    cr_expect_gt(d->n_known, 4);
    desk_free(d);
}

Test(batch_backend, asks_for_one_choice_a_line)
{
    desk *d = desk_new(", choices_max: 8");
    label(d);
    cr_expect(strstr(d->bodies[0], "\"n\":") == NULL, "%s", d->bodies[0]);
    desk_free(d);
}

Test(batch_backend, refuses_teachers_that_batches_cannot_ask)
{
    static const char *const others[] = {
        "corpus: {files: [x.jsonl]}\nteacher: {backend: native, model: m}\n",
        "corpus: {files: [x.jsonl]}\nteacher: {backend: recorded, files: [y.jsonl], match_field: "
        "\"{q}\"}\n",
    };
    for (size_t i = 0; i < RT_COUNT(others); i++) {
        config *c = NULL;
        batch_labeller l = {0};
        batch_handler handler = {.missing = missing};
        rt_error err = {0};
        cr_assert_eq(config_parse("t", others[i], strlen(others[i]), NULL, &c, &err), RT_OK, "%s",
                     err.text);
        cr_expect_eq(batch_labeller_open(c, NULL, &handler, &l, &err), RT_UNSUPPORTED, "%s",
                     err.text);
        config_free(c);
    }
}
