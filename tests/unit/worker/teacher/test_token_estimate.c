#include "worker/teacher/token_estimate.h"

#include <criterion/criterion.h>

#include "common/base/rng.h"

Test(token_estimate, is_the_most_until_enough_was_seen)
{
    token_estimate e = {0};
    for (int i = 0; i + 1 < TOKEN_ESTIMATE_MIN; i++) token_estimate_add(&e, 1000, 100);
    cr_expect_eq(token_estimate_of(&e, 1000, 50), 1000);
    token_estimate_add(&e, 1000, 100);
    cr_expect_eq(token_estimate_of(&e, 1000, 50), 100, "all alike: no margin is needed");
    token_estimate_add(&e, 0, 0);
    cr_expect_eq(token_estimate_of(&e, 500, 1), 50);
}

Test(token_estimate, needs_less_of_a_margin_the_more_are_under_way)
{
    token_estimate e = {0};
    for (int i = 0; i < 1000; i++) token_estimate_add(&e, 1000, i % 2 == 0 ? 100 : 300);
    uint64_t alone = token_estimate_of(&e, 1000, 1), many = token_estimate_of(&e, 1000, 100);
    cr_expect_gt(alone, 550, "%lu", alone);
    cr_expect_lt(many, 300, "%lu", many);
    cr_expect_gt(many, 200 + 4 * 10, "four deviations of a mean of 100");
    cr_expect_leq(token_estimate_of(&e, 1000, 0), 1000);
}

Test(token_estimate, n_together_hardly_ever_take_more_than_their_estimates)
{
    rng_key key = rng_key_make(5, "tokens", (rt_id){0}, 0);
    token_estimate e = {0};
    uint64_t i_random = 0, n_over = 0;
    for (int round = 0; round < 2000; round++) {
        uint64_t estimated = 0, used = 0;
        for (uint64_t i = 0; i < 20; i++) {
            uint64_t n = 50 + rng_below(key, i_random++, 400);
            used += n;
            estimated += token_estimate_of(&e, 1000, 20);
            token_estimate_add(&e, 1000, n);
        }
        n_over += used > estimated;
    }
    cr_expect_eq(n_over, 0);
}

Test(token_estimate, answers_that_become_longer_are_noticed_within_some_thirty)
{
    token_estimate e = {0};
    for (int i = 0; i < 1000; i++) token_estimate_add(&e, 1000, 100);
    for (int i = 0; i < 32; i++) token_estimate_add(&e, 1000, 400);
    cr_expect_gt(token_estimate_of(&e, 1000, 50), 380);
}
