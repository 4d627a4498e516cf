/* The whole backend against a server that misbehaves: each row has exactly one outcome. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/base/stop.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/worker/teacher/openai_site.h"

static void expect_all_good(const openai_site *s, size_t n_samples)
{
    for (size_t i = 0; i < s->n; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "answer %zu", i / n_samples);
        cr_expect_null(s->answers[i].reason, "row %zu: %s", i, s->answers[i].reason);
        cr_expect(s->answers[i].text != NULL && strcmp(s->answers[i].text, expected) == 0,
                  "row %zu: '%s'", i, s->answers[i].text != NULL ? s->answers[i].text : "");
    }
}

static void say(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    openai_site_say(request, reply);
}

Test(openai, answers_each_row_with_usage)
{
    openai_site s;
    openai_site_new(&s, "", "", say, NULL);
    s.price = 0.25;
    openai_site_ask(&s, 100, 1, RT_OK);
    expect_all_good(&s, 1);
    cr_expect_eq(s.answers[7].n_prompt_tokens, 10);
    cr_expect_eq(s.answers[7].n_completion_tokens, 5);
    cr_expect_eq(s.answers[7].cost, 0.25);
    cr_expect_str_eq(s.answers[7].finish_reason, "stop");
    cr_expect_not(s.answers[7].cached);
    cr_expect_eq(openai_site_requests(&s), 100);
    cr_expect_eq(openai_site_counted(&s, "requests"), 100);
    cr_expect_leq(fault_server_counts(s.server).n_waiting_max, 32);
    openai_site_free(&s);
}

/* Three in ten fail, in each way there is. */
static void fail_often(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    rng_key key = rng_key_make(3, "faults", (rt_id){0}, 0);
    openai_site_say(request, reply);
    if (rng_uniform(key, request->i * 2) >= 0.3f) return;
    switch (rng_below(key, request->i * 2 + 1, 11)) {
    case 0:
        reply->status = 429;
        snprintf(reply->headers, sizeof reply->headers, "Retry-After-Ms: 20\r\n");
        break;
    case 1: reply->status = 500; break;
    case 2: reply->status = 503; break;
    case 3: reply->slow_bytes = 1, reply->slow_ms = 50; break;
    case 4: reply->cut_at = 120; break;
    case 5: reply->content_length = 5000; break;
    case 6: reply->content_length = 10; break;
    case 7: rt_buf_clear(&reply->body); break;
    case 8: reply->cut_at = 0; break;
    case 9: reply->body.data[20] = '}'; break;
    default: reply->without_status_line = true; break;
    }
}

Test(openai, a_server_that_fails_three_in_ten_costs_no_row)
{
    openai_site s;
    openai_site_new(&s, "timeout_ms: 400, retries_max: 20", "", fail_often, NULL);
    openai_site_ask(&s, 150, 1, RT_OK);
    expect_all_good(&s, 1);
    cr_expect_gt(openai_site_counted(&s, "request_failures"), 25);
    openai_site_free(&s);
}

static void refuse_key(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context, (void)request;
    reply->status = 401;
    openai_reply_text(reply, "{\"error\":{\"message\":\"the key sesame is wrong\",\"code\":null}}");
}

Test(openai, a_refused_key_ends_the_run_and_is_not_shown)
{
    openai_site s;
    setenv("TEST_KEY", "sesame", 1);
    openai_site_new(&s, "api_key: \"${TEST_KEY}\"", "", refuse_key, NULL);
    openai_site_ask(&s, 50, 1, RT_INVALID);
    cr_expect_not_null(strstr(s.err.text, "teacher.api_key"), "%s", s.err.text);
    cr_expect_not_null(strstr(s.err.text, "the key ****** is wrong"), "%s", s.err.text);
    cr_expect_leq(openai_site_requests(&s), 32, "the first refusal was the last request");
    openai_site_free(&s);
}

static void expect_key(void *context, const fault_request *request, fault_reply *reply)
{
    const char *header = context;
    openai_site_say(request, reply);
    if (strstr(request->head, header) == NULL) reply->status = 401;
}

Test(openai, sends_the_key_in_the_header_that_is_set)
{
    openai_site s;
    setenv("TEST_KEY", "sesame", 1);
    openai_site_new(&s, "api_key: \"${TEST_KEY}\"", "", expect_key,
                    "\r\nAuthorization: Bearer sesame\r\n");
    openai_site_ask(&s, 1, 1, RT_OK);
    openai_site_free(&s);
    openai_site_new(&s, "api_key: \"${TEST_KEY}\", api_key_header: api-key", "", expect_key,
                    "\r\napi-key: sesame\r\n");
    openai_site_ask(&s, 1, 1, RT_OK);
    openai_site_free(&s);
}

static void refuse_field(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context, (void)request;
    reply->status = 400;
    openai_reply_text(reply, "{\"error\":{\"message\":\"Unsupported parameter: seed\"}}");
}

Test(openai, a_wrong_setting_ends_the_run_and_burns_no_corpus)
{
    openai_site s;
    openai_site_new(&s, "in_flight_max: 4", "", refuse_field, NULL);
    openai_site_ask(&s, 50, 1, RT_INVALID);
    cr_expect_not_null(strstr(s.err.text, "Unsupported parameter: seed"), "%s", s.err.text);
    cr_expect_leq(openai_site_requests(&s), 10);
    openai_site_free(&s);
}

/* Row 3 is poison, row 5 too long, row 7 filtered, row 9 simply wrong. */
static void spoil_some_rows(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    size_t row = openai_row_of(request);
    if (row == 3) {
        reply->status = 500;
    } else if (row == 5) {
        reply->status = 400;
        openai_reply_text(reply, "{\"error\":{\"code\":\"context_length_exceeded\"}}");
    } else if (row == 7) {
        reply->status = 400;
        openai_reply_text(reply, "{\"error\":{\"code\":\"content_filter\"}}");
    } else if (row == 9) {
        reply->status = 422;
        openai_reply_text(reply, "{\"detail\":[{\"msg\":\"no\"}]}");
    } else {
        openai_site_say(request, reply);
    }
}

Test(openai, a_row_that_always_fails_is_rejected_with_its_reason_alone)
{
    static const struct {
        size_t row;
        const char *reason;
    } bad[] = {
        {3, "server_error"}, {5, "prompt_too_long"}, {7, "content_filter"}, {9, "bad_request"}};
    openai_site s;
    openai_site_new(&s, "retries_max: 2", "", spoil_some_rows, NULL);
    openai_site_ask(&s, 40, 1, RT_OK);
    size_t n_bad = 0;
    for (size_t i = 0; i < 40; i++) {
        if (n_bad < RT_COUNT(bad) && bad[n_bad].row == i) {
            cr_assert_not_null(s.answers[i].reason, "row %zu", i);
            cr_expect_str_eq(s.answers[i].reason, bad[n_bad++].reason);
        } else {
            cr_expect_null(s.answers[i].reason, "row %zu", i);
        }
    }
    cr_expect_eq(openai_site_requests(&s), 40 + 2, "row 3 three times");
    openai_site_free(&s);
}

/* Down for the first requests, then up. */
static void come_up(void *context, const fault_request *request, fault_reply *reply)
{
    size_t n_down = *(size_t *)context;
    openai_site_say(request, reply);
    if (request->i < n_down) reply->status = 500;
}

Test(openai, a_server_that_is_down_pauses_the_asking_and_burns_no_row)
{
    openai_site s;
    size_t n_down = 8;
    openai_site_new(&s, "retries_max: 0, breaker_failures: 8, in_flight_max: 1", "", come_up,
                    &n_down);
    uint64_t start_ms = rt_clock_mono_ms();
    openai_site_ask(&s, 60, 1, RT_OK);
    /* retries_max 0 gives a row up only once the server has answered others. */
    for (size_t i = 0; i < s.n; i++)
        cr_expect_null(s.answers[i].reason, "row %zu: %s", i, s.answers[i].reason);
    cr_expect_geq(rt_clock_mono_ms() - start_ms, 2000, "it paused");
    cr_expect_geq(s.n_reports, 1, "and said so");
    openai_site_free(&s);
}

/* Two choices, however many were asked for. */
static void two_choices(void *context, const fault_request *request, fault_reply *reply)
{
    size_t row = openai_row_of(request);
    const char *n = strstr(request->body, "\"n\":");
    (void)context;
    openai_reply_text(reply, "{\"choices\":[");
    for (int i = 0; i < (n != NULL ? 2 : 1); i++)
        openai_reply_text(reply,
                          "%s{\"index\":%d,\"finish_reason\":\"stop\",\"message\":{\"content\":"
                          "\"answer %zu\"}}",
                          i > 0 ? "," : "", i, row);
    openai_reply_text(reply, "],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":9}}");
}

Test(openai, samples_that_do_not_come_are_asked_for_again)
{
    openai_site s;
    openai_site_new(&s, "choices_max: 8", "", two_choices, NULL);
    openai_site_ask(&s, 10, 5, RT_OK);
    expect_all_good(&s, 5);
    cr_expect_eq(openai_site_requests(&s), 30, "5 = 2 + 2 + 1");
    uint64_t n_prompt = 0, n_completion = 0;
    for (size_t i = 0; i < s.n; i++) {
        n_prompt += s.answers[i].n_prompt_tokens;
        n_completion += s.answers[i].n_completion_tokens;
    }
    cr_expect_eq(n_prompt, 30 * 7);
    cr_expect_eq(n_completion, 30 * 9);
    cr_expect_eq(n_prompt, s.n_prompt_tokens);
    openai_site_free(&s);
}

/* An answer tells its seed. */
static void tell_seed(void *context, const fault_request *request, fault_reply *reply)
{
    const char *seed = strstr(request->body, "\"seed\":");
    (void)context;
    openai_reply_text(reply, "{\"choices\":[{\"message\":{\"content\":\"%lu\"}}]}",
                      strtoul(seed + 7, NULL, 10));
}

Test(openai, each_sample_has_a_seed_of_its_own_that_repeats)
{
    openai_site s;
    char first[8][32];
    openai_site_new(&s, "", "", tell_seed, NULL);
    openai_site_ask(&s, 2, 4, RT_OK);
    for (size_t i = 0; i < 8; i++) {
        snprintf(first[i], sizeof first[i], "%s", s.answers[i].text);
        for (size_t k = 0; k < i; k++) cr_expect_str_neq(first[i], first[k]);
    }
    openai_site_ask(&s, 2, 4, RT_OK);
    for (size_t i = 0; i < 8; i++) cr_expect_str_eq(first[i], s.answers[i].text);
    cr_expect_eq(s.n_unknown, 16, "an answer that tells no usage counts in full");
    openai_site_free(&s);
}

Test(openai, what_was_paid_is_not_asked_again)
{
    openai_site s;
    char *folder = temp_folder_new();
    answer_cache *cache = NULL;
    openai_site_new(&s, "", "", say, NULL);
    cr_assert_eq(answer_cache_open(folder, &cache, &s.err), RT_OK, "%s", s.err.text);
    s.means.cache = cache;
    backend_use(s.backend, &s.means);
    openai_site_ask(&s, 30, 2, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 60);
    openai_site_ask(&s, 31, 2, RT_OK);
    expect_all_good(&s, 2);
    cr_expect_eq(openai_site_requests(&s), 62, "only the new row");
    cr_expect(s.answers[0].cached);
    cr_expect_eq(s.answers[0].n_prompt_tokens, 10);
    cr_expect_not(s.answers[61].cached);
    cr_expect_eq(openai_site_counted(&s, "cache_hits"), 60);
    openai_site_free(&s);
    answer_cache_close(cache);
    temp_folder_free(folder);
}

Test(openai, a_spent_budget_leaves_the_rest_unasked_and_keeps_what_was_paid)
{
    openai_site s;
    char *folder = temp_folder_new();
    answer_cache *cache = NULL;
    openai_site_new(&s, "", "", say, NULL);
    cr_assert_eq(answer_cache_open(folder, &cache, &s.err), RT_OK, "%s", s.err.text);
    s.means.cache = cache;
    backend_use(s.backend, &s.means);
    s.n_taken_max = 13;
    openai_site_ask(&s, 40, 1, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 13);
    size_t n_paid = 0;
    for (size_t i = 0; i < s.n; i++) {
        n_paid += s.answers[i].reason == NULL;
        if (s.answers[i].reason != NULL) cr_expect_str_eq(s.answers[i].reason, REASON_NOT_SENT);
    }
    cr_expect_eq(n_paid, 13);
    s.n_taken_max = 0;
    openai_site_ask(&s, 40, 1, RT_OK);
    expect_all_good(&s, 1);
    cr_expect_eq(openai_site_requests(&s), 40, "none was paid twice");
    openai_site_free(&s);
    answer_cache_close(cache);
    temp_folder_free(folder);
}

static void stop_at_twenty(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    openai_site_say(request, reply);
    reply->delay_ms = request->i < 20 ? 0 : 60000;
    if (request->i == 20) {
        rt_stop_request();
        rt_stop_request(); /* at once */
    }
}

Test(openai, a_request_to_stop_is_heard_between_turns)
{
    openai_site s;
    openai_site_new(&s, "", "", stop_at_twenty, NULL);
    uint64_t start_ms = rt_clock_mono_ms();
    openai_site_ask(&s, 100, 1, RT_CANCELLED);
    cr_expect_lt(rt_clock_mono_ms() - start_ms, 3000);
    cr_expect_gt(s.n_unknown, 0, "what was in flight may have been paid");
    openai_site_free(&s);
}

static void think_then_answer(void *context, const fault_request *request, fault_reply *reply)
{
    size_t row = openai_row_of(request);
    (void)context;
    if (strstr(request->body, "Therefore, the answer is") == NULL) {
        if (strstr(request->body, "Let's think step by step.") == NULL) reply->status = 401;
        openai_reply_text(reply,
                          "{\"choices\":[{\"message\":{\"content\":\"thought %zu\"}}],\"usage\":{"
                          "\"prompt_tokens\":3,\"completion_tokens\":4}}",
                          row);
        return;
    }
    char thought[32];
    snprintf(thought, sizeof thought, "thought %zu\"", row);
    if (strstr(request->body, thought) == NULL) reply->status = 401;
    openai_reply_text(reply,
                      "{\"choices\":[{\"message\":{\"content\":\"label %zu\"}}],\"usage\":{"
                      "\"prompt_tokens\":30,\"completion_tokens\":40}}",
                      row);
}

Test(openai, two_steps_take_the_rationale_from_the_first_and_the_label_from_the_second)
{
    openai_site s;
    openai_site_new(&s, "two_step: true, choices_max: 4",
                    "task: {answer: number, markers: [\"The answer is\"]}", think_then_answer,
                    NULL);
    openai_site_ask(&s, 10, 2, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 40);
    for (size_t i = 0; i < 20; i++) {
        char text[64], thought[64];
        snprintf(text, sizeof text, "The answer is label %zu", i / 2);
        snprintf(thought, sizeof thought, "thought %zu", i / 2);
        cr_assert_null(s.answers[i].reason, "%s", s.answers[i].reason);
        cr_expect_str_eq(s.answers[i].text, text);
        cr_expect_str_eq(s.answers[i].reasoning, thought);
        cr_expect_str_eq(s.answers[i].rationale_source, "two_step");
        cr_expect_eq(s.answers[i].n_prompt_tokens, 33);
    }
    openai_site_free(&s);
}

/* As think_then_answer(), but the second step is refused until *context says otherwise. */
static void think_and_stop(void *context, const fault_request *request, fault_reply *reply)
{
    think_then_answer(NULL, request, reply);
    if (*(const bool *)context && strstr(request->body, "Therefore, the answer is") != NULL)
        reply->status = 401;
}

Test(openai, a_thought_that_was_paid_is_kept_when_its_second_step_fails)
{
    openai_site s;
    bool refusing = true;
    char *folder = temp_folder_new();
    answer_cache *cache = NULL;
    openai_site_new(&s, "two_step: true, in_flight_max: 1",
                    "task: {answer: number, markers: [\"The answer is\"]}", think_and_stop,
                    &refusing);
    cr_assert_eq(answer_cache_open(folder, &cache, &s.err), RT_OK, "%s", s.err.text);
    s.means.cache = cache;
    backend_use(s.backend, &s.means);
    openai_site_ask(&s, 1, 1, RT_INVALID);
    cr_expect_eq(openai_site_requests(&s), 2);
    refusing = false;
    openai_site_ask(&s, 1, 1, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 3, "only the second step");
    cr_expect_eq(openai_site_counted(&s, "cached_thoughts"), 1);
    cr_expect_str_eq(s.answers[0].text, "The answer is label 0");
    cr_expect_str_eq(s.answers[0].reasoning, "thought 0");
    cr_expect_eq(s.answers[0].n_prompt_tokens, 33, "what the thought took counts too");
    cr_expect_eq(s.answers[0].n_completion_tokens, 44);
    cr_expect_not(s.answers[0].cached, "half of it was paid now");
    openai_site_ask(&s, 1, 1, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 3, "nothing");
    cr_expect(s.answers[0].cached);
    openai_site_free(&s);
    answer_cache_close(cache);
    temp_folder_free(folder);
}

Test(openai, a_prompt_beyond_the_limit_is_rejected_and_never_sent)
{
    openai_site s;
    /* "question 7 " may be 23 tokens with a chat's marks, "question 10 " 24 */
    openai_site_new(&s, "choices_max: 4", "prompt: {max_prompt_tokens: 23}", say, NULL);
    openai_site_ask(&s, 20, 2, RT_OK);
    for (size_t i = 0; i < s.n; i++) {
        if (i / 2 < 10)
            cr_expect_null(s.answers[i].reason, "row %zu", i / 2);
        else
            cr_expect_str_eq(s.answers[i].reason, "prompt_too_long");
    }
    cr_expect_eq(openai_site_requests(&s), 20, "n is not heeded, so each sample comes alone");
    cr_expect_eq(openai_site_counted(&s, "given_up"), 20);
    openai_site_free(&s);
    openai_site_new(&s, "", "prompt: {max_prompt_tokens: 22}", say, NULL);
    openai_site_ask(&s, 20, 1, RT_OK);
    cr_expect_eq(openai_site_requests(&s), 0);
    openai_site_free(&s);
}

static void answer_in_json(void *context, const fault_request *request, fault_reply *reply)
{
    size_t row = openai_row_of(request);
    (void)context;
    if (strstr(request->body, "\"response_format\":{\"type\":\"json_schema\"") == NULL)
        reply->status = 401;
    openai_reply_text(reply, "{\"choices\":[{\"finish_reason\":\"%s\",\"message\":{\"content\":",
                      row == 2 ? "length" : "stop");
    if (row == 2)
        openai_reply_text(reply, "\"{\\\"why\\\": \\\"cut\"");
    else if (row == 1 && request->i < 3)
        openai_reply_text(reply, "\"no JSON\"");
    else
        openai_reply_text(reply, "\"{\\\"why\\\": \\\"since %zu\\\", \\\"label\\\": %zu}\"", row,
                          row);
    openai_reply_text(reply, "}}]}");
}

Test(openai, an_answer_by_schema_becomes_the_text_that_is_parsed)
{
    openai_site s;
    char *folder = temp_folder_new();
    char more[256];
    temp_folder_write_text(folder, "schema.json", "{\"type\": \"object\"}");
    snprintf(more, sizeof more, "schema_file: \"%s\", rationale_key: why",
             temp_folder_path(folder, "schema.json"));
    openai_site_new(&s, more, "task: {answer: number, markers: [\"The answer is\"]}",
                    answer_in_json, NULL);
    openai_site_ask(&s, 3, 1, RT_OK);
    cr_expect_str_eq(s.answers[0].text, "since 0\nThe answer is 0");
    cr_expect_str_eq(s.answers[1].text, "since 1\nThe answer is 1");
    cr_expect_str_eq(s.answers[2].reason, "truncated");
    openai_site_free(&s);
    temp_folder_free(folder);
}

static void delay_one(void *context, const fault_request *request, fault_reply *reply)
{
    size_t *i_slow = context;
    openai_site_say(request, reply);
    reply->delay_ms = 10;
    if (openai_row_of(request) == 60 && *i_slow == 0) {
        *i_slow = request->i + 1;
        reply->delay_ms = 60000;
    }
}

Test(openai, a_straggler_is_asked_a_second_time)
{
    openai_site s;
    size_t i_slow = 0;
    openai_site_new(&s, "hedge_after: 10, timeout_ms: 60000", "", delay_one, &i_slow);
    uint64_t start_ms = rt_clock_mono_ms();
    openai_site_ask(&s, 80, 1, RT_OK);
    expect_all_good(&s, 1);
    cr_expect_lt(rt_clock_mono_ms() - start_ms, 10000);
    cr_expect_geq(openai_site_counted(&s, "hedges"), 1);
    cr_expect_geq(s.n_unknown, 1, "the first copy may have been paid");
    openai_site_free(&s);
}

/* So many requests in each window, told in the headers. */
typedef struct window {
    uint64_t start_ms;
    size_t n, n_over, n_windows;
} window;

#define WINDOW_MS  300
#define PER_WINDOW 20

static void keep_limit(void *context, const fault_request *request, fault_reply *reply)
{
    window *w = context;
    if (w->start_ms == 0 || request->now_ms >= w->start_ms + WINDOW_MS) {
        w->start_ms = request->now_ms;
        w->n = 0;
        w->n_windows++;
    }
    openai_site_say(request, reply);
    if (w->n == PER_WINDOW) {
        w->n_over++;
        reply->status = 429;
    } else {
        w->n++;
    }
    snprintf(reply->headers, sizeof reply->headers,
             "x-ratelimit-limit-requests: %d\r\nx-ratelimit-remaining-requests: %zu\r\n"
             "x-ratelimit-reset-requests: %zums\r\n",
             PER_WINDOW, PER_WINDOW - w->n, (size_t)(w->start_ms + WINDOW_MS - request->now_ms));
}

Test(openai, the_limits_in_the_headers_are_kept_and_used)
{
    openai_site s;
    window w = {0};
    openai_site_new(&s, "", "", keep_limit, &w);
    openai_site_ask(&s, 200, 1, RT_OK);
    expect_all_good(&s, 1);
    cr_expect_eq(w.n_over, 0, "%zu over the limit", w.n_over);
    cr_expect_leq(w.n_windows, 12, "%zu windows for the work of 10", w.n_windows);
    openai_site_free(&s);
}

Test(openai, settings_that_are_no_json_are_refused_at_start)
{
    rt_error err = {0};
    config *c = NULL;
    backend *b = NULL;
    const char *yaml = "corpus: {files: [x]}\nteacher: {backend: openai, model: m, base_url: "
                       "\"http://127.0.0.1:1/v1\", extra_body: \"[1]\"}\n";
    cr_assert_eq(config_parse("t.yaml", yaml, strlen(yaml), NULL, &c, &err), RT_OK, "%s", err.text);
    cr_expect_eq(backend_open(c, &b, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "teacher.extra_body"), "%s", err.text);
    config_free(c);
}
