#include <criterion/criterion.h>

#include "coordinator/fair_share.h"

static share_pool pool_of(int64_t requests, int64_t tokens)
{
    return (share_pool){{requests, tokens, INT64_MAX, INT64_MAX}};
}

static share_wish wish(uint64_t n, uint64_t tokens, uint64_t served_ms)
{
    return (share_wish){n, {{1, tokens, 0, 1}}, served_ms};
}

Test(fair_share, small_wishes_are_met_and_the_rest_is_split)
{
    share_wish w[] = {wish(2, 1, 0), wish(100, 1, 0), wish(100, 1, 0)};
    share_pool pool = pool_of(22, INT64_MAX);
    cr_expect_eq(fair_share(w, 3, &pool, 0), 2);
    cr_expect_eq(fair_share(w, 3, &pool, 1), 10);
    cr_expect_eq(fair_share(w, 3, &pool, 2), 10);
}

Test(fair_share, what_is_too_little_for_all_goes_to_the_first_in_line)
{
    share_wish w[] = {wish(9, 1, 30), wish(9, 1, 10), wish(9, 1, 20)};
    share_pool pool = pool_of(2, INT64_MAX);
    cr_expect_eq(fair_share(w, 3, &pool, 0), 0);
    cr_expect_eq(fair_share(w, 3, &pool, 1), 1);
    cr_expect_eq(fair_share(w, 3, &pool, 2), 1);
}

Test(fair_share, a_large_request_at_the_head_keeps_small_ones_waiting)
{
    share_wish w[] = {wish(1, 900, 10), wish(1, 100, 20)};
    share_pool pool = pool_of(INT64_MAX, 500);
    cr_expect_eq(fair_share(w, 2, &pool, 0), 0);
    cr_expect_eq(fair_share(w, 2, &pool, 1), 0);
    pool = pool_of(INT64_MAX, 950);
    cr_expect_eq(fair_share(w, 2, &pool, 0), 1);
    cr_expect_eq(fair_share(w, 2, &pool, 1), 0);
}

Test(fair_share, an_empty_or_overdrawn_pool_gives_nothing)
{
    share_wish w[] = {wish(5, 10, 0)};
    share_pool none = pool_of(0, 0), debts = pool_of(-7, INT64_MAX);
    cr_expect_eq(fair_share(w, 1, &none, 0), 0);
    cr_expect_eq(fair_share(w, 1, &debts, 0), 0);
    cr_expect_eq(share_pool_pays(&debts, &w[0].need), 0);
}

Test(fair_share, the_scarcest_resource_decides)
{
    share_wish w[] = {wish(50, 10, 0)};
    share_pool pool = pool_of(40, 75);
    cr_expect_eq(fair_share(w, 1, &pool, 0), 7);
    cr_expect_eq(share_pool_pays(&pool, &w[0].need), 7);
}
