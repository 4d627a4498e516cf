#include <criterion/criterion.h>

#include "coordinator/progress.h"

Test(progress, knows_no_rate_before_two_points)
{
    progress_rate r = {0};
    cr_expect_float_eq(progress_rate_get(&r), 0, 0);
    progress_rate_see(&r, 5, 1000);
    cr_expect_float_eq(progress_rate_get(&r), 0, 0);
    cr_expect_float_eq(progress_eta_s(&r, 10), -1, 0);
}

Test(progress, follows_the_last_seconds_and_forgets_the_rest)
{
    progress_rate r = {0};
    for (uint64_t ms = 0; ms <= 60000; ms += 100) progress_rate_see(&r, (double)ms / 100, ms);
    cr_expect_float_eq(progress_rate_get(&r), 10, 1e-9);
    cr_expect_float_eq(progress_eta_s(&r, 50), 5, 1e-9);
    for (uint64_t ms = 60100; ms <= 120000; ms += 100) progress_rate_see(&r, 600, ms);
    cr_expect_float_eq(progress_rate_get(&r), 0, 0);
    cr_expect_float_eq(progress_eta_s(&r, 0), 0, 0);
}

Test(progress, adds_up_a_stage_that_stops_and_goes_on)
{
    progress_timer t = {.total_s = 2};
    progress_timer_run(&t, true, 1000);
    cr_expect_float_eq(progress_timer_get(&t, 1500), 2.5, 1e-9);
    progress_timer_run(&t, true, 1600);
    progress_timer_run(&t, false, 2000);
    progress_timer_run(&t, true, 9000);
    cr_expect_float_eq(progress_timer_get(&t, 9500), 3.5, 1e-9);
}
