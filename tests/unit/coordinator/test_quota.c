#include <criterion/criterion.h>
#include <stdio.h>

#include "coordinator/quota.h"

#define NOW 1000000

static quota *make(quota_settings settings)
{
    quota *q = NULL;
    cr_assert_eq(quota_new(&settings, true, NOW, &q, NULL), RT_OK);
    return q;
}

/* A teacher that asks for n requests of 100 tokens and cost 10, and has done nothing yet. */
static wire_quota_report asks(uint64_t seq, uint32_t n)
{
    return (wire_quota_report){.seq = seq, .need = {{1, 100, 10, 1}}, .n_wanted = n};
}

static wire_quota_grant told(quota *q, const char *name, wire_quota_report report, uint64_t now_ms)
{
    wire_quota_grant grant = {0};
    cr_assert(quota_report(q, name, 1, &report, now_ms, &grant), "%s", name);
    cr_assert_eq(grant.seq, report.seq);
    return grant;
}

Test(quota, grants_without_limits_are_without_limits)
{
    quota *q = make((quota_settings){0});
    wire_quota_grant g = told(q, "a", asks(1, 3), NOW);
    for (int k = 0; k < RESOURCE_COUNT; k++) cr_expect_eq(g.ceilings.of[k], WIRE_AMOUNT_MAX);
    quota_free(q);
}

Test(quota, a_repeat_gets_the_same_answer_and_an_older_report_none)
{
    quota *q = make((quota_settings){.requests_per_minute = 400});
    wire_quota_report first = asks(1, 5);
    wire_quota_grant g = told(q, "a", first, NOW), again = told(q, "a", first, NOW + 10);
    cr_expect_eq(g.ceilings.of[RESOURCE_REQUESTS], 5);
    cr_expect_arr_eq(&g, &again, sizeof g);
    (void)told(q, "a", asks(2, 5), NOW + 20);
    cr_expect_not(quota_report(q, "a", 1, &first, NOW + 30, &again));
    quota_free(q);
}

Test(quota, shares_requests_in_flight_and_takes_back_what_is_not_used)
{
    quota *q = make((quota_settings){.in_flight_max = 10});
    cr_expect_eq(told(q, "a", asks(1, 100), NOW).ceilings.of[RESOURCE_IN_FLIGHT], 10);
    cr_expect_eq(told(q, "b", asks(1, 100), NOW).ceilings.of[RESOURCE_IN_FLIGHT], 0);
    /* a has them in force and asks on: half of them are offered, all ten counted. */
    wire_quota_report a = asks(2, 100);
    a.ceilings.of[RESOURCE_IN_FLIGHT] = 10;
    cr_expect_eq(told(q, "a", a, NOW + 50).ceilings.of[RESOURCE_IN_FLIGHT], 5);
    cr_expect_eq(told(q, "b", asks(2, 100), NOW + 50).ceilings.of[RESOURCE_IN_FLIGHT], 0);
    a = asks(3, 100);
    a.ceilings.of[RESOURCE_IN_FLIGHT] = 5;
    (void)told(q, "a", a, NOW + 100);
    cr_expect_eq(told(q, "b", asks(3, 100), NOW + 100).ceilings.of[RESOURCE_IN_FLIGHT], 5);
    quota_free(q);
}

Test(quota, what_a_dead_teacher_held_is_lost_until_it_comes_back)
{
    quota_sums sums;
    quota *q = make((quota_settings){.budget = 100});
    cr_expect_eq(told(q, "a", asks(1, 4), NOW).ceilings.of[RESOURCE_COST], 40);
    quota_bury(q, "a", NOW + 100);
    quota_sum(q, NOW + 100, &sums);
    cr_expect_eq(sums.lost, 40);
    cr_expect_eq(sums.reserved, 0);
    cr_expect_eq(told(q, "b", asks(1, 90), NOW + 200).ceilings.of[RESOURCE_COST], 60);
    wire_quota_report back = asks(2, 0);
    back.settled.of[RESOURCE_COST] = back.ceilings.of[RESOURCE_COST] = 15;
    (void)told(q, "a", back, NOW + 300);
    quota_sum(q, NOW + 300, &sums);
    cr_expect_eq(sums.lost, 0);
    cr_expect_eq(sums.use.cost, 15);
    cr_expect_eq(sums.reserved, 60);
    quota_free(q);
}

Test(quota, a_new_process_of_the_name_closes_the_old_one_for_good)
{
    quota_sums sums;
    wire_quota_grant g;
    uint64_t lost, typical;
    quota *q = make((quota_settings){.budget = 100});
    wire_quota_report used = asks(2, 1);
    (void)told(q, "a", asks(1, 4), NOW);
    used.settled.of[RESOURCE_COST] = 12;
    used.reserved.of[RESOURCE_COST] = 10;
    used.ceilings.of[RESOURCE_COST] = 40;
    (void)told(q, "a", used, NOW + 50);
    wire_quota_report fresh = asks(1, 0);
    cr_assert(quota_report(q, "a", 2, &fresh, NOW + 100, &g));
    quota_sum(q, NOW + 100, &sums);
    cr_expect_eq(sums.use.cost, 12);
    cr_expect_eq(sums.lost, 28);
    cr_expect_eq(quota_closed(q, &lost, &typical)->cost, 12);
    cr_expect_eq(lost, 28);
    quota_free(q);
}

Test(quota, goodbye_gives_everything_back_and_may_be_said_twice)
{
    quota_sums sums;
    quota *q = make((quota_settings){.budget = 100});
    (void)told(q, "a", asks(1, 4), NOW);
    wire_quota_report bye = asks(2, 0);
    bye.leaving = true;
    bye.settled.of[RESOURCE_COST] = bye.ceilings.of[RESOURCE_COST] = 7;
    (void)told(q, "a", bye, NOW + 50);
    (void)told(q, "a", bye, NOW + 60);
    quota_bury(q, "a", NOW + 20000);
    quota_sum(q, NOW + 20000, &sums);
    cr_expect_eq(sums.use.cost, 7);
    cr_expect_eq(sums.lost + sums.reserved, 0);
    quota_free(q);
}

Test(quota, the_budget_is_spent_when_nothing_that_waits_can_be_paid_and_nothing_comes_back)
{
    quota *q = make((quota_settings){.budget = 25});
    cr_expect_not(quota_budget_spent(q, NOW));
    cr_expect_eq(told(q, "a", asks(1, 9), NOW).ceilings.of[RESOURCE_COST], 20);
    wire_quota_report flying = asks(2, 2);
    flying.reserved.of[RESOURCE_COST] = flying.ceilings.of[RESOURCE_COST] = 20;
    wire_quota_grant g = told(q, "a", flying, NOW + 50);
    cr_expect_eq(g.stop, QUOTA_GOES_ON);
    cr_expect_not(quota_budget_spent(q, NOW + 50), "what flies may cost less");
    wire_quota_report cheap = asks(3, 2);
    cheap.settled.of[RESOURCE_COST] = cheap.ceilings.of[RESOURCE_COST] = 14;
    cr_expect_eq(told(q, "a", cheap, NOW + 100).ceilings.of[RESOURCE_COST], 24);
    cr_expect_not(quota_budget_spent(q, NOW + 100));
    cheap.seq = 4;
    cheap.settled.of[RESOURCE_COST] = cheap.ceilings.of[RESOURCE_COST] = 24;
    (void)told(q, "a", cheap, NOW + 150);
    cr_expect(quota_budget_spent(q, NOW + 150));
    cheap.seq = 5;
    cr_expect_eq(told(q, "a", cheap, NOW + 200).stop, QUOTA_BUDGET_SPENT);
    cr_expect_eq(told(q, "late", asks(1, 1), NOW + 200).stop, QUOTA_BUDGET_SPENT);
    quota_free(q);
}

Test(quota, a_pause_that_one_server_wishes_is_everybodys)
{
    quota *q = make((quota_settings){.in_flight_max = 10});
    wire_quota_report hurt = asks(1, 5);
    hurt.pause_ms = 700;
    cr_expect_eq(told(q, "a", hurt, NOW).pause_ms, 700);
    wire_quota_grant g = told(q, "b", asks(1, 5), NOW + 200);
    cr_expect_eq(g.pause_ms, 500);
    cr_expect_eq(g.ceilings.of[RESOURCE_IN_FLIGHT], 0);
    cr_expect_eq(told(q, "b", asks(2, 5), NOW + 700).ceilings.of[RESOURCE_IN_FLIGHT], 5);
    hurt.seq = 2;
    hurt.pause_ms = WIRE_AMOUNT_MAX;
    cr_expect_eq(told(q, "a", hurt, NOW + 800).pause_ms, QUOTA_PAUSE_MAX_MS);
    quota_free(q);
}

Test(quota, earlier_processes_come_back_as_dead_ones_that_may_settle)
{
    quota_sums sums;
    quota *q = make((quota_settings){.budget = 100});
    quota_use use = {.n_requests = 3, .n_prompt_tokens = 50, .cost = 20};
    quota_restore_closed(q, &(quota_use){.cost = 5}, 1, 10);
    cr_assert_eq(quota_restore(q, "a", 1, &use, 45, NULL), RT_OK);
    cr_expect_eq(quota_restore(q, "a", 1, &use, 45, NULL), RT_CORRUPT);
    cr_expect_eq(quota_restore(q, "", 1, &use, 45, NULL), RT_CORRUPT);
    quota_sum(q, NOW, &sums);
    cr_expect_eq(sums.use.cost, 25);
    cr_expect_eq(sums.lost, 26);
    wire_quota_report back = asks(77, 0);
    back.settled = (wire_amounts){{4, 80, 30, 0}};
    back.reserved.of[RESOURCE_COST] = 10;
    back.ceilings = (wire_amounts){{WIRE_AMOUNT_MAX, WIRE_AMOUNT_MAX, 45, WIRE_AMOUNT_MAX}};
    (void)told(q, "a", back, NOW);
    quota_sum(q, NOW, &sums);
    cr_expect_eq(sums.use.cost, 35);
    cr_expect_eq(sums.lost, 1);
    cr_expect_eq(sums.reserved, 15);
    quota_free(q);
}

Test(quota, numbers_out_of_this_world_grant_nothing_and_break_nothing)
{
    quota *q = make((quota_settings){10, 10, 1000, 1000});
    const uint64_t big = WIRE_AMOUNT_MAX;
    for (int i = 0; i < 40; i++) {
        char name[16];
        wire_quota_grant g;
        snprintf(name, sizeof name, "t%d", i);
        wire_quota_report r = {.seq = UINT64_MAX - 1,
                               .settled = {{big, big, big, big}},
                               .reserved = {{big, big, big, big}},
                               .ceilings = {{big, big, big, big}},
                               .need = {{big, big, big, big}},
                               .n_wanted = UINT32_MAX,
                               .pause_ms = i % 2 ? big : 0};
        cr_expect(quota_report(q, name, 1, &r, NOW, &g));
        cr_expect_leq(g.ceilings.of[RESOURCE_COST], big);
        (void)quota_budget_spent(q, NOW);
        quota_bury(q, name, NOW + 1);
    }
    cr_expect_eq(told(q, "good", asks(1, 1), NOW + 2).ceilings.of[RESOURCE_COST], 0);
    quota_free(q);
}

/* The report of a teacher whose n requests have landed, and whose server says so. */
static wire_quota_report heard(uint64_t seq, uint32_t n_wanted, uint64_t n_landed, uint64_t n_left,
                               uint64_t after)
{
    wire_quota_report r = asks(seq, n_wanted);
    r.settled.of[RESOURCE_REQUESTS] = r.ceilings.of[RESOURCE_REQUESTS] = n_landed;
    r.limits[WIRE_LIMIT_REQUESTS] = (wire_server_limit){
        .known = true, .n_limit = 100, .n_left = n_left, .reset_ms = 50000, .after = after};
    return r;
}

Test(quota, asks_alone_until_the_server_has_said_what_it_allows)
{
    quota *q = make((quota_settings){.probe = true});
    cr_expect_eq(told(q, "a", asks(1, 50), NOW).ceilings.of[RESOURCE_REQUESTS], 1);
    cr_expect_eq(told(q, "b", asks(1, 50), NOW).ceilings.of[RESOURCE_REQUESTS], 0);
    wire_quota_report waits = asks(2, 50);
    waits.settled.of[RESOURCE_REQUESTS] = waits.ceilings.of[RESOURCE_REQUESTS] = 1;
    waits.reserved.of[RESOURCE_IN_FLIGHT] = 1;
    cr_expect_eq(told(q, "a", waits, NOW + 1900).ceilings.of[RESOURCE_REQUESTS], 1);
    waits.seq = 3;
    cr_expect_eq(told(q, "a", waits, NOW + 2000).ceilings.of[RESOURCE_REQUESTS], 2,
                 "slow answers: one more");
    wire_quota_report plain = asks(4, 50);
    plain.settled.of[RESOURCE_REQUESTS] = plain.ceilings.of[RESOURCE_REQUESTS] = 1;
    plain.no_limit_told = true;
    cr_expect_eq(told(q, "a", plain, NOW + 2100).ceilings.of[RESOURCE_REQUESTS], WIRE_AMOUNT_MAX);
    quota_free(q);
}

Test(quota, a_limit_that_one_teacher_hears_of_holds_for_all)
{
    quota_sums sums;
    quota *q = make((quota_settings){.probe = true});
    wire_quota_grant g = told(q, "a", asks(1, 50), NOW);
    cr_expect_eq(g.ceilings.of[RESOURCE_REQUESTS], 1);
    (void)told(q, "b", asks(1, 50), NOW);
    g = told(q, "a", heard(2, 50, 1, 4, g.stamp), NOW + 100);
    cr_expect_eq(g.ceilings.of[RESOURCE_REQUESTS], 1 + 2, "half of what is left less its own one");
    cr_expect_eq(told(q, "b", asks(2, 50), NOW + 100).ceilings.of[RESOURCE_REQUESTS], 1);
    quota_sum(q, NOW + 100, &sums);
    cr_expect_eq(sums.seen_requests, 100);
    cr_expect_eq(sums.seen_tokens, 0);
    quota_free(q);
}

Test(quota, the_smaller_of_what_is_set_and_what_is_told_counts)
{
    quota *q = make((quota_settings){.requests_per_minute = 40, .probe = true});
    wire_quota_grant g = told(q, "a", asks(1, 50), NOW);
    g = told(q, "a", heard(2, 50, 1, 90, g.stamp), NOW + 2000);
    cr_expect_eq(g.ceilings.of[RESOURCE_REQUESTS], 1 + 1, "bursts of a twentieth of 40");
    quota_free(q);
    q = make((quota_settings){.requests_per_minute = 4000, .probe = true});
    g = told(q, "a", asks(1, 50), NOW);
    g = told(q, "a", heard(2, 50, 1, 3, g.stamp), NOW + 2000);
    cr_expect_eq(g.ceilings.of[RESOURCE_REQUESTS], 1 + 2, "of three left one may be its own");
    quota_free(q);
}
