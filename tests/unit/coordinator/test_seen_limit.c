#include "coordinator/seen_limit.h"

#include <criterion/criterion.h>

#define NOW 1000000

static void note(seen_history *h, double landed, uint64_t now_ms)
{
    const double both[WIRE_LIMITS] = {landed, landed};
    seen_history_note(h, both, now_ms);
}

/* 60 allowed, n left, a minute until the reset; heard at once. */
static wire_server_limit limit_of(uint64_t n_left, uint64_t after)
{
    return (wire_server_limit){
        .known = true, .n_limit = 60, .n_left = n_left, .reset_ms = 60000, .after = after};
}

static int64_t room(seen_limit *l, const seen_history *h, double held, double landed,
                    uint64_t now_ms)
{
    return seen_limit_room(l, h, held, landed, false, 1, now_ms);
}

Test(seen_limit, knows_nothing_before_it_is_told)
{
    seen_history h = {0};
    seen_limit l = {0};
    cr_expect_eq(room(&l, &h, 50, 0, NOW), INT64_MAX);
    cr_expect_eq(seen_limit_pace(&l, 0, 1, NOW), INT64_MAX);
}

Test(seen_limit, what_had_not_landed_when_the_request_was_sent_may_not_be_counted)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 10, NOW);
    note(&h, 17, NOW + 500);
    wire_server_limit told = limit_of(30, NOW + 100);
    seen_limit_hear(&l, &told, &h, NOW + 600);
    /* 20 may have been sent, 10 had landed: 10 may come on top. */
    cr_expect_eq(room(&l, &h, 20, 17, NOW + 600), 20);
    cr_expect_eq(room(&l, &h, 45, 17, NOW + 600), -5);
    told = limit_of(30, NOW + 550);
    seen_limit_hear(&l, &told, &h, NOW + 600);
    cr_expect_eq(room(&l, &h, 20, 17, NOW + 600), 27, "sent after seven more had landed");
}

Test(seen_limit, a_window_gives_nothing_before_the_reset_and_all_of_it_then)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 0, NOW);
    wire_server_limit told = limit_of(0, NOW);
    seen_limit_hear(&l, &told, &h, NOW + 10);
    note(&h, 60, NOW + 1000);
    cr_expect_eq(room(&l, &h, 60, 60, NOW + 60009), -60);
    cr_expect_eq(room(&l, &h, 64, 60, NOW + 60010), 56, "four are out");
}

Test(seen_limit, a_bucket_fills_evenly_and_never_beyond_the_limit)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 0, NOW);
    wire_server_limit told = limit_of(2, NOW);
    told.period_ms = 60000;
    seen_limit_hear(&l, &told, &h, NOW);
    cr_expect_eq(room(&l, &h, 0, 0, NOW), 2);
    cr_expect_eq(room(&l, &h, 0, 0, NOW + 5000), 7);
    cr_expect_eq(room(&l, &h, 3, 0, NOW + 5000), 4);
    cr_expect_eq(room(&l, &h, 3, 3, NOW + 900000), 60);
    cr_expect_eq(room(&l, &h, 13, 3, NOW + 900000), 50);
    /* An answer that does not know how the server fills changes nothing of that. */
    told = limit_of(20, NOW + 900000);
    seen_limit_hear(&l, &told, &h, NOW + 900000);
    cr_expect_eq(room(&l, &h, 3, 3, NOW + 902000), 19);
}

/* The answer took ten seconds. Was it written at their begin, then ten seconds were filled in since;
 * at their end, then all that landed meanwhile is counted. The worse of the two holds. */
Test(seen_limit, of_a_slow_answer_the_worst_time_counts)
{
    seen_history h = {0};
    seen_limit l = {0};
    for (uint64_t i = 0; i <= 100; i++) note(&h, (double)i, NOW + i * 100);
    wire_server_limit told = limit_of(30, NOW);
    told.n_limit = 600;
    told.period_ms = 60000; /* ten a second, as fast as they landed */
    seen_limit_hear(&l, &told, &h, NOW + 10000);
    int64_t n = room(&l, &h, 110, 100, NOW + 10000);
    cr_expect_geq(n, 18, "%ld", (long)n);
    cr_expect_leq(n, 20, "30 less the ten that are out, and one entry's time");
}

Test(seen_limit, one_that_was_refused_may_come_again_when_the_server_says)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 5, NOW);
    wire_server_limit told = limit_of(0, NOW);
    told.retry_ms = 300;
    seen_limit_hear(&l, &told, &h, NOW);
    cr_expect_leq(seen_limit_room(&l, &h, 5, 5, true, 1, NOW + 299), 0);
    cr_expect_eq(seen_limit_room(&l, &h, 5, 5, true, 1, NOW + 300), 1);
    cr_expect_leq(seen_limit_room(&l, &h, 6, 5, false, 1, NOW + 300), 0, "and alone");
}

Test(seen_limit, a_request_larger_than_the_limit_goes_alone_when_it_is_whole)
{
    seen_history h = {0};
    seen_limit l = {.side = WIRE_LIMIT_TOKENS};
    note(&h, 0, NOW);
    wire_server_limit told = limit_of(60, NOW);
    told.period_ms = 60000;
    seen_limit_hear(&l, &told, &h, NOW);
    cr_expect_eq(seen_limit_room(&l, &h, 0, 0, true, 100, NOW), 100);
    cr_expect_eq(seen_limit_room(&l, &h, 20, 0, false, 100, NOW), 40);
}

Test(seen_limit, paces_what_a_whole_limit_would_give_at_once)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 0, NOW);
    wire_server_limit told = limit_of(600, NOW);
    told.n_limit = 600;
    seen_limit_hear(&l, &told, &h, NOW);
    cr_expect_eq(seen_limit_pace(&l, 0, 1, NOW), 30);
    seen_limit_begin(&l, 30);
    cr_expect_eq(seen_limit_pace(&l, 0, 1, NOW), 0);
    cr_expect_eq(seen_limit_pace(&l, 0, 1, NOW + 1000), 11);
    cr_expect_eq(seen_limit_pace(&l, 4, 1, NOW + 1000), 7);
    cr_expect_eq(seen_limit_pace(&l, 0, 1, NOW + 60000), 30);
}

Test(seen_limit, what_cannot_be_placed_in_time_is_not_used)
{
    seen_history h = {0};
    seen_limit l = {0};
    note(&h, 0, NOW);
    wire_server_limit told = limit_of(7, NOW + 5000);
    seen_limit_hear(&l, &told, &h, NOW + 10);
    cr_expect_not(l.known, "it names a grant that was not made yet");
    for (uint64_t i = 0; i < SEEN_ENTRIES + 10; i++) note(&h, (double)i, NOW + i * 100);
    told.after = NOW + 50;
    seen_limit_hear(&l, &told, &h, NOW + (SEEN_ENTRIES + 20) * 100);
    cr_expect_not(l.known, "the history does not go back so far");
}
