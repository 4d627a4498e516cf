#include <criterion/criterion.h>

#include "coordinator/rate_window.h"

#define NOW 5000000

Test(rate_window, no_limit_has_endless_room)
{
    rate_window w;
    rate_window_start(&w, 0, true, NOW);
    cr_expect_eq(rate_window_room(&w, 5, 5, NOW), INT64_MAX);
}

Test(rate_window, begins_with_a_small_part_and_fills_at_the_pace_of_the_limit)
{
    rate_window w;
    rate_window_start(&w, 600, true, NOW);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW), 30);
    rate_window_charge(&w, 30, NOW);
    cr_expect_eq(rate_window_room(&w, 30, 0, NOW), 0);
    cr_expect_eq(rate_window_room(&w, 30, 0, NOW + 1000), 10);
    cr_expect_eq(rate_window_room(&w, 30, 4, NOW + 1000), 6);
    cr_expect_eq(rate_window_room(&w, 30, 0, NOW + 60000), 30, "the bucket is full");
}

Test(rate_window, a_minute_never_sees_more_than_the_limit)
{
    rate_window w;
    rate_window_start(&w, 100, true, NOW);
    rate_window_use(&w, 60, NOW);
    rate_window_use(&w, 38, NOW + 30000);
    cr_expect_eq(rate_window_used(&w, NOW + 59999), 98);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW + 59999), 2);
    cr_expect_eq(rate_window_room(&w, 2, 0, NOW + 59999), 0);
    cr_expect_eq(rate_window_used(&w, NOW + 60500), 38);
    cr_expect_eq(rate_window_used(&w, NOW + 90500), 0);
}

Test(rate_window, one_request_a_minute_is_possible)
{
    rate_window w;
    rate_window_start(&w, 1, true, NOW);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW), 1);
    rate_window_charge(&w, 1, NOW);
    rate_window_use(&w, 1, NOW);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW + 59000), 0);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW + 61000), 1);
}

Test(rate_window, holds_one_large_request_and_never_more_than_the_limit)
{
    rate_window w;
    rate_window_start(&w, 1000, true, NOW);
    rate_window_fit(&w, 700);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW), 50);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW + 60000), 700);
    rate_window_fit(&w, 5000);
    cr_expect_eq(rate_window_room(&w, 0, 0, NOW + 120000), 1000);
}

Test(rate_window, after_a_restart_it_waits_for_what_may_have_been_used)
{
    rate_window w;
    rate_window_start(&w, 600, false, NOW);
    cr_expect_leq(rate_window_room(&w, 0, 0, NOW), -30);
    cr_expect_geq(rate_window_room(&w, 0, 0, NOW + 6001), 30);
}
