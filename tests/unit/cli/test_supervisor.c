#include <criterion/criterion.h>

#include "cli/exit_codes.h"
#include "cli/launch/supervisor.h"

static const supervisor_policy policy = {.restarts_max = 3, .window_ms = 10000};

Test(supervisor, a_child_whose_work_is_done_is_not_started_again)
{
    supervised child = {0};
    cr_assert_eq(supervisor_on_exit(&child, &policy, EXIT_CODE_OK, true, 0, 5), SUPERVISOR_DONE);
    cr_assert_eq(child.n_restarts, 0);
}

Test(supervisor, a_child_that_left_early_is_started_again_with_growing_waits)
{
    supervised child = {0};
    uint64_t now_ms = 1000, waited_ms = 0;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(supervisor_on_exit(&child, &policy, 137, false, 0, now_ms),
                     SUPERVISOR_RESTART);
        cr_assert_gt(child.restart_at_ms - now_ms, waited_ms, "death %d", i);
        waited_ms = child.restart_at_ms - now_ms;
        now_ms = child.restart_at_ms;
    }
    cr_assert_eq(supervisor_on_exit(&child, &policy, 137, false, 0, now_ms), SUPERVISOR_GIVE_UP);
}

Test(supervisor, deaths_far_apart_are_forgiven_while_the_run_gets_on)
{
    supervised child = {0};
    for (uint64_t i = 0; i < 200; i++)
        cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, i, i * 20000),
                     SUPERVISOR_RESTART);
    cr_assert_eq(child.n_restarts, 200);
}

Test(supervisor, deaths_far_apart_without_any_progress_end_the_run)
{
    supervised child = {0};
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, 7, i * 20000),
                     SUPERVISOR_RESTART);
    cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, 8, 60000), SUPERVISOR_RESTART);
    for (uint64_t i = 4; i < 6; i++)
        cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, 8, i * 20000),
                     SUPERVISOR_RESTART);
    cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, 8, 120000), SUPERVISOR_GIVE_UP);
}

Test(supervisor, steps_made_again_after_a_rewind_are_no_progress)
{
    static const uint64_t progress[] = {17, 16, 17, 12};
    supervised child = {0};
    for (uint64_t i = 0; i < 3; i++)
        cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, progress[i], i * 20000),
                     SUPERVISOR_RESTART);
    cr_assert_eq(supervisor_on_exit(&child, &policy, 1, false, progress[3], 60000),
                 SUPERVISOR_GIVE_UP);
}

Test(supervisor, wrong_usage_and_bad_data_end_the_run_at_once)
{
    supervised child = {0};
    cr_assert_eq(supervisor_on_exit(&child, &policy, EXIT_CODE_USAGE, false, 0, 0),
                 SUPERVISOR_FATAL);
    cr_assert_eq(supervisor_on_exit(&child, &policy, EXIT_CODE_DATA, true, 0, 0), SUPERVISOR_FATAL);
}

Test(supervisor, leaving_well_before_the_work_is_done_is_a_restart)
{
    supervised child = {0};
    cr_assert_eq(supervisor_on_exit(&child, &policy, EXIT_CODE_OK, false, 0, 0),
                 SUPERVISOR_RESTART);
}
