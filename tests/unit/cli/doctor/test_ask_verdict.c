#include "cli/doctor/ask_verdict.h"

#include <criterion/criterion.h>
#include <string.h>

#define USAGE    ",\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}"
#define CHOICE   "{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"content\":\"yes\"}}"
#define ANSWER   "{\"choices\":[" CHOICE "]" USAGE "}"
#define NO_USAGE "{\"choices\":[" CHOICE "]}"

static ask_reply reply_of(long status, const char *body)
{
    return (ask_reply){.problem = "",
                       .was_sent = true,
                       .status = status,
                       .body = body,
                       .n_body = strlen(body),
                       .took_ms = 42,
                       .model = "m",
                       .n_choices = 1,
                       .currency = "EUR"};
}

#define EXPECT_LEVEL(f, wanted) \
    cr_expect_eq((f).level, wanted, "%s: %s", finding_level_name((f).level), (f).found)
#define EXPECT_HAS(text, words) cr_expect(strstr(text, words) != NULL, "%s", text)

Test(ask_verdict, an_answer_tells_latency_tokens_price_and_limits)
{
    ask_reply r = reply_of(200, ANSWER);
    r.prices = (price_table){.input = 1, .cached_input = 1, .output = 2};
    r.headers.requests = (openai_quota){.known = true, .n_left = 9, .n_limit = 10, .reset_ms = 1};
    r.headers.tokens = (openai_quota){.known = true, .n_left = 800, .reset_ms = 1};
    finding f = ask_verdict(&r);
    EXPECT_LEVEL(f, FINDING_OK);
    cr_expect_str_eq(f.found, "m answered in 42 ms: 10 + 5 tokens, 0.000020 EUR; left: 9 of 10 "
                              "requests, 800 tokens");
    r = reply_of(200, ANSWER);
    cr_expect_str_eq(ask_verdict(&r).found, "m answered in 42 ms: 10 + 5 tokens");
}

Test(ask_verdict, what_was_asked_for_and_did_not_come_is_a_warning)
{
    ask_reply r = reply_of(200, ANSWER);
    r.logprobs = true;
    EXPECT_LEVEL(ask_verdict(&r), FINDING_WARN);
    EXPECT_HAS(ask_verdict(&r).fix, "teacher.logprobs");
    r.logprobs = false;
    r.n_choices = 3;
    EXPECT_LEVEL(ask_verdict(&r), FINDING_WARN);
    EXPECT_HAS(ask_verdict(&r).fix, "teacher.choices_max to 1");
    r = reply_of(200, NO_USAGE);
    EXPECT_LEVEL(ask_verdict(&r), FINDING_OK);
    r.has_budget = true;
    EXPECT_LEVEL(ask_verdict(&r), FINDING_WARN);
}

Test(ask_verdict, refusals_are_settings_and_trouble_is_the_environment)
{
    static const struct {
        long status;
        const char *body;
        finding_level level;
        rt_status why;
    } cases[] = {
        {400, "{\"error\":{\"message\":\"unknown field top_k\"}}", FINDING_FAIL, RT_INVALID},
        {401, "{\"error\":{\"message\":\"bad key\"}}", FINDING_FAIL, RT_INVALID},
        {404, "{\"error\":{\"message\":\"no such model\"}}", FINDING_FAIL, RT_INVALID},
        {429, "{\"error\":{\"code\":\"insufficient_quota\"}}", FINDING_FAIL, RT_INVALID},
        {429, "{\"error\":{\"message\":\"slow down\"}}", FINDING_WARN, RT_OK},
        {500, "{\"error\":{\"message\":\"oops\"}}", FINDING_FAIL, RT_UNAVAILABLE},
        {200, "<html>", FINDING_FAIL, RT_UNAVAILABLE},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        ask_reply r = reply_of(cases[i].status, cases[i].body);
        finding f = ask_verdict(&r);
        EXPECT_LEVEL(f, cases[i].level);
        cr_expect_eq(f.why, cases[i].why, "%s", f.found);
        cr_expect_neq(f.fix[0], '\0');
    }
    ask_reply r = reply_of(400, cases[0].body);
    EXPECT_HAS(ask_verdict(&r).found, "unknown field top_k");
}

Test(ask_verdict, a_transport_that_fails_is_the_environment)
{
    ask_reply r = reply_of(0, "");
    r.transport = HTTP_TIMED_OUT;
    r.problem = "Operation timed out";
    finding f = ask_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_UNAVAILABLE);
    EXPECT_HAS(f.found, "Operation timed out");
}
