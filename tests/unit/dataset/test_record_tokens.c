#include "common/dataset/record_tokens.h"

#include <criterion/criterion.h>

Test(record_tokens, sums_what_is_there_and_nothing_else)
{
    record_tokens sum = {0};
    record_tokens_add(&sum, NULL);
    record_tokens_add(&sum, "{\"teacher\":\"t\"}");
    record_tokens_add(&sum, "{\"tokens\": not json");
    record_tokens_add(&sum, "{\"tokens\": 7}");
    record_tokens_add(&sum, "{\"tokens\":{\"prompt\":-4,\"completion\":\"9\"}}");
    cr_expect_eq(sum.n_prompt + sum.n_completion, 0);
    record_tokens_add(&sum, "{\"tokens\":{\"prompt\":700,\"completion\":90}}");
    record_tokens_add(
        &sum, "{\"tokens\":{\"prompt\":1,\"cached\":1,\"completion\":20,\"reasoning\":15}}");
    cr_expect_eq(sum.n_prompt, 701);
    cr_expect_eq(sum.n_cached, 1);
    cr_expect_eq(sum.n_completion, 110);
    cr_expect_eq(sum.n_reasoning, 15);
}
