#include <criterion/criterion.h>
#include <string.h>

#include "worker/teacher/openai/breaker.h"

Test(breaker, opens_after_failures_in_a_row_and_probes_with_one)
{
    breaker b = breaker_new(3);
    for (int i = 0; i < 2; i++) breaker_on_failure(&b, 0, "x");
    breaker_on_success(&b);
    for (int i = 0; i < 2; i++) breaker_on_failure(&b, 0, "x");
    cr_expect(breaker_allows(&b, 0));
    breaker_on_failure(&b, 100, "status 500");
    cr_expect_eq(b.failing_since_ms, 0);
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
