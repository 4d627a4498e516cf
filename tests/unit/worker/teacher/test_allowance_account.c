#include "worker/teacher/allowance_account.h"

#include <criterion/criterion.h>

#define NOW 50000

static allowance_need need = {.n_prompt_tokens = 80, .n_completion_tokens = 20};

static allowance_account make(void)
{
    return (allowance_account){.prices = {1, 1, 1}, .stale_ms = 5000};
}

/* Report and have it answered with ceilings for n more requests. */
static wire_quota_report granted(allowance_account *a, uint64_t n, uint64_t now_ms)
{
    wire_quota_report r = {0};
    cr_assert(allowance_account_report(a, now_ms, &r));
    wire_quota_grant g = {.seq = r.seq, .retry_ms = 50};
    for (int k = 0; k < RESOURCE_COUNT; k++) g.ceilings.of[k] = r.settled.of[k] + r.reserved.of[k];
    g.ceilings.of[RESOURCE_REQUESTS] += n;
    g.ceilings.of[RESOURCE_TOKENS] += n * 100;
    g.ceilings.of[RESOURCE_COST] += n * 100000;
    g.ceilings.of[RESOURCE_IN_FLIGHT] += n;
    g.ceilings.of[RESOURCE_MOST_TOKENS] += n * 100;
    cr_assert(allowance_account_grant(a, &g, now_ms));
    return r;
}

static allowance_verdict take(allowance_account *a, uint64_t now_ms)
{
    uint64_t retry_ms = 0;
    allowance_verdict v = allowance_account_take(a, &need, now_ms, &retry_ms);
    if (v == ALLOWANCE_WAIT) cr_expect_gt(retry_ms, 0);
    return v;
}

Test(allowance, without_one_everything_goes)
{
    uint64_t retry_ms = 0;
    allowance_use use = {.known = true};
    cr_expect_eq(allowance_take(NULL, &need, NOW, &retry_ms), ALLOWANCE_GO);
    allowance_settle(NULL, &need, &use, NOW);
    allowance_turn(NULL, NOW);
    allowance_rest(NULL, NOW);
    allowance_close(NULL);
}

Test(allowance_account, nothing_goes_before_the_first_answer_and_no_more_than_it_allows)
{
    allowance_account a = make();
    cr_expect_eq(take(&a, NOW), ALLOWANCE_WAIT);
    wire_quota_report r = granted(&a, 2, NOW);
    cr_expect_eq(r.seq, 1);
    cr_expect_eq(r.n_wanted, 2);
    cr_expect_eq(r.need.of[RESOURCE_TOKENS], 100);
    cr_expect_eq(r.need.of[RESOURCE_COST], 100000);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_WAIT);
    r = granted(&a, 0, NOW + 50);
    cr_expect_eq(r.settled.of[RESOURCE_REQUESTS], 2);
    cr_expect_eq(r.reserved.of[RESOURCE_TOKENS], 200);
    cr_expect_eq(r.reserved.of[RESOURCE_IN_FLIGHT], 2);
    cr_expect_eq(r.n_wanted, 6, "twice what went, and two");
}

Test(allowance_account, settling_replaces_the_reservation_by_the_use)
{
    allowance_account a = make();
    allowance_use use = {
        .known = true, .n_prompt_tokens = 70, .n_cached_tokens = 30, .n_completion_tokens = 5};
    allowance_use unknown = {.known = false};
    (void)granted(&a, 2, NOW);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    allowance_account_settle(&a, &need, &use, NOW + 10);
    cr_expect_float_eq(use.cost, 75e-6, 1e-12);
    cr_expect_eq(a.settled.of[RESOURCE_TOKENS], 75);
    cr_expect_eq(a.reserved.of[RESOURCE_TOKENS], 100);
    allowance_account_settle(&a, &need, &unknown, NOW + 10);
    cr_expect_float_eq(unknown.cost, 100e-6, 1e-12, "it may have been paid in full");
    cr_expect_eq(a.reserved.of[RESOURCE_COST], 0);
    cr_expect_eq(a.reserved.of[RESOURCE_IN_FLIGHT], 0);
    cr_expect_eq(a.settled.of[RESOURCE_COST], 175000);
    cr_expect_eq(a.n_cached_tokens, 30);
    cr_expect_eq(a.n_overruns, 0);
}

Test(allowance_account, counts_a_dearer_teacher_at_its_own_prices)
{
    static const price_table dear = {10, 10, 10};
    allowance_account a = make();
    allowance_need dearly = {.n_prompt_tokens = 8, .n_completion_tokens = 2, .prices = &dear};
    allowance_use use = {.known = true, .n_prompt_tokens = 7, .n_completion_tokens = 1};
    uint64_t retry_ms = 0;
    (void)granted(&a, 2, NOW);
    cr_assert_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_assert_eq(allowance_account_take(&a, &dearly, NOW, &retry_ms), ALLOWANCE_GO);
    cr_expect_eq(a.reserved.of[RESOURCE_COST], 200000, "100 tokens of price 1, 10 of price 10");
    allowance_account_settle(&a, &dearly, &use, NOW);
    cr_expect_eq(a.settled.of[RESOURCE_COST], 80000);
    cr_expect_eq(a.reserved.of[RESOURCE_COST], 100000);
    cr_expect_float_eq(use.cost, 80e-6, 1e-12);
}

Test(allowance_account, a_use_beyond_the_need_is_counted_in_full_and_noticed)
{
    allowance_account a = make();
    allowance_use use = {.known = true, .n_prompt_tokens = 300, .n_completion_tokens = 20};
    (void)granted(&a, 5, NOW);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    allowance_account_settle(&a, &need, &use, NOW);
    cr_expect_eq(a.settled.of[RESOURCE_COST], 320000);
    cr_expect_eq(a.n_overruns, 1);
}

Test(allowance_account, only_the_answer_to_the_report_under_way_counts)
{
    wire_quota_report r;
    allowance_account a = make();
    wire_quota_grant much = {.seq = 1, .ceilings = {{900, 90000, 9000000, 900, 90000}}};
    cr_expect_not(allowance_account_grant(&a, &much, NOW));
    cr_assert(allowance_account_report(&a, NOW, &r));
    cr_expect_not(allowance_account_report(&a, NOW + 500, &r), "one is under way");
    cr_assert(allowance_account_report(&a, NOW + ALLOWANCE_ANSWER_MS, &r), "it was lost");
    cr_expect_eq(r.seq, 2);
    cr_expect_not(allowance_account_grant(&a, &much, NOW + 1100), "too late");
    cr_expect_eq(take(&a, NOW + 1100), ALLOWANCE_WAIT);
    much.seq = 2;
    cr_expect(allowance_account_grant(&a, &much, NOW + 1200));
    cr_expect_not(allowance_account_grant(&a, &much, NOW + 1200), "a repeat");
    cr_expect_eq(take(&a, NOW + 1200), ALLOWANCE_GO);
}

Test(allowance_account, whoever_has_not_heard_for_long_begins_nothing)
{
    allowance_account a = make();
    (void)granted(&a, 9, NOW);
    cr_expect_eq(take(&a, NOW + 4999), ALLOWANCE_GO);
    cr_expect_eq(take(&a, NOW + 5000), ALLOWANCE_WAIT);
    (void)granted(&a, 9, NOW + 5000);
    cr_expect_eq(take(&a, NOW + 5000), ALLOWANCE_GO);
}

Test(allowance_account, prices_alone_never_stop_a_teacher_that_hears_nothing)
{
    wire_quota_report r;
    allowance_account a = make();
    cr_assert(allowance_account_report(&a, NOW, &r));
    wire_quota_grant g = {.seq = 1};
    for (int k = 0; k < RESOURCE_COUNT; k++) g.ceilings.of[k] = WIRE_AMOUNT_MAX;
    cr_assert(allowance_account_grant(&a, &g, NOW));
    cr_expect_eq(take(&a, NOW + 1000000), ALLOWANCE_GO);
}

Test(allowance_account, gives_back_what_it_does_not_use)
{
    wire_quota_report r;
    allowance_account a = make();
    cr_expect_eq(take(&a, NOW), ALLOWANCE_WAIT);
    (void)granted(&a, 9, NOW);
    cr_expect_not(allowance_account_report(&a, NOW + 100, &r), "nothing happened");
    cr_assert(allowance_account_report(&a, NOW + ALLOWANCE_IDLE_MS, &r));
    cr_expect_eq(r.n_wanted, 0);
    cr_expect_eq(r.ceilings.of[RESOURCE_REQUESTS], 0);
    cr_expect_eq(take(&a, NOW + ALLOWANCE_IDLE_MS), ALLOWANCE_WAIT);
}

Test(allowance_account, rest_gives_back_at_once_and_forgets_the_answer_under_way)
{
    wire_quota_report first, second;
    allowance_account a = make();
    (void)granted(&a, 9, NOW);
    cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_assert(allowance_account_report(&a, NOW + 50, &first));
    allowance_account_rest(&a, NOW + 60);
    cr_assert(allowance_account_report(&a, NOW + 60, &second));
    cr_expect_eq(second.ceilings.of[RESOURCE_REQUESTS], 1);
    cr_expect_eq(second.ceilings.of[RESOURCE_IN_FLIGHT], 1);
    wire_quota_grant late = {.seq = first.seq, .ceilings = {{9, 900, 900000, 9, 900}}};
    cr_expect_not(allowance_account_grant(&a, &late, NOW + 70));
    allowance_account_leave(&a, NOW + 80, &second);
    cr_expect(second.leaving);
}

Test(allowance_account, does_not_wait_for_the_answer_to_a_rest_and_goes_on_at_its_pace)
{
    wire_quota_report r;
    allowance_account a = make();
    (void)granted(&a, 9, NOW);
    for (int i = 0; i < 8; i++) cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    (void)granted(&a, 9, NOW + 50);
    allowance_account_rest(&a, NOW + 60);
    cr_assert(allowance_account_report(&a, NOW + 60, &r));
    cr_expect_eq(r.n_wanted, 0);
    cr_expect_not(allowance_account_report(&a, NOW + 70, &r), "nothing is wanted yet");
    cr_expect_eq(take(&a, NOW + 80), ALLOWANCE_WAIT);
    cr_assert(allowance_account_report(&a, NOW + 80, &r), "somebody else dropped the answer");
    cr_expect_eq(r.n_wanted, 18);
    cr_expect_not(allowance_account_report(&a, NOW + 90, &r), "this one matters");
}

Test(allowance_account, obeys_a_pause_and_a_stop)
{
    wire_quota_report r;
    uint64_t retry_ms = 0;
    allowance_account a = make();
    cr_assert(allowance_account_report(&a, NOW, &r));
    wire_quota_grant g = {.seq = 1, .ceilings = {{9, 900, 900000, 9, 900}}, .pause_ms = 700};
    cr_assert(allowance_account_grant(&a, &g, NOW));
    cr_expect_eq(allowance_account_take(&a, &need, NOW + 100, &retry_ms), ALLOWANCE_WAIT);
    cr_expect_eq(retry_ms, 600);
    cr_expect_eq(take(&a, NOW + 700), ALLOWANCE_GO);
    cr_assert(allowance_account_report(&a, NOW + 700, &r));
    g = (wire_quota_grant){.seq = 2, .ceilings = g.ceilings, .stop = QUOTA_BUDGET_SPENT};
    cr_assert(allowance_account_grant(&a, &g, NOW + 700));
    cr_expect_eq(take(&a, NOW + 700), ALLOWANCE_NEVER);
}

Test(allowance_account, wishes_a_pause_only_when_most_requests_are_refused)
{
    wire_quota_report r;
    allowance_account a = make();
    allowance_use good = {.known = true},
                  refused = {.known = true, .overloaded = true, .retry_after_ms = 3000};
    (void)granted(&a, 9, NOW);
    for (int i = 0; i < 4; i++) cr_expect_eq(take(&a, NOW), ALLOWANCE_GO);
    for (int i = 0; i < 3; i++) allowance_account_settle(&a, &need, &good, NOW);
    allowance_account_settle(&a, &need, &refused, NOW);
    r = granted(&a, 9, NOW + 50);
    cr_expect_eq(r.pause_ms, 0);
    cr_expect_eq(r.n_overloads, 1);
    for (int i = 0; i < 2; i++) cr_expect_eq(take(&a, NOW + 60), ALLOWANCE_GO);
    for (int i = 0; i < 2; i++) allowance_account_settle(&a, &need, &refused, NOW + 100);
    r = granted(&a, 9, NOW + 200);
    cr_expect_eq(r.pause_ms, 2900);
    cr_expect_eq(r.n_overloads, 3);
}

Test(allowance_account,
     sets_aside_what_requests_like_it_took_but_money_and_the_servers_view_in_full)
{
    allowance_account a = make();
    allowance_use use = {.known = true, .n_prompt_tokens = 40, .n_completion_tokens = 10};
    for (int i = 0; i < 40; i++) {
        (void)granted(&a, 2, NOW + i * 100);
        cr_assert_eq(take(&a, NOW + i * 100), ALLOWANCE_GO);
        allowance_account_settle(&a, &need, &use, NOW + i * 100);
    }
    (void)granted(&a, 2, NOW + 5000);
    cr_assert_eq(take(&a, NOW + 5000), ALLOWANCE_GO);
    cr_expect_eq(need.n_tokens, 50, "%lu", need.n_tokens);
    cr_expect_eq(a.reserved.of[RESOURCE_TOKENS], 50);
    cr_expect_eq(a.reserved.of[RESOURCE_MOST_TOKENS], 100);
    cr_expect_eq(a.reserved.of[RESOURCE_COST], 100000);
    allowance_use lost = {.known = false};
    allowance_account_settle(&a, &need, &lost, NOW + 5100);
    cr_expect_eq(a.settled.of[RESOURCE_TOKENS], 41 * 50);
    cr_expect_eq(a.settled.of[RESOURCE_COST], 40 * 50000 + 100000, "it may have been paid in full");
    cr_expect_eq(a.settled.of[RESOURCE_MOST_TOKENS], 41 * 100);
    cr_expect_eq(a.n_overruns, 0);
}

Test(allowance_account, a_failed_request_that_cost_nothing_may_be_counted_all_the_same)
{
    allowance_account a = make();
    allowance_use failed = {.known = true, .maybe_counted = true}, refused = {.known = true};
    (void)granted(&a, 2, NOW);
    cr_assert_eq(take(&a, NOW), ALLOWANCE_GO);
    allowance_account_settle(&a, &need, &failed, NOW);
    cr_expect_eq(a.settled.of[RESOURCE_TOKENS], 100);
    cr_expect_eq(a.settled.of[RESOURCE_COST], 0);
    cr_assert_eq(take(&a, NOW), ALLOWANCE_GO);
    allowance_account_settle(&a, &need, &refused, NOW);
    cr_expect_eq(a.settled.of[RESOURCE_TOKENS], 100);
    cr_expect_eq(a.settled.of[RESOURCE_REQUESTS], 2);
}

Test(allowance_account, reports_once_what_the_server_told_and_what_had_been_granted_by_then)
{
    wire_quota_report r;
    allowance_account a = make();
    allowance_limit told = {.known = true, .n_limit = 60, .n_left = 9, .reset_ms = 500};
    allowance_limit nothing = {0};
    cr_assert(allowance_account_report(&a, NOW, &r));
    wire_quota_grant g = {.seq = r.seq, .ceilings = {{9, 900, 900000, 9, 900}}, .stamp = 77};
    cr_assert(allowance_account_grant(&a, &g, NOW));
    cr_assert_eq(take(&a, NOW), ALLOWANCE_GO);
    cr_expect_eq(need.after, 77);
    allowance_account_hear(&a, &nothing, &told, need.after, NOW + 20);
    r = granted(&a, 9, NOW + 60);
    cr_expect_not(r.limits[WIRE_LIMIT_REQUESTS].known);
    cr_expect(r.limits[WIRE_LIMIT_TOKENS].known);
    cr_expect_eq(r.limits[WIRE_LIMIT_TOKENS].n_left, 9);
    cr_expect_eq(r.limits[WIRE_LIMIT_TOKENS].after, 77);
    cr_expect_eq(r.limits[WIRE_LIMIT_TOKENS].age_ms, 40);
    cr_expect_not(r.no_limit_told);
    allowance_account_hear(&a, &nothing, &nothing, need.after, NOW + 70);
    r = granted(&a, 9, NOW + 120);
    cr_expect_not(r.limits[WIRE_LIMIT_TOKENS].known, "it was told already");
    cr_expect(r.no_limit_told);
}
