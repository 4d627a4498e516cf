#include <criterion/criterion.h>

#include "worker/student/step_time.h"

static double sum(const double *seconds)
{
    double total = 0;
    for (int i = 0; i < STEP_PARTS; i++) total += seconds[i];
    return total;
}

Test(step_time, every_moment_belongs_to_one_part)
{
    step_time t = {0};
    double s[STEP_PARTS];
    step_time_switch(&t, STEP_WAIT, 10);
    step_time_switch(&t, STEP_PULL, 11);
    step_time_switch(&t, STEP_COMPUTE, 13);
    step_time_switch(&t, STEP_PUSH, 18);
    step_time_take(&t, 18.5, s);
    cr_expect_eq(s[STEP_WAIT], 1);
    cr_expect_eq(s[STEP_PULL], 2);
    cr_expect_eq(s[STEP_COMPUTE], 5);
    cr_expect_eq(s[STEP_PUSH], 0.5);
    step_time_take(&t, 20, s);
    cr_expect_eq(s[STEP_PUSH], 1.5, "a part goes on after it was told");
    cr_expect_eq(sum(s), 1.5);
}

Test(step_time, nothing_counts_before_the_first_part)
{
    step_time t = {0};
    double s[STEP_PARTS];
    step_time_take(&t, 1000, s);
    cr_expect_eq(sum(s), 0);
    step_time_switch(&t, STEP_COMPUTE, 2000);
    step_time_take(&t, 2001, s);
    cr_expect_eq(sum(s), 1);
}

Test(step_time, no_more_is_moved_than_is_there)
{
    step_time t = {0};
    double s[STEP_PARTS];
    step_time_switch(&t, STEP_PULL, 0);
    step_time_switch(&t, STEP_COMPUTE, 3);
    step_time_move(&t, STEP_PULL, STEP_WAIT, 2);
    step_time_move(&t, STEP_PULL, STEP_WAIT, -5);
    step_time_move(&t, STEP_PULL, STEP_WAIT, 7);
    step_time_take(&t, 3, s);
    cr_expect_eq(s[STEP_WAIT], 3);
    cr_expect_eq(s[STEP_PULL], 0);
}
