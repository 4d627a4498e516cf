#include <criterion/criterion.h>

#include "worker/teacher/openai/concurrency.h"

Test(concurrency, grows_to_its_limit_while_it_is_used)
{
    concurrency c = concurrency_new(32);
    cr_expect_eq(concurrency_window(&c), CONCURRENCY_START);
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, false, 50, i);
    cr_expect_eq(concurrency_window(&c), CONCURRENCY_START, "not used, so not grown");
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, true, 50, i);
    cr_expect_eq(concurrency_window(&c), 32);
    c = concurrency_new(3);
    cr_expect_eq(concurrency_window(&c), 3);
}

static void overload(concurrency *c, int n, uint64_t now_ms)
{
    for (int i = 0; i < n; i++) concurrency_on_overload(c, now_ms);
}

Test(concurrency, halves_once_for_each_storm_and_grows_slowly_after_it)
{
    concurrency c = concurrency_new(64);
    for (uint64_t i = 0; i < 120; i++) concurrency_on_answer(&c, true, 50, i);
    cr_expect_eq(concurrency_window(&c), 64);
    overload(&c, 100, 1000);
    cr_expect_eq(concurrency_window(&c), 32, "one storm");
    overload(&c, 16, 1000 + CONCURRENCY_PAUSE_MS);
    cr_expect_eq(concurrency_window(&c), 16);
    for (size_t i = 0; i < 100; i++) concurrency_on_answer(&c, true, 50, 3000);
    cr_expect_gt(concurrency_window(&c), 16, "%g", c.window);
    cr_expect_lt(concurrency_window(&c), 23, "one for a window of answers");
    for (uint64_t i = 0; i < 20; i++) overload(&c, 16, 10000 + i * 1000);
    cr_expect_eq(concurrency_window(&c), 1, "never below one");
}

Test(concurrency, some_few_that_are_refused_now_and_then_do_not_close_the_window)
{
    concurrency c = concurrency_new(64);
    for (uint64_t i = 0; i < 5000; i++) {
        if (i % 13 == 12) /* 8 in 100, far more than a second apart */
            concurrency_on_overload(&c, i * 500);
        else
            concurrency_on_answer(&c, true, 3000, i * 500);
    }
    cr_expect_gt(concurrency_window(&c), 48);
}

Test(concurrency, shrinks_when_answers_only_wait_in_line)
{
    concurrency c = concurrency_new(64);
    for (uint64_t i = 0; i < 200; i++) concurrency_on_answer(&c, true, 50, i);
    for (uint64_t i = 0; i < 100; i++) concurrency_on_answer(&c, true, 500, 1000 + i * 100);
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
                concurrency_on_answer(&c, true, 100, now);
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
