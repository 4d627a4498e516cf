#include "cli/doctor/ask_verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/teacher/openai/failure.h"
#include "worker/teacher/openai/response.h"

/* A server in trouble, or the settings? */
static finding verdict_on_failure(const ask_reply *r, bool bad_answer)
{
    finding f;
    failure_event e = {.transport = r->transport,
                       .transport_text = r->problem,
                       .was_sent = r->was_sent,
                       .status = r->status,
                       .bad_answer = bad_answer,
                       .body = r->body,
                       .n_body = r->n_body,
                       .headers = r->headers};
    failure_verdict v = failure_decide(&e);
    if (v.action == FAILURE_RETRY) {
        f = v.overloaded ? finding_warn("the server is too busy now: %s", v.message)
                         : finding_fail(RT_UNAVAILABLE, "no answer: %s", v.message);
        finding_fix(&f, v.overloaded ? "look again later; limits.requests_per_minute and "
                                       "limits.tokens_per_minute keep a run within its quota"
                                     : "look at the server's log, or again later");
    } else if (v.action == FAILURE_REJECT) {
        f = finding_fail(RT_INVALID, "the server refuses such requests (status %ld): %s", r->status,
                         v.message);
        finding_fix(&f,
                    "take out what it does not know: teacher.extra_body, logprobs, choices_max, "
                    "schema_file, stop, max_tokens_field, instruction_role; docs/teachers.md "
                    "has settings for known servers");
    } else {
        f = finding_fail(RT_INVALID, "%s", v.message);
        finding_fix(&f, "correct the setting that is named");
    }
    finding_expect(&f, "an answer from %s", r->model);
    return f;
}

static void say_limits(const ask_reply *r, char out[200])
{
    const openai_quota *q[] = {&r->headers.requests, &r->headers.tokens};
    static const char *const names[] = {"requests", "tokens"};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < RT_COUNT(q); i++) {
        if (!q[i]->known) continue;
        char of[32] = "";
        if (q[i]->n_limit > 0) snprintf(of, sizeof of, " of %" PRIu64, q[i]->n_limit);
        n += (size_t)snprintf(out + n, 200 - n, "%s%" PRIu64 "%s %s", n == 0 ? "; left: " : ", ",
                              q[i]->n_left, of, names[i]);
    }
}

static void say_costs(const ask_reply *r, const openai_usage *u, char out[120])
{
    if (!u->known) {
        snprintf(out, 120, "the server does not tell its tokens");
        return;
    }
    uint64_t cost = price_of(&r->prices, u->n_prompt, u->n_cached, u->n_completion);
    int n = snprintf(out, 120, "%" PRIu64 " + %" PRIu64 " tokens", u->n_prompt, u->n_completion);
    if (!price_is_free(&r->prices) && n > 0)
        snprintf(out + n, 120 - (size_t)n, ", %.6f %s", (double)cost * PRICE_UNIT, r->currency);
}

/* Text came, and not with it what was asked for. */
static bool lacks_logprobs(const ask_reply *r, const openai_reply *reply)
{
    for (size_t i = 0; r->logprobs && i < reply->n_choices; i++)
        if (reply->choices[i].reason == NULL && !reply->choices[i].has_logprob) return true;
    return false;
}

static finding verdict_on_answer(const ask_reply *r, const openai_reply *reply)
{
    char costs[120], limits[200];
    finding f;
    say_costs(r, &reply->usage, costs);
    say_limits(r, limits);
    f = finding_ok("%s answered in %" PRIu64 " ms: %s%s", r->model, r->took_ms, costs, limits);
    finding_expect(&f, "an answer from %s", r->model);
    if (lacks_logprobs(r, reply)) {
        f.level = FINDING_WARN;
        finding_expect(&f, "log-probabilities, as teacher.logprobs asks");
        finding_fix(&f, "set teacher.logprobs to false: quality.vote weighted and cluster have "
                        "nothing to weigh by");
    } else if (reply->n_choices < r->n_choices) {
        f.level = FINDING_WARN;
        finding_expect(&f,
                       "%" PRIu64 " choices of one request, %zu came; the others will be asked "
                       "for again",
                       r->n_choices, reply->n_choices);
        finding_fix(&f, "set teacher.choices_max to %zu", reply->n_choices);
    } else if (!reply->usage.known && r->has_budget) {
        f.level = FINDING_WARN;
        finding_expect(&f,
                       "usage in the answer: without it each request counts as the most that it "
                       "could have cost");
        finding_fix(&f, "a larger limits.budget, or a server that tells");
    }
    return f;
}

finding ask_verdict(const ask_reply *r)
{
    openai_reply reply = {0};
    rt_status st = RT_CORRUPT;
    if (r->transport != HTTP_OK || r->status != 200) return verdict_on_failure(r, false);
    st = openai_reply_read(r->body, r->n_body, &reply, NULL);
    finding f = st == RT_OK ? verdict_on_answer(r, &reply) : verdict_on_failure(r, true);
    openai_reply_free(&reply);
    return f;
}
