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

/* An answer to request `number`, sent at a time. */
static void told(rate_limit *l, uint64_t number, uint64_t sent_ms, openai_headers h,
                 uint64_t now_ms)
{
    rate_limit_sent sent = {.number = number, .sent_ms = sent_ms};
    rate_limit_on_headers(l, &sent, &h, now_ms);
}

Test(rate_limit, holds_back_what_may_not_be_counted_yet)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    cr_expect(allows(&l, 500, 0, &retry_ms), "nothing is known");
    for (int i = 0; i < 10; i++) rate_limit_on_send(&l);
    openai_headers h = headers_of(3, 60, 1000);
    told(&l, 5, 100, h, 100);
    cr_expect(allows(&l, 2, 100, &retry_ms));
    cr_expect_not(allows(&l, 3, 100, &retry_ms));
    cr_expect_eq(retry_ms, 1000);
    h = headers_of(7, 60, 990);
    told(&l, 4, 110, h, 110);
    cr_expect_not(allows(&l, 3, 110, &retry_ms), "an older answer that came later");
    h = headers_of(1, 60, 980);
    told(&l, 6, 120, h, 120);
    cr_expect_not(allows(&l, 1, 120, &retry_ms));
    cr_expect(allows(&l, 0, 120, &retry_ms));
    uint64_t number = rate_limit_on_send(&l);
    h = headers_of(8, 60, 900);
    told(&l, number, 200, h, 200);
    cr_expect(allows(&l, 7, 200, &retry_ms), "sent after the others had landed: it knows more");
}

Test(rate_limit, is_whole_again_after_the_reset)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = headers_of(0, 4, 1000);
    told(&l, rate_limit_on_send(&l), 0, h, 0);
    cr_expect_not(allows(&l, 0, 999, &retry_ms));
    cr_expect(allows(&l, 0, 1000, &retry_ms));
    cr_expect(allows(&l, 3, 1000, &retry_ms));
    cr_expect_not(allows(&l, 4, 1000, &retry_ms), "and no more than whole");
    h = headers_of(0, 0, 1000);
    l = (rate_limit){0};
    told(&l, rate_limit_on_send(&l), 0, h, 0);
    cr_expect(allows(&l, 100, 1000, &retry_ms), "a limit that is not told is not known");
}

Test(rate_limit, what_is_larger_than_the_limit_goes_alone)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = {.tokens = {.known = true, .n_left = 2, .n_limit = 5, .reset_ms = 100}};
    told(&l, rate_limit_on_send(&l), 0, h, 0);
    cr_expect_not(allows(&l, 0, 50, &retry_ms));
    cr_expect(allows(&l, 0, 100, &retry_ms), "ten tokens where five are allowed");
}

Test(rate_limit, a_request_without_headers_is_counted_by_ourselves)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = headers_of(2, 60, 1000);
    rate_limit_load load = {.n_requests = 1};
    told(&l, rate_limit_on_send(&l), 0, h, 0);
    rate_limit_on_silence(&l, &load);
    cr_expect(allows(&l, 0, 0, &retry_ms));
    cr_expect_not(allows(&l, 1, 0, &retry_ms));
}

/* Of a server that keeps 600 a minute. */
static openai_headers even(double left)
{
    openai_headers h = headers_of((uint64_t)left, 600, (uint64_t)((600 - left) * 100));
    h.requests.is_exact = true;
    return h;
}

Test(rate_limit, a_bucket_is_known_by_a_reset_that_moves_and_fills_evenly)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    told(&l, rate_limit_on_send(&l), 0, even(20), 50);
    cr_expect_not(l.requests.is_even);
    told(&l, rate_limit_on_send(&l), 10, even(19.6), 60);
    cr_expect_not(l.requests.is_even, "the two intervals meet");
    told(&l, rate_limit_on_send(&l), 200, even(0), 250);
    cr_expect(l.requests.is_even, "twenty were used, and the reset is two seconds later");
    cr_expect_geq(l.requests.period_ms, 60000, "never too fast");
    cr_expect_leq(l.requests.period_ms, 60200);
    cr_expect_not(allows(&l, 0, 300, &retry_ms));
    cr_expect_leq(retry_ms, 60);
    cr_expect(allows(&l, 0, 360, &retry_ms), "a tenth of a second is one");
    cr_expect_not(allows(&l, 1, 360, &retry_ms));
    cr_expect(allows(&l, 9, 1260, &retry_ms));
}

Test(rate_limit, a_window_is_never_taken_for_a_bucket)
{
    rate_limit l = {0};
    /* Whole every ten seconds; answers between one and 900 ms, and one that outlives its window. */
    for (uint64_t now = 100; now < 65000; now += 37) {
        uint64_t seen = now - now % 900 / 2, sent = now - now % 900;
        openai_headers h = headers_of(10 + now % 40, 60, 10000 - seen % 10000);
        h.requests.is_exact = true;
        told(&l, rate_limit_on_send(&l), sent, h, now);
        cr_assert_not(l.requests.is_even, "at %lu", now);
    }
    /* Told in whole seconds, rounded down or up. */
    l = (rate_limit){0};
    for (uint64_t now = 100; now < 65000; now += 37) {
        uint64_t reset_ms = 10000 - now % 10000, up = now % 2 * 999;
        told(&l, rate_limit_on_send(&l), now - 5,
             headers_of(10 + now % 40, 60, (reset_ms + up) / 1000 * 1000 + 1), now);
        cr_assert_not(l.requests.is_even, "at %lu", now);
    }
}

Test(rate_limit, one_that_was_refused_may_come_when_the_server_says)
{
    rate_limit l = {0};
    uint64_t retry_ms;
    openai_headers h = headers_of(0, 60, 60000);
    h.has_retry = true;
    h.retry_ms = 400;
    rate_limit_sent sent = {rate_limit_on_send(&l), 0, true};
    rate_limit_on_headers(&l, &sent, &h, 10);
    cr_expect_not(allows(&l, 0, 100, &retry_ms));
    cr_expect_eq(retry_ms, 310);
    cr_expect(allows(&l, 0, 410, &retry_ms));
    cr_expect_not(allows(&l, 1, 410, &retry_ms), "alone");
    allowance_limit t = rate_limit_told(&l.requests, &h.requests, &h, true);
    cr_expect_eq(t.retry_ms, 400);
    cr_expect_eq(t.period_ms, 0);
    cr_expect_eq(t.n_limit, 60);
}
