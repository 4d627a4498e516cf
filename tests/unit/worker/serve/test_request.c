/* A request for text from its JSON: what is read, and what is refused by name. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/serve/request.h"

static const serve_limits limits = {.max_tokens = 100};

static bool parse(serve_kind kind, const char *body, serve_request *out, api_error *why)
{
    return serve_request_parse(kind, body, strlen(body), &limits, out, why);
}

#define USER "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

Test(request, defaults_of_a_chat)
{
    serve_request r = {0};
    api_error why = {0};
    cr_assert(parse(SERVE_CHAT, "{" USER "}", &r, &why), "%s", why.message);
    cr_expect_null(r.model);
    cr_expect_str_eq(r.last_user, "hi");
    cr_expect_eq(r.n, 1);
    cr_expect_eq(r.max_tokens, 100);
    cr_expect(!r.has_temperature && !r.has_seed && !r.stream && !r.logprobs);
    cr_expect_eq(r.top_p, 1);
    cr_expect_eq(r.top_k, 0);
    cr_expect_eq(r.part, WANT_WRITTEN);
    serve_request_free(&r);
}

Test(request, every_field_of_a_chat)
{
    serve_request r = {0};
    api_error why = {0};
    const char *body =
        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be \"},"
        "{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":null},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"tw\"},"
        "{\"type\":\"text\",\"text\":\"o\"}]}],"
        "\"max_tokens\":7,\"max_completion_tokens\":9,\"temperature\":0.5,\"top_p\":0.25,"
        "\"top_k\":-1,\"n\":3,\"seed\":-4,\"stop\":[\"a\",\"bc\"],\"stream\":true,"
        "\"stream_options\":{\"include_usage\":true},\"logprobs\":true,\"top_logprobs\":20,"
        "\"user\":\"u\",\"unknown\":{\"x\":[1]},\"presence_penalty\":0.0,\"tools\":[],"
        "\"response_format\":{\"type\":\"text\"},\"retort\":{\"split_reasoning\":true}}";
    cr_assert(parse(SERVE_CHAT, body, &r, &why), "%s", why.message);
    cr_expect_str_eq(r.model, "m");
    cr_expect_str_eq(r.last_user, "two");
    cr_expect_str_eq(r.prompts[0], "be onetwo");
    cr_expect_eq(r.n_prompts, 1);
    cr_expect_eq(r.max_tokens, 9);
    cr_expect(r.has_temperature && r.temperature == 0.5f && r.top_p == 0.25f);
    cr_expect(r.n == 3 && r.has_seed && r.seed == (uint64_t)-4);
    cr_expect(r.n_stops == 2 && strcmp(r.stops[1], "bc") == 0);
    cr_expect(r.stream && r.include_usage && r.logprobs && r.n_top == 20);
    cr_expect(r.split_reasoning && r.part == WANT_BOTH);
    serve_request_free(&r);
    cr_expect_null(r.prompts);
}

Test(request, prompts_of_completions)
{
    serve_request r = {0};
    api_error why = {0};
    cr_assert(
        parse(SERVE_COMPLETIONS, "{\"prompt\":\"x\",\"stop\":\"\\n\",\"logprobs\":0}", &r, &why));
    cr_expect(r.n_prompts == 1 && strcmp(r.prompts[0], "x") == 0);
    cr_expect(r.n_stops == 1 && r.logprobs && r.n_top == 0);
    serve_request_free(&r);
    cr_assert(parse(SERVE_COMPLETIONS, "{\"prompt\":[\"x\",\"\",\"z\"],\"n\":2}", &r, &why));
    cr_expect(r.n_prompts == 3 && strcmp(r.prompts[2], "z") == 0 && !r.logprobs);
    serve_request_free(&r);
}

typedef struct refusal {
    serve_kind kind;
    const char *body, *param;
    unsigned status;
} refusal;

static const refusal refusals[] = {
    {SERVE_CHAT, "", "", 400},
    {SERVE_CHAT, "{", "", 400},
    {SERVE_CHAT, "[]", "", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"\\u0000\"}]}", "", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}", "", 400},
    {SERVE_CHAT, "{}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[]}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[3]}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"bot\",\"content\":\"\"}]}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"user\"}]}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":4}]}", "messages", 400},
    {SERVE_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
     "messages", 400},
    {SERVE_CHAT, "{" USER ",\"model\":1}", "model", 400},
    {SERVE_CHAT, "{" USER ",\"n\":0}", "n", 400},
    {SERVE_CHAT, "{" USER ",\"n\":129}", "n", 400},
    {SERVE_CHAT, "{" USER ",\"n\":1.5}", "n", 400},
    {SERVE_CHAT, "{" USER ",\"max_tokens\":0}", "max_tokens", 400},
    {SERVE_CHAT, "{" USER ",\"max_completion_tokens\":101}", "max_completion_tokens", 400},
    {SERVE_CHAT, "{" USER ",\"temperature\":2.1}", "temperature", 400},
    {SERVE_CHAT, "{" USER ",\"temperature\":\"1\"}", "temperature", 400},
    {SERVE_CHAT, "{" USER ",\"top_p\":0}", "top_p", 400},
    {SERVE_CHAT, "{" USER ",\"top_p\":1e-60}", "top_p", 400},
    {SERVE_CHAT, "{" USER ",\"top_k\":-2}", "top_k", 400},
    {SERVE_CHAT, "{" USER ",\"seed\":1.5}", "seed", 400},
    {SERVE_CHAT, "{" USER ",\"stop\":[\"\"]}", "stop", 400},
    {SERVE_CHAT, "{" USER ",\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}", "stop", 400},
    {SERVE_CHAT, "{" USER ",\"stop\":5}", "stop", 400},
    {SERVE_CHAT, "{" USER ",\"stream\":1}", "stream", 400},
    {SERVE_CHAT, "{" USER ",\"stream_options\":{\"include_usage\":true}}", "stream_options", 400},
    {SERVE_CHAT, "{" USER ",\"top_logprobs\":3}", "top_logprobs", 400},
    {SERVE_CHAT, "{" USER ",\"logprobs\":true,\"top_logprobs\":21}", "top_logprobs", 400},
    {SERVE_CHAT, "{" USER ",\"tools\":[{}]}", "tools", 400},
    {SERVE_CHAT, "{" USER ",\"response_format\":{\"type\":\"json_object\"}}", "response_format",
     400},
    {SERVE_CHAT, "{" USER ",\"frequency_penalty\":0.1}", "frequency_penalty", 400},
    {SERVE_CHAT, "{" USER ",\"retort\":{\"answer\":\"all\"}}", "retort.answer", 400},
    {SERVE_CHAT, "{" USER ",\"retort\":{\"answer\":\"label\",\"split_reasoning\":true}}",
     "retort.split_reasoning", 400},
    {SERVE_COMPLETIONS, "{}", "prompt", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":[]}", "prompt", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":[1,2]}", "prompt", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":[\"a\",\"b\"],\"n\":65}", "n", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":\"a\",\"echo\":true}", "echo", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":\"a\",\"logprobs\":21}", "logprobs", 400},
    {SERVE_COMPLETIONS, "{\"prompt\":\"a\",\"retort\":{}}", "retort", 400},
};

Test(request, refuses_by_name_and_writes_nothing)
{
    for (size_t i = 0; i < RT_COUNT(refusals); i++) {
        const refusal *c = &refusals[i];
        serve_request r = {.n = 77};
        api_error why = {0};
        cr_expect(!parse(c->kind, c->body, &r, &why), "%s was taken", c->body);
        cr_expect_eq(api_error_status(&why), c->status, "%s: %u", c->body, api_error_status(&why));
        cr_expect_str_eq(why.param, c->param, "%s: '%s'", c->body, why.param);
        cr_expect_gt(strlen(why.message), 0);
        cr_expect_eq(r.n, 77);
    }
}

/* Deeper than any parser should follow: the limit is the JSON library's own, 2,048. */
Test(request, a_body_nested_without_end_is_bad_json)
{
    enum { N = 300000 };
    char *body = malloc(N + 1);
    serve_request r = {0};
    api_error why = {0};
    cr_assert_not_null(body);
    memset(body, '[', N);
    body[N] = '\0';
    cr_expect_not(parse(SERVE_CHAT, body, &r, &why));
    cr_expect_eq(why.problem, API_BAD_JSON);
    cr_expect_not_null(strstr(why.message, "depth"), "%s", why.message);
    free(body);
}

Test(api_error, is_json_with_nulls_for_what_is_not_there)
{
    api_error why;
    rt_buf out = {0};
    cr_expect(!api_refuse(&why, API_BAD_REQUEST, "n", "n: \"%s\"", "x"));
    cr_assert_eq(api_error_to_json(&why, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "{\"error\":{\"message\":\"n: \\\"x\\\"\",\"type\":"
                               "\"invalid_request_error\",\"param\":\"n\",\"code\":null}}");
    rt_buf_clear(&out);
    api_refuse(&why, API_LINE_FULL, NULL, "full");
    cr_assert_eq(api_error_to_json(&why, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "{\"error\":{\"message\":\"full\",\"type\":\"rate_limit_error\","
                               "\"param\":null,\"code\":\"rate_limit_exceeded\"}}");
    cr_expect_eq(api_error_status(&why), 429);
    rt_buf_free(&out);
}

Test(api_error, a_message_cut_in_a_character_stays_utf8)
{
    char longest[600];
    api_error why;
    rt_buf out = {0};
    for (size_t i = 0; i + 2 < sizeof longest; i += 2) memcpy(longest + i, "\xC3\xA9", 3);
    for (size_t skip = 0; skip < 2; skip++) {
        api_refuse(&why, API_BAD_REQUEST, NULL, "%.*s%s", (int)skip, "x", longest);
        cr_assert_eq(api_error_to_json(&why, &out, NULL), RT_OK);
    }
    rt_buf_free(&out);
}
