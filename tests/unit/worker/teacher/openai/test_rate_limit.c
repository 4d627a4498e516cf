#include <criterion/criterion.h>

#include "worker/teacher/openai/rate_limit.h"

static openai_headers headers_of(uint64_t n_left, uint64_t n_limit, uint64_t reset_ms)
{
    return (openai_headers){
        .requests = {.known = true, .n_left = n_left, .n_limit = n_limit, .reset_ms = reset_ms}};
}

static bool allows(rate_limit *l, uint64_t n_flying, uint64_t now_ms, uint64_t *retry_ms)
{
    rate_limit_load flying = {.n_requests = n_flying}, need = {.n_requests = 1, .n_tokens = 10};
    return rate_limit_allows(l, &flying, &need, now_ms, retry_ms);
}

Test(rate_limit, holds_back_what_may_not_be_counted_yet)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    cr_expect(allows(&l, 500, 0, &retry_ms), "nothing is known");
    for (int i = 0; i < 10; i++) rate_limit_on_send(&l);
    openai_headers h = headers_of(3, 60, 1000);
    rate_limit_on_headers(&l, 5, &h, 100);
    cr_expect(allows(&l, 2, 100, &retry_ms));
    cr_expect_not(allows(&l, 3, 100, &retry_ms));
    cr_expect_eq(retry_ms, 1000);
    h = headers_of(7, 60, 990);
    rate_limit_on_headers(&l, 4, &h, 110);
    cr_expect_not(allows(&l, 3, 110, &retry_ms), "an older answer that came later");
    h = headers_of(1, 60, 980);
    rate_limit_on_headers(&l, 6, &h, 120);
    cr_expect_not(allows(&l, 1, 120, &retry_ms));
    cr_expect(allows(&l, 0, 120, &retry_ms));
    uint64_t number = rate_limit_on_send(&l);
    h = headers_of(8, 60, 900);
    rate_limit_on_headers(&l, number, &h, 200);
    cr_expect(allows(&l, 7, 200, &retry_ms), "sent after the others had landed: it knows more");
}

Test(rate_limit, is_whole_again_after_the_reset)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = headers_of(0, 4, 1000);
    rate_limit_on_headers(&l, rate_limit_on_send(&l), &h, 0);
    cr_expect_not(allows(&l, 0, 999, &retry_ms));
    cr_expect(allows(&l, 0, 1000, &retry_ms));
    cr_expect(allows(&l, 3, 1000, &retry_ms));
    cr_expect_not(allows(&l, 4, 1000, &retry_ms), "and no more than whole");
    h = headers_of(0, 0, 1000);
    l = (rate_limit){0};
    rate_limit_on_headers(&l, rate_limit_on_send(&l), &h, 0);
    cr_expect(allows(&l, 100, 1000, &retry_ms), "a limit that is not told is not known");
}

Test(rate_limit, what_is_larger_than_the_limit_goes_alone)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = {.tokens = {.known = true, .n_left = 2, .n_limit = 5, .reset_ms = 100}};
    rate_limit_on_headers(&l, rate_limit_on_send(&l), &h, 0);
    cr_expect_not(allows(&l, 0, 50, &retry_ms));
    cr_expect(allows(&l, 0, 100, &retry_ms), "ten tokens where five are allowed");
}

Test(rate_limit, a_request_without_headers_is_counted_by_ourselves)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = headers_of(2, 60, 1000);
    rate_limit_load load = {.n_requests = 1};
    rate_limit_on_headers(&l, rate_limit_on_send(&l), &h, 0);
    rate_limit_on_silence(&l, &load);
    cr_expect(allows(&l, 0, 0, &retry_ms));
    cr_expect_not(allows(&l, 1, 0, &retry_ms));
}
