#include "worker/teacher/price.h"

#include <criterion/criterion.h>

Test(price, a_million_tokens_cost_their_price)
{
    const price_table p = {2.5, 1.25, 10};
    cr_expect_eq(price_of(&p, 1000000, 0, 0), UINT64_C(2500000000));
    cr_expect_eq(price_of(&p, 1000000, 1000000, 0), UINT64_C(1250000000));
    cr_expect_eq(price_of(&p, 0, 0, 1000000), UINT64_C(10000000000));
    cr_expect_eq(price_of(&p, 700, 200, 90), 500 * 2500 + 200 * 1250 + 90 * 10000);
}

Test(price, is_rounded_up_and_bounded)
{
    const price_table tiny = {1e-9, 1e-9, 0}, huge = {1e6, 1e6, 1e6}, free_of_charge = {0, 0, 0};
    cr_expect_eq(price_of(&tiny, 1, 0, 0), 1);
    cr_expect_eq(price_of(&huge, UINT64_MAX, 0, UINT64_MAX), PRICE_MAX);
    cr_expect_eq(price_of(&free_of_charge, 1000, 10, 1000), 0);
    cr_expect(price_is_free(&free_of_charge));
    cr_expect_not(price_is_free(&tiny));
    cr_expect_eq(price_of(&(price_table){1, 3, 0}, 10, 50, 0), 10 * 3000,
                 "cached beyond the prompt");
}

Test(price, what_was_promised_at_most_is_never_exceeded)
{
    const price_table tables[] = {{0.15, 0.075, 0.6}, {0.1, 0.3, 0}, {1.1, 0, 4.4}};
    for (size_t t = 0; t < RT_COUNT(tables); t++)
        for (uint64_t prompt = 0; prompt < 400; prompt += 7)
            for (uint64_t cached = 0; cached <= prompt; cached += 13)
                for (uint64_t completion = 0; completion < 200; completion += 31)
                    cr_assert_leq(price_of(&tables[t], prompt, cached, completion),
                                  price_at_most(&tables[t], prompt, completion));
}

Test(price, cached_tokens_cost_as_much_as_others_unless_told_otherwise)
{
    config *c = NULL;
    const char *sets[] = {"limits.price_input=2", "limits.price_output=8", NULL};
    cr_assert_eq(config_parse("t", "name: a\n", 8, sets, &c, NULL), RT_OK);
    price_table p = price_table_of(c);
    cr_expect_float_eq(p.cached_input, 2, 0);
    c->limits.price_cached_input = 0.5;
    p = price_table_of(c);
    cr_expect_float_eq(p.cached_input, 0.5, 0);
    config_free(c);
}
