#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/answer_bytes.h"

Test(answer_bytes, come_back_as_they_were)
{
    rt_buf bytes = {0};
    backend_answer a = {.text = "a \xc3\xa4 b",
                        .n_text = 6,
                        .finish_reason = "length",
                        .truncated = true,
                        .n_prompt_tokens = 1,
                        .n_completion_tokens = 2,
                        .n_reasoning_tokens = 3,
                        .n_cached_tokens = 4,
                        .has_logprob = true,
                        .sum_logprob = -1.25,
                        .reasoning = "why",
                        .rationale_source = "think",
                        .topk = "AQAAAAAAAAAA",
                        .cost = 7};
    backend_answer b = {0};
    cr_assert_eq(answer_to_bytes(&a, &bytes, NULL), RT_OK);
    cr_assert_eq(answer_from_bytes(bytes.data, bytes.n, &b, NULL), RT_OK);
    cr_expect_str_eq(b.text, a.text);
    cr_expect_eq(b.n_text, 6);
    cr_expect_str_eq(b.finish_reason, "length");
    cr_expect(b.truncated);
    cr_expect_eq(b.n_reasoning_tokens, 3);
    cr_expect_eq(b.n_cached_tokens, 4);
    cr_expect_eq(b.sum_logprob, -1.25);
    cr_expect_str_eq(b.reasoning, "why");
    cr_expect_str_eq(b.rationale_source, "think");
    cr_expect_str_eq(b.topk, a.topk);
    cr_expect(b.cached);
    cr_expect_eq(b.cost, 0, "nothing is paid now");
    cr_expect_null(b.reason);
    backend_answers_free(&b, 1);
    for (size_t n = 0; n < bytes.n; n++)
        cr_expect_eq(answer_from_bytes(bytes.data, n, &b, NULL), RT_CORRUPT, "%zu bytes", n);
    rt_buf_free(&bytes);
}

Test(answer_bytes, keep_a_reason_and_refuse_one_that_is_not_ours)
{
    static const char strange[] =
        "{\"v\":1,\"text\":\"\",\"reason\":\"moon phase\",\"truncated\":false,\"prompt_tokens\":0,"
        "\"completion_tokens\":0,\"reasoning_tokens\":0,\"cached_tokens\":0}";
    rt_buf bytes = {0};
    backend_answer a = {.reason = "truncated"}, b = {0};
    cr_assert_eq(answer_to_bytes(&a, &bytes, NULL), RT_OK);
    cr_assert_eq(answer_from_bytes(bytes.data, bytes.n, &b, NULL), RT_OK);
    cr_expect_str_eq(b.reason, "truncated");
    cr_expect_eq(b.n_text, 0);
    backend_answers_free(&b, 1);
    cr_expect_eq(answer_from_bytes(strange, strlen(strange), &b, NULL), RT_CORRUPT);
    rt_buf_free(&bytes);
}

Test(answer_bytes, the_key_tells_everything_apart_that_shapes_an_answer)
{
    const answer_key_parts one = {
        .base_url = "http://h/v1", .kind = "chat", .body = "{}", .n_body = 2, .sample = 0};
    answer_key_parts others[4] = {one, one, one, one};
    rt_id key, other;
    others[0].base_url = "http://g/v1";
    others[1].kind = "completions";
    others[2].body = "[]";
    others[3].sample = 1;
    cr_assert_eq(answer_key(&one, &key, NULL), RT_OK);
    for (size_t i = 0; i < RT_COUNT(others); i++) {
        cr_assert_eq(answer_key(&others[i], &other, NULL), RT_OK);
        cr_expect_not(rt_id_equal(key, other), "%zu", i);
    }
    cr_assert_eq(answer_key(&one, &other, NULL), RT_OK);
    cr_expect(rt_id_equal(key, other));
}
