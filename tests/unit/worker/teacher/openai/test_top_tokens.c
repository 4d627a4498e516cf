#include <criterion/criterion.h>
#include <string.h>

#include "common/dataset/topk.h"
#include "worker/teacher/openai/top_tokens.h"

static topk_reader read_text(const char *text)
{
    rt_buf out = {0};
    topk_reader r = {0};
    rt_error err = {0};
    json_t *root = json_loads(text, 0, NULL);
    cr_assert_not_null(root, "%s", text);
    cr_assert_eq(top_tokens_read(root, &out, &err), RT_OK, "%s", err.text);
    if (out.n > 0)
        cr_assert_eq(topk_open(out.data, out.n, &r, &err), RT_OK, "%s: %s", text, err.text);
    json_decref(root);
    rt_buf_free(&out);
    return r;
}

static void expect_place(topk_reader *r, double tail, size_t n, const char *const *tokens)
{
    topk_place p;
    cr_assert_eq(topk_next(r, &p), RT_OK);
    cr_expect_eq(p.n, n);
    for (size_t i = 0; i < p.n; i++)
        cr_expect(p.entries[i].n == strlen(tokens[i]) &&
                      memcmp(p.entries[i].token, tokens[i], p.entries[i].n) == 0,
                  "%zu: %.*s", i, (int)p.entries[i].n, p.entries[i].token);
    cr_expect_float_eq(exp(p.log_tail), tail, 1e-4);
}

/* -0.6931472 is one half, -1.3862944 a quarter. */
Test(top_tokens, of_a_chat_hold_the_written_one_first_and_once)
{
    topk_reader r = read_text(
        "{\"content\":[{\"token\":\"b\",\"bytes\":null,\"logprob\":-1.3862944,\"top_logprobs\":["
        "{\"token\":\"a\",\"logprob\":-0.6931472},{\"token\":\"b\",\"logprob\":-1.3862944}]},"
        "{\"token\":\"?\",\"bytes\":[227,129],\"logprob\":-0.6931472,\"top_logprobs\":["
        "{\"token\":\"?\",\"bytes\":[227,129],\"logprob\":-0.6931472},"
        "{\"token\":\"?\",\"bytes\":[227,130],\"logprob\":-9999.0}]}]}");
    expect_place(&r, 0.25, 2, (const char *const[]){"b", "a"});
    expect_place(&r, 0.5, 2, (const char *const[]){"\xe3\x81", "\xe3\x82"});
    topk_close(&r);
}

Test(top_tokens, of_a_plain_completion_are_the_same)
{
    topk_reader r = read_text(
        "{\"tokens\":[\"b\",\"c\"],\"token_logprobs\":[-1.3862944,-0.6931472],\"top_logprobs\":["
        "{\"a\":-0.6931472,\"b\":-1.3862944},{\"d\":-1.3862944}],\"text_offset\":[0,1]}");
    expect_place(&r, 0.25, 2, (const char *const[]){"b", "a"});
    expect_place(&r, 0.25, 2, (const char *const[]){"c", "d"});
    topk_close(&r);
}

Test(top_tokens, are_none_where_none_were_told_or_they_are_no_probabilities)
{
    static const char *const cases[] = {
        "null",
        "{}",
        "{\"content\":[]}",
        "{\"content\":null,\"refusal\":null}",
        "{\"content\":[{\"token\":\"a\",\"logprob\":-1,\"top_logprobs\":[]}]}",
        "{\"tokens\":[\"a\"],\"token_logprobs\":[-1],\"top_logprobs\":null}",
        /* logits in their place */
        "{\"content\":[{\"token\":\"a\",\"logprob\":7,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":3}]}]}",
        "{\"content\":[{\"token\":\"a\",\"logprob\":-0.1,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-0.1}]}]}",
        /* a place of which nothing is known */
        "{\"content\":[{\"token\":\"a\",\"logprob\":-1,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-2}]},7]}",
        "{\"content\":[{\"token\":\"a\",\"logprob\":null,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-2}]}]}",
        "{\"content\":[{\"token\":1,\"logprob\":-1,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-2}]}]}",
        "{\"content\":[{\"token\":\"a\",\"bytes\":[300],\"logprob\":-1,\"top_logprobs\":[{\"token\":\"b\",\"logprob\":-2}]}]}",
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        rt_buf out = {0};
        json_t *root = json_loads(cases[i], JSON_DECODE_ANY, NULL);
        cr_assert_not_null(root, "%s", cases[i]);
        cr_expect_eq(top_tokens_read(root, &out, NULL), RT_OK);
        cr_expect_eq(out.n, 0, "%s", cases[i]);
        json_decref(root);
        rt_buf_free(&out);
    }
}

Test(top_tokens, others_that_cannot_be_kept_belong_to_the_tail)
{
    topk_reader r = read_text(
        "{\"content\":[{\"token\":\"a\",\"logprob\":-0.6931472,\"top_logprobs\":[{\"token\":\"b\","
        "\"logprob\":null},{\"token\":7,\"logprob\":-1.3862944},\"x\"]}]}");
    expect_place(&r, 0.5, 1, (const char *const[]){"a"});
    topk_close(&r);
}
