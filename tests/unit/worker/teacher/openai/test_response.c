#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/teacher/openai/response.h"

static rt_status read_text(const char *text, openai_reply *out)
{
    rt_error err = {0};
    return openai_reply_read(text, strlen(text), out, &err);
}

typedef struct choice_case {
    const char *choice; /* JSON of the only one */
    const char *text, *reasoning, *source, *reason, *finish;
} choice_case;

#define MESSAGE(fields) "{\"finish_reason\":\"stop\",\"message\":{" fields "}}"
#define CUT(fields)     "{\"finish_reason\":\"length\",\"message\":{" fields "}}"

static const choice_case choice_cases[] = {
    {MESSAGE("\"content\":\"yes\""), "yes", "", NULL, NULL, "stop"},
    {MESSAGE("\"content\":null"), "", "", NULL, NULL, "stop"},
    {MESSAGE("\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"x\":1},{\"text\":\"b\"}]"), "ab",
     "", NULL, NULL, "stop"},
    {"{\"text\":\"plain\",\"finish_reason\":\"length\"}", "plain", "", NULL, NULL, "length"},
    {"{\"message\":{\"content\":\"x\"},\"finish_reason\":null}", "x", "", NULL, NULL, "stop"},
    {"{\"message\":{\"content\":\"x\"},\"finish_reason\":\"tool_calls\"}", "x", "", NULL, NULL,
     "tool_calls"},
    {"{\"message\":{\"content\":\"x\"},\"finish_reason\":\"new_word\"}", "x", "", NULL, NULL,
     "other"},
    /* where the thought is, in this order */
    {MESSAGE("\"content\":\"a\",\"reasoning\":\"r\",\"reasoning_content\":\"c\""), "a", "r",
     "reasoning", NULL, "stop"},
    {MESSAGE("\"content\":\"a\",\"reasoning\":null,\"reasoning_content\":\"c\""), "a", "c",
     "reasoning_content", NULL, "stop"},
    {MESSAGE("\"content\":\"a\",\"reasoning\":\" \",\"reasoning_details\":[{\"text\":\"d\"},{"
             "\"text\":\"e\"}]"),
     "a", "de", "reasoning_details", NULL, "stop"},
    {MESSAGE("\"content\":\"\\n<think>\\nt\\n</think>\\n\\na\""), "a", "t", "think", NULL, "stop"},
    {MESSAGE("\"content\":\"t </think> a\""), "a", "t", "think", NULL, "stop"},
    {MESSAGE("\"content\":\"<think></think>a\""), "a", "", NULL, NULL, "stop"},
    {MESSAGE("\"content\":\"<think>t</think>a\",\"reasoning\":\"r\""), "a", "r", "reasoning", NULL,
     "stop"},
    {MESSAGE("\"content\":\"a <think> b\""), "a <think> b", "", NULL, NULL, "stop"},
    {MESSAGE("\"content\":\"a\",\"reasoning\":\"x\\u0000y\""), "a", "x y", "reasoning", NULL,
     "stop"},
    /* why there is no answer */
    {MESSAGE("\"content\":\"<think>t\""), "", "t", "think", "truncated_reasoning", "stop"},
    {CUT("\"content\":\"\",\"reasoning\":\"r\""), "", "r", "reasoning", "truncated_reasoning",
     "length"},
    {CUT("\"content\":null,\"reasoning_content\":\"r\""), "", "r", "reasoning_content",
     "truncated_reasoning", "length"},
    {CUT("\"content\":\"half an ans\",\"reasoning\":\"r\""), "half an ans", "r", "reasoning", NULL,
     "length"},
    {MESSAGE("\"content\":null,\"refusal\":\"I will not\""), "I will not", "", NULL, "refused",
     "stop"},
    {MESSAGE("\"content\":\"half\",\"refusal\":\"I will not\""), "half", "", NULL, "refused",
     "stop"},
    {MESSAGE("\"content\":\"x\",\"refusal\":\"\""), "x", "", NULL, NULL, "stop"},
    {"{\"message\":{\"content\":\"\"},\"finish_reason\":\"content_filter\"}", "", "", NULL,
     "content_filter", "content_filter"},
};

static const char *text_of(const rt_buf *b)
{
    return b->data != NULL ? b->data : "";
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

Test(openai_response, reads_text_thought_and_reason_of_a_choice)
{
    for (size_t i = 0; i < RT_COUNT(choice_cases); i++) {
        const choice_case *k = &choice_cases[i];
        char text[1024];
        openai_reply reply = {0};
        snprintf(text, sizeof text, "{\"choices\":[%s]}", k->choice);
        cr_assert_eq(read_text(text, &reply), RT_OK, "%s", text);
        cr_assert_eq(reply.n_choices, 1, "%s", text);
        const openai_choice *c = &reply.choices[0];
        cr_expect(is_same(text_of(&c->text), k->text), "%s: text '%s'", text, text_of(&c->text));
        cr_expect(is_same(text_of(&c->reasoning), k->reasoning), "%s: thought '%s'", text,
                  text_of(&c->reasoning));
        cr_expect(is_same(c->rationale_source, k->source), "%s: source", text);
        cr_expect(is_same(c->reason, k->reason), "%s: reason %s", text, c->reason);
        cr_expect(is_same(c->finish_reason, k->finish), "%s: finish %s", text, c->finish_reason);
        cr_expect_eq(c->truncated, strcmp(k->finish, "length") == 0);
        openai_reply_free(&reply);
    }
}

Test(openai_response, orders_choices_by_index_and_leaves_out_what_broke_off)
{
    openai_reply reply = {0};
    cr_assert_eq(read_text("{\"choices\":["
                           "{\"index\":3,\"message\":{\"content\":\"d\"}},"
                           "{\"index\":1,\"message\":{\"content\":\"b\"},\"finish_reason\":"
                           "\"abort\"},"
                           "{\"index\":0,\"message\":{\"content\":\"a\"}},"
                           "{\"index\":3,\"message\":{\"content\":\"again\"}},"
                           "7, {}, {\"index\":2,\"text\":\"c\"}]}",
                           &reply),
                 RT_OK);
    cr_assert_eq(reply.n_choices, 3);
    cr_expect_str_eq(reply.choices[0].text.data, "a");
    cr_expect_str_eq(reply.choices[1].text.data, "c");
    cr_expect_eq(reply.choices[2].index, 3);
    openai_reply_free(&reply);
    cr_assert_eq(read_text("{\"choices\":[]}", &reply), RT_OK);
    cr_expect_eq(reply.n_choices, 0);
    openai_reply_free(&reply);
}

Test(openai_response, reads_usage_under_all_its_names)
{
    openai_reply reply = {0};
    cr_assert_eq(read_text("{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":"
                           "50,\"prompt_tokens_details\":{\"cached_tokens\":64},\"completion_"
                           "tokens_details\":{\"reasoning_tokens\":40}}}",
                           &reply),
                 RT_OK);
    cr_expect(reply.usage.known);
    cr_expect_eq(reply.usage.n_prompt, 100);
    cr_expect_eq(reply.usage.n_completion, 50);
    cr_expect_eq(reply.usage.n_reasoning, 40);
    cr_expect_eq(reply.usage.n_cached, 64);
    openai_reply_free(&reply);
    cr_assert_eq(read_text("{\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"prompt_cache_hit_"
                           "tokens\":700,\"completion_tokens\":-3,\"prompt_tokens_details\":null}}",
                           &reply),
                 RT_OK);
    cr_expect_eq(reply.usage.n_cached, 100, "never more than there are");
    cr_expect_eq(reply.usage.n_completion, 0);
    openai_reply_free(&reply);
    cr_assert_eq(read_text("{\"choices\":[]}", &reply), RT_OK);
    cr_expect_not(reply.usage.known);
    openai_reply_free(&reply);
}

Test(openai_response, a_hidden_thought_that_was_cut_shows_in_the_usage)
{
    openai_reply reply = {0};
    cr_assert_eq(
        read_text(
            "{\"choices\":[" CUT(
                "\"content\":\"\"") "],\"usage\":{\"completion_"
                                    "tokens\":64,\"completion_tokens_details\":{\"reasoning_tokens\":64}}}",
            &reply),
        RT_OK);
    cr_expect_str_eq(reply.choices[0].reason, "truncated_reasoning");
    openai_reply_free(&reply);
}

Test(openai_response, sums_log_probabilities_of_both_kinds)
{
    openai_reply reply = {0};
    cr_assert_eq(read_text("{\"choices\":[{\"message\":{\"content\":\"x\"},\"logprobs\":{"
                           "\"content\":[{\"logprob\":-0.5},{\"logprob\":-1},{}]}},"
                           "{\"text\":\"y\",\"logprobs\":{\"token_logprobs\":[null,-0.25]}},"
                           "{\"text\":\"z\",\"logprobs\":null}]}",
                           &reply),
                 RT_OK);
    cr_expect_float_eq(reply.choices[0].sum_logprob, -1.5, 1e-12);
    cr_expect(reply.choices[1].has_logprob);
    cr_expect_float_eq(reply.choices[1].sum_logprob, -0.25, 1e-12);
    cr_expect_not(reply.choices[2].has_logprob);
    openai_reply_free(&reply);
}

Test(openai_response, refuses_what_is_no_answer_and_writes_nothing)
{
    static const char *const bad[] = {
        "", "{", "[]", "7", "null", "{\"choices\":{}}", "<html>502</html>"};
    openai_reply reply = {0};
    for (size_t i = 0; i < RT_COUNT(bad); i++)
        cr_expect_eq(read_text(bad[i], &reply), RT_CORRUPT, "%s", bad[i]);
    cr_expect_eq(read_text("{\"error\":{\"message\":\"no\"}}", &reply), RT_REFUSED);
    cr_expect_null(reply.choices);
}

Test(openai_response, half_a_character_is_repaired_and_not_refused)
{
    openai_reply reply = {0};
    cr_assert_eq(read_text("{\"choices\":[{\"text\":\"caf\xc3\"}]}", &reply), RT_OK);
    cr_expect_str_eq(reply.choices[0].text.data, "caf\xef\xbf\xbd");
    openai_reply_free(&reply);
}

Test(openai_response, every_prefix_of_an_answer_is_refused)
{
    static const char whole[] = "{\"choices\":[" MESSAGE("\"content\":\"<think>t</think>a\"") "]}";
    for (size_t n = 0; n + 1 < sizeof whole; n++) {
        openai_reply reply = {0};
        rt_status st = openai_reply_read(whole, n, &reply, NULL);
        cr_expect_eq(st, n + 2 > sizeof whole ? RT_OK : RT_CORRUPT, "%zu bytes", n);
        openai_reply_free(&reply);
    }
}

Test(response, an_answer_nested_without_end_is_refused)
{
    enum { N = 300000 };
    char *body = malloc(N + 1);
    openai_reply reply = {0};
    cr_assert_not_null(body);
    for (size_t i = 0; i < N; i++) body[i] = "{\"a\":"[i % 5];
    body[N] = '\0';
    cr_expect_neq(read_text(body, &reply), RT_OK);
    free(body);
}
