/* What decides how fast: window, breaker, limits, median, queue. All with a clock of their own. */
#include <criterion/criterion.h>
#include <string.h>

#include "common/base/rng.h"
#include "worker/teacher/openai/breaker.h"
#include "worker/teacher/openai/concurrency.h"
#include "worker/teacher/openai/due_queue.h"
#include "worker/teacher/openai/latency.h"
#include "worker/teacher/openai/rate_limit.h"

Test(concurrency, grows_to_its_limit_while_it_is_used)
{
    concurrency c = concurrency_new(32);
    cr_expect_eq(concurrency_window(&c), CONCURRENCY_START);
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, 1, 50, i);
    cr_expect_eq(concurrency_window(&c), CONCURRENCY_START, "not used, so not grown");
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, concurrency_window(&c), 50, i);
    cr_expect_eq(concurrency_window(&c), 32);
    c = concurrency_new(3);
    cr_expect_eq(concurrency_window(&c), 3);
}

Test(concurrency, halves_once_for_each_storm_and_grows_slowly_after_it)
{
    concurrency c = concurrency_new(64);
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, concurrency_window(&c), 50, i);
    for (uint64_t i = 0; i < 20; i++) concurrency_on_overload(&c, 1000 + i);
    cr_expect_eq(concurrency_window(&c), 32, "one storm");
    concurrency_on_overload(&c, 1000 + CONCURRENCY_PAUSE_MS);
    cr_expect_eq(concurrency_window(&c), 16);
    for (size_t i = 0; i < 17; i++) concurrency_on_answer(&c, concurrency_window(&c), 50, 3000);
    cr_expect_eq(concurrency_window(&c), 17, "one for a window of answers");
    for (uint64_t i = 0; i < 20; i++) concurrency_on_overload(&c, 10000 + i * 1000);
    cr_expect_eq(concurrency_window(&c), 1, "never below one");
}

Test(concurrency, shrinks_when_answers_only_wait_in_line)
{
    concurrency c = concurrency_new(64);
    for (uint64_t i = 0; i < 200; i++) concurrency_on_answer(&c, concurrency_window(&c), 50, i);
    for (uint64_t i = 0; i < 100; i++)
        concurrency_on_answer(&c, concurrency_window(&c), 500, 1000 + i * 100);
    cr_expect_lt(concurrency_window(&c), 50);
}

Test(concurrency, finds_what_a_server_can_do)
{
    /* A server of 10 seats: whoever comes on top gets a 429. */
    concurrency c = concurrency_new(64);
    uint64_t now = 0, n_good = 0, n_bad = 0;
    for (int round = 0; round < 600; round++, now += 100) {
        size_t n = concurrency_window(&c);
        for (size_t i = 0; i < n; i++) {
            if (i < 10) {
                concurrency_on_answer(&c, n, 100, now);
                n_good++;
            } else {
                concurrency_on_overload(&c, now);
                n_bad++;
            }
        }
    }
    cr_expect_gt(n_good, 600 * 6, "more than half of the seats, %zu", (size_t)n_good);
    cr_expect_lt(n_bad, n_good / 5, "%zu", (size_t)n_bad);
}

Test(breaker, opens_after_failures_in_a_row_and_probes_with_one)
{
    breaker b = breaker_new(3);
    for (int i = 0; i < 2; i++) breaker_on_failure(&b, 0, "x");
    breaker_on_success(&b);
    for (int i = 0; i < 2; i++) breaker_on_failure(&b, 0, "x");
    cr_expect(breaker_allows(&b, 0));
    breaker_on_failure(&b, 100, "status 500");
    cr_expect_not(breaker_allows(&b, 100));
    cr_expect_not(breaker_allows(&b, 99 + BREAKER_PAUSE_FIRST_MS));
    cr_expect_str_eq(b.reason, "status 500");
    cr_expect(breaker_allows(&b, 100 + BREAKER_PAUSE_FIRST_MS));
    breaker_on_send(&b);
    cr_expect_not(breaker_allows(&b, 100000), "one probe at a time");
    breaker_on_failure(&b, 5000, "x");
    cr_expect_not(breaker_allows(&b, 4999 + 2 * BREAKER_PAUSE_FIRST_MS), "the pause doubles");
    cr_expect(breaker_allows(&b, 5000 + 2 * BREAKER_PAUSE_FIRST_MS));
    breaker_on_send(&b);
    breaker_on_nothing(&b);
    cr_expect(breaker_allows(&b, 5000 + 2 * BREAKER_PAUSE_FIRST_MS), "the probe said nothing");
    breaker_on_send(&b);
    breaker_on_success(&b);
    cr_expect_eq(b.state, BREAKER_CLOSED);
    cr_expect_eq(b.pause_ms, BREAKER_PAUSE_FIRST_MS);
    cr_expect_eq(b.n_opened, 1);
}

Test(breaker, the_pause_has_a_limit)
{
    breaker b = breaker_new(1);
    uint64_t now = 0;
    for (int i = 0; i < 20; i++) {
        breaker_on_failure(&b, now, "x");
        cr_expect_leq(b.until_ms - now, BREAKER_PAUSE_MAX_MS);
        now = b.until_ms;
        breaker_on_send(&b);
    }
}

Test(breaker, opens_for_a_share_too_but_not_for_three_in_ten)
{
    breaker b = breaker_new(50);
    for (int i = 0; i < 1000; i++)
        if (i % 10 < 3)
            breaker_on_failure(&b, 0, "x");
        else
            breaker_on_success(&b);
    cr_expect_eq(b.state, BREAKER_CLOSED);
    for (int i = 0; i < 200 && b.state == BREAKER_CLOSED; i++)
        if (i % 20 == 0)
            breaker_on_success(&b);
        else
            breaker_on_failure(&b, 0, "x");
    cr_expect_eq(b.state, BREAKER_OPEN);
    b = breaker_new(0);
    for (int i = 0; i < 1000; i++) breaker_on_failure(&b, 0, "x");
    cr_expect_eq(b.state, BREAKER_CLOSED, "0: never");
}

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

Test(latencies, give_the_median_of_the_latest)
{
    latencies l = {0};
    uint64_t ms;
    for (uint64_t i = 0; i + 1 < LATENCIES_MIN; i++) latencies_add(&l, 5);
    cr_expect_not(latencies_median(&l, &ms));
    latencies_add(&l, 1000000);
    cr_expect(latencies_median(&l, &ms));
    cr_expect_eq(ms, 5);
    for (uint64_t i = 0; i < LATENCIES_KEPT; i++) latencies_add(&l, 100 + i);
    cr_expect(latencies_median(&l, &ms));
    cr_expect_eq(ms, 100 + LATENCIES_KEPT / 2);
}

Test(due_queue, gives_the_earliest_first_and_of_equals_the_smaller)
{
    enum { N = 500 };
    due_queue q = {0};
    rng_key key = rng_key_make(1, "q", (rt_id){0}, 0);
    uint64_t due_ms, last_ms = 0;
    size_t i, last = 0, n = 0;
    cr_assert_eq(due_queue_init(&q, N, NULL), RT_OK);
    cr_expect_not(due_queue_first(&q, &i, &due_ms));
    for (size_t k = 0; k < N; k++) due_queue_add(&q, k, rng_below(key, k, 40));
    for (; due_queue_first(&q, &i, &due_ms); due_queue_drop_first(&q), n++) {
        cr_expect(due_ms > last_ms || (due_ms == last_ms && (n == 0 || i > last)));
        last_ms = due_ms;
        last = i;
    }
    cr_expect_eq(n, N);
    due_queue_free(&q);
}
