#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "worker/teacher/openai/failure.h"

typedef struct verdict_case {
    long status;
    const char *body;
    failure_action action;
    const char *reason; /* NULL: not looked at */
    bool overloaded, is_servers, never_the_row;
} verdict_case;

static const verdict_case verdict_cases[] = {
    {429, "", FAILURE_RETRY, "rate_limited", true, false, true},
    {503, "busy", FAILURE_RETRY, "server_error", true, true, true},
    {529, "", FAILURE_RETRY, "server_error", true, true, true},
    {500, "{\"error\":\"oops\"}", FAILURE_RETRY, "server_error", false, true, false},
    {502, "<html>", FAILURE_RETRY, "server_error", false, true, false},
    {504, "", FAILURE_RETRY, "timed_out", false, true, false},
    {408, "", FAILURE_RETRY, "timed_out", false, false, false},
    {409, "", FAILURE_RETRY, NULL, false, false, false},
    {429, "{\"error\":{\"code\":\"insufficient_quota\"}}", FAILURE_STOP, NULL, 0, 0, 0},
    {429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":null}}", FAILURE_STOP, NULL, 0, 0,
     0},
    {402, "", FAILURE_STOP, NULL, 0, 0, 0},
    {401, "", FAILURE_STOP, NULL, 0, 0, 0},
    {403, "{\"error\":{\"message\":\"no access\"}}", FAILURE_STOP, NULL, 0, 0, 0},
    {403, "{\"error\":{\"message\":\"your input was flagged\"}}", FAILURE_REJECT, "content_filter",
     0, 0, 0},
    {404, "{\"object\":\"error\",\"message\":\"The model x does not exist\"}", FAILURE_STOP, NULL,
     0, 0, 0},
    {405, "", FAILURE_STOP, NULL, 0, 0, 0},
    {407, "", FAILURE_STOP, NULL, 0, 0, 0},
    {301, "", FAILURE_STOP, NULL, 0, 0, 0},
    {400, "{\"error\":{\"code\":\"context_length_exceeded\"}}", FAILURE_REJECT, "prompt_too_long",
     0, 0, 0},
    {400,
     "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 tokens\"}",
     FAILURE_REJECT, "prompt_too_long", 0, 0, 0},
    {400, "{\"error\":{\"type\":\"exceed_context_size_error\"}}", FAILURE_REJECT, "prompt_too_long",
     0, 0, 0},
    {413, "", FAILURE_REJECT, "prompt_too_long", 0, 0, 0},
    {400, "{\"error\":{\"code\":\"content_filter\"}}", FAILURE_REJECT, "content_filter", 0, 0, 0},
    {400, "\"plain text\"", FAILURE_REJECT, "bad_request", 0, 0, 0},
    {422, "{\"detail\":[{\"loc\":[\"body\"]}]}", FAILURE_REJECT, "bad_request", 0, 0, 0},
};

static failure_event event_of(long status, const char *body)
{
    return (failure_event){
        .status = status, .body = body, .n_body = strlen(body), .was_sent = true};
}

Test(openai_failure, decides_by_status_and_body)
{
    for (size_t i = 0; i < RT_COUNT(verdict_cases); i++) {
        const verdict_case *k = &verdict_cases[i];
        failure_event e = event_of(k->status, k->body);
        failure_verdict v = failure_decide(&e);
        cr_expect_eq(v.action, k->action, "%ld %s", k->status, k->body);
        if (k->reason != NULL) cr_expect_str_eq(v.reason, k->reason, "%ld %s", k->status, k->body);
        cr_expect_eq(v.overloaded, k->overloaded, "%ld %s", k->status, k->body);
        cr_expect_eq(v.is_servers, k->is_servers, "%ld %s", k->status, k->body);
        cr_expect_eq(v.never_the_row, k->never_the_row, "%ld %s", k->status, k->body);
        if (v.action == FAILURE_RETRY) cr_expect_gt(v.wait_ms, 0);
    }
}

Test(openai_failure, says_what_the_server_said)
{
    static const struct {
        const char *body, *said;
    } cases[] = {
        {"{\"error\":{\"message\":\"as an object\"}}", "as an object"},
        {"{\"error\":\"as a text\"}", "as a text"},
        {"{\"detail\":\"as detail\"}", "as detail"},
        {"{\"object\":\"error\",\"message\":\"flat\"}", "flat"},
        {"\"a bare string\"", "a bare string"},
        {"no\tJSON\nat all", "no JSON at all"},
        {"", "nothing"},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        failure_event e = event_of(401, cases[i].body);
        failure_verdict v = failure_decide(&e);
        cr_expect_not_null(strstr(v.message, cases[i].said), "%s", v.message);
        cr_expect_not_null(strstr(v.message, "teacher.api_key"), "%s", v.message);
    }
}

Test(openai_failure, decides_by_how_the_transport_failed)
{
    static const struct {
        http_failure transport;
        failure_action action;
        bool never_the_row;
    } cases[] = {
        {HTTP_NO_CONNECTION, FAILURE_RETRY, true}, {HTTP_TIMED_OUT, FAILURE_RETRY, false},
        {HTTP_DROPPED, FAILURE_RETRY, false},      {HTTP_TOO_LARGE, FAILURE_REJECT, false},
        {HTTP_BAD_TLS, FAILURE_STOP, false},       {HTTP_BAD_REQUEST, FAILURE_STOP, false},
        {HTTP_BAD_PROXY, FAILURE_STOP, false},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        bool connects = cases[i].transport != HTTP_NO_CONNECTION;
        failure_event e = {
            .transport = cases[i].transport, .transport_text = "why", .was_sent = connects};
        failure_verdict v = failure_decide(&e);
        cr_expect_eq(v.action, cases[i].action, "%zu", i);
        cr_expect_eq(v.never_the_row, cases[i].never_the_row, "%zu", i);
        if (v.action == FAILURE_RETRY) cr_expect_eq(v.maybe_paid, connects, "%zu", i);
    }
}

Test(openai_failure, an_error_in_a_200_counts_as_that_error)
{
    failure_event e = event_of(200, "{\"error\":{\"code\":429,\"message\":\"upstream\"}}");
    e.bad_answer = true;
    failure_verdict v = failure_decide(&e);
    cr_expect_eq(v.action, FAILURE_RETRY);
    cr_expect(v.overloaded);
    e = event_of(200, "half");
    e.bad_answer = true;
    v = failure_decide(&e);
    cr_expect_eq(v.action, FAILURE_RETRY);
    cr_expect_str_eq(v.reason, "bad_answer");
    cr_expect(v.maybe_paid);
}

Test(openai_failure, backs_off_twice_as_long_each_time_up_to_a_limit)
{
    rng_key key = rng_key_make(1, "t", (rt_id){.low = 4}, 0);
    bool differ = false;
    for (uint32_t attempt = 0; attempt < 40; attempt++) {
        uint64_t most = BACKOFF_FIRST_MS;
        for (uint32_t i = 0; i < attempt && most < BACKOFF_MAX_MS; i++) most *= 2;
        most = RT_MIN(most, (uint64_t)BACKOFF_MAX_MS);
        uint64_t ms = failure_backoff_ms(key, attempt, BACKOFF_MAX_MS);
        cr_expect_geq(ms, most / 2);
        cr_expect_leq(ms, most);
        cr_expect_eq(ms, failure_backoff_ms(key, attempt, BACKOFF_MAX_MS), "repeats");
        differ = differ || ms != failure_backoff_ms(rng_key_make(2, "t", (rt_id){0}, 0), attempt,
                                                    BACKOFF_MAX_MS);
    }
    cr_expect(differ);
}

Test(openai_failure, comes_back_soon_where_the_server_answers_others)
{
    failure_event e = event_of(500, "");
    e.attempt = 12;
    cr_expect_geq(failure_decide(&e).wait_ms, BACKOFF_MAX_MS / 2);
    e.answers_others = true;
    cr_expect_leq(failure_decide(&e).wait_ms, BACKOFF_ROW_MAX_MS);
    e.status = 503;
    cr_expect_geq(failure_decide(&e).wait_ms, BACKOFF_LOAD_MAX_MS / 2);
    cr_expect_leq(failure_decide(&e).wait_ms, BACKOFF_LOAD_MAX_MS);
    e.headers = (openai_headers){.has_retry = true, .retry_ms = 9000};
    cr_expect_geq(failure_decide(&e).wait_ms, 9000, "the server's wish stands");
}

Test(openai_failure, waits_at_least_as_long_as_the_server_asks)
{
    failure_event e = event_of(429, "");
    e.headers = (openai_headers){.has_retry = true, .retry_ms = 3000};
    failure_verdict v = failure_decide(&e);
    cr_expect_geq(v.wait_ms, 3000);
    cr_expect_leq(v.wait_ms, 3250);
    e.attempt = 12; /* asked to come at once, again and again */
    e.headers.retry_ms = 0;
    cr_expect_geq(failure_decide(&e).wait_ms, BACKOFF_MAX_MS / 2);
}
