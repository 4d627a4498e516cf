#include <criterion/criterion.h>

#include "coordinator/straggler.h"

/* Steps of so many milliseconds each, one behind the other; returns the time. */
static uint64_t run_steps(straggler *s, size_t n, uint64_t step_ms, uint64_t now_ms)
{
    for (size_t i = 0; i < n; i++) {
        straggler_see(s, s->version, true, now_ms);
        now_ms += step_ms;
        straggler_see(s, s->version, false, now_ms); /* gathered */
        straggler_see(s, s->version + 1, true, now_ms);
    }
    return now_ms;
}

Test(straggler, nothing_is_slow_before_it_is_known_what_is_usual)
{
    straggler s = {.factor = 3};
    uint64_t now_ms = run_steps(&s, STRAGGLER_STEPS_MIN - 1, 1000, 100);
    cr_expect_not(straggler_is_due(&s, now_ms + 100000));
    cr_expect_eq(straggler_median_ms(&s), 0);
}

Test(straggler, a_step_that_takes_a_multiple_of_the_median_is_slow_once_for_each_doubling)
{
    straggler s = {.factor = 3};
    uint64_t now_ms = run_steps(&s, 8, 1000, 100);
    cr_expect_eq(straggler_median_ms(&s), 1000);
    cr_expect_not(straggler_is_due(&s, now_ms + 2999));
    cr_expect(straggler_is_due(&s, now_ms + 3000));
    cr_expect_not(straggler_is_due(&s, now_ms + 3001));
    cr_expect(straggler_is_due(&s, now_ms + 6000));
}

Test(straggler, short_steps_are_given_two_seconds)
{
    straggler s = {.factor = 3};
    uint64_t now_ms = run_steps(&s, 8, 10, 100);
    cr_expect_not(straggler_is_due(&s, now_ms + STRAGGLER_LEAST_MS - 1));
    cr_expect(straggler_is_due(&s, now_ms + STRAGGLER_LEAST_MS));
}

Test(straggler, a_pause_at_a_mark_counts_for_no_step)
{
    straggler s = {.factor = 3};
    uint64_t now_ms = run_steps(&s, 8, 1000, 100);
    straggler_see(&s, s.version, false, now_ms); /* saving */
    now_ms += 60000;
    straggler_see(&s, s.version, true, now_ms);
    cr_expect_not(straggler_is_due(&s, now_ms + 2000));
    cr_expect_leq(straggler_median_ms(&s), 1000);
}

Test(straggler, a_rewind_begins_the_step_anew)
{
    straggler s = {.factor = 3};
    uint64_t now_ms = run_steps(&s, 8, 1000, 100);
    straggler_see(&s, 2, true, now_ms + 2500);
    cr_expect_not(straggler_is_due(&s, now_ms + 3000));
}

Test(straggler, off_is_off)
{
    straggler s = {.factor = 0};
    uint64_t now_ms = run_steps(&s, 8, 1000, 100);
    cr_expect_not(straggler_is_due(&s, now_ms + 1000000));
}
