/* What the numbers of all heartbeats come to, over restarts. */
#include "coordinator/member_sums.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static membership *m;

static void open_members(void)
{
    cr_assert_eq(membership_new(1000, &m, NULL), RT_OK);
}

static void close_members(void)
{
    membership_free(m);
}

TestSuite(member_sums, .init = open_members, .fini = close_members);

/* Valid until the next call for MEMBERS_MAX others. */
static member *join(const char *name, uint64_t incarnation, wire_role role, uint64_t now_ms)
{
    member *who = NULL;
    char none[] = "";
    wire_register body = {.role = role, .host = none, .endpoint = none, .fingerprint = none};
    membership_register(m, name, incarnation, &body, now_ms, &who);
    cr_assert_not_null(who, "%s", name);
    return who;
}

static void tell(member *who, const char *counter, double value)
{
    char name[64], none[] = "";
    wire_counter one = {.name = name, .value = value};
    wire_heartbeat body = {.role = who->role, .busy_with = none, .counters = &one, .n_counters = 1};
    snprintf(name, sizeof name, "%s", counter);
    membership_heartbeat(who, &body);
}

/* n durations in one bucket. */
static void tell_durations(member *who, size_t bucket, uint64_t n, double sum)
{
    uint64_t buckets[TIME_BUCKETS] = {0};
    char name[] = "pull_seconds", none[] = "";
    wire_histogram one = {.name = name,
                          .first = TIME_BUCKET_FIRST_S,
                          .sum = sum,
                          .buckets = buckets,
                          .n_buckets = TIME_BUCKETS};
    wire_heartbeat body = {
        .role = who->role, .busy_with = none, .histograms = &one, .n_histograms = 1};
    buckets[bucket] = n;
    membership_heartbeat(who, &body);
}

static time_histogram pulls(void)
{
    time_histogram h;
    member_durations(m, ROLE_STUDENT, "pull_seconds", &h);
    return h;
}

Test(member_sums, adds_all_of_a_role_dead_ones_too_and_none_of_another)
{
    tell(join("teacher-0", 1, ROLE_TEACHER, 0), "retries", 3);
    tell(join("student-0", 1, ROLE_STUDENT, 0), "retries", 100);
    tell(join("teacher-1", 1, ROLE_TEACHER, 2000), "retries", 4);
    cr_assert_not_null(membership_next_dead(m, 2000));
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 7);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retrie"), 0);
    cr_expect_eq(member_sum(m, ROLE_SERVER, "retries"), 0);
}

Test(member_sums, what_is_negative_or_not_finite_counts_nothing)
{
    tell(join("teacher-0", 1, ROLE_TEACHER, 0), "retries", -5);
    tell(join("teacher-1", 1, ROLE_TEACHER, 0), "retries", INFINITY);
    tell(join("teacher-2", 1, ROLE_TEACHER, 0), "retries", 2);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 2);
    join("teacher-0", 2, ROLE_TEACHER, 1);
    join("teacher-1", 2, ROLE_TEACHER, 1);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 2);
}

Test(member_sums, a_sum_does_not_go_back_when_a_worker_starts_again)
{
    tell(join("teacher-0", 1, ROLE_TEACHER, 0), "retries", 5);
    member *again = join("teacher-0", 2, ROLE_TEACHER, 1);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 5, "it has told nothing yet");
    tell(again, "retries", 1);
    tell(again, "retries", 2);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 7);
    cr_assert_not_null(membership_next_dead(m, 5000));
    join("teacher-0", 3, ROLE_TEACHER, 5001);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), 7);
}

Test(member_sums, nor_when_one_is_forgotten_to_make_room)
{
    char name[32];
    for (int i = 0; i < MEMBERS_MAX; i++) {
        snprintf(name, sizeof name, "teacher-%d", i);
        tell(join(name, 1, ROLE_TEACHER, i == 0 ? 0 : 5000), "retries", 1);
    }
    cr_assert_not_null(membership_next_dead(m, 5000));
    tell(join("student-0", 1, ROLE_STUDENT, 5000), "retries", 9);
    cr_expect_eq(membership_n(m), MEMBERS_MAX);
    cr_expect_eq(member_sum(m, ROLE_TEACHER, "retries"), MEMBERS_MAX);
    cr_expect_eq(member_sum(m, ROLE_STUDENT, "retries"), 9);
}

Test(member_sums, durations_of_all_workers_are_one_histogram_that_grows_over_restarts)
{
    tell_durations(join("student-0", 1, ROLE_STUDENT, 0), 3, 10, 0.5);
    member *other = join("student-1", 1, ROLE_STUDENT, 0);
    tell_durations(other, 4, 2, 0.25);
    tell_durations(join("server-0", 1, ROLE_SERVER, 0), 4, 100, 1);
    cr_expect_eq(time_histogram_n(&(time_histogram){0}), 0);
    time_histogram h = pulls();
    cr_expect_eq(h.buckets[3], 10);
    cr_expect_eq(h.buckets[4], 2);
    cr_expect_eq(h.sum, 0.75);
    tell_durations(join("student-0", 2, ROLE_STUDENT, 1), 3, 1, 0.125);
    h = pulls();
    cr_expect_eq(h.buckets[3], 11);
    cr_expect_eq(h.sum, 0.875);
}

Test(member_sums, a_heartbeat_that_was_overtaken_takes_nothing_back)
{
    member *who = join("student-0", 1, ROLE_STUDENT, 0);
    tell_durations(who, 3, 10, 0.5);
    tell_durations(who, 3, 8, 0.4);
    cr_expect_eq(pulls().buckets[3], 10);
    tell_durations(who, 4, 12, 0.9); /* more in all, but bucket 3 went back: not ours */
    cr_expect_eq(time_histogram_n(&(time_histogram){.buckets = {pulls().buckets[4]}}), 0);
    tell_durations(who, 3, 11, 0.4); /* a sum that went back */
    cr_expect_eq(pulls().buckets[3], 10);
}

Test(member_sums, durations_in_other_buckets_or_without_sense_are_left_out)
{
    member *who = join("student-0", 1, ROLE_STUDENT, 0);
    uint64_t buckets[TIME_BUCKETS] = {5};
    char name[] = "pull_seconds", none[] = "";
    wire_histogram bad[] = {
        {name, 0.001, 1, buckets, TIME_BUCKETS},
        {name, TIME_BUCKET_FIRST_S, 1, buckets, TIME_BUCKETS - 1},
        {name, TIME_BUCKET_FIRST_S, -1, buckets, TIME_BUCKETS},
        {name, TIME_BUCKET_FIRST_S, NAN, buckets, TIME_BUCKETS},
        {name, TIME_BUCKET_FIRST_S, 0, NULL, 0},
    };
    wire_heartbeat body = {
        .role = ROLE_STUDENT, .busy_with = none, .histograms = bad, .n_histograms = RT_COUNT(bad)};
    membership_heartbeat(who, &body);
    cr_expect_eq(who->told.n_histograms, 0);
}

Test(member_sums, names_beyond_the_table_are_left_out_and_long_ones_are_cut_once)
{
    member *who = join("student-0", 1, ROLE_STUDENT, 0);
    uint64_t buckets[TIME_BUCKETS] = {1};
    wire_histogram many[64];
    char names[64][80], none[] = "";
    for (size_t i = 0; i < RT_COUNT(many); i++) {
        snprintf(names[i], sizeof names[i], "%060d-%zu", 7, i); /* all the same once cut */
        if (i >= 8) snprintf(names[i], sizeof names[i], "name-%zu", i);
        many[i] = (wire_histogram){names[i], TIME_BUCKET_FIRST_S, 0.5, buckets, TIME_BUCKETS};
    }
    wire_heartbeat body = {.role = ROLE_STUDENT,
                           .busy_with = none,
                           .histograms = many,
                           .n_histograms = RT_COUNT(many)};
    for (int beat = 0; beat < 3; beat++) membership_heartbeat(who, &body);
    cr_expect_eq(who->told.n_histograms, MEMBER_HISTOGRAMS_MAX);
    cr_expect_str_eq(who->told.histograms[1].name, "name-8");
}

static void tell_speed(member *who, double cost, double peak)
{
    char names[2][32] = {"mflop_per_token", "peak_mflops_per_s"}, none[] = "";
    wire_counter both[] = {{names[0], cost}, {names[1], peak}};
    wire_heartbeat body = {.role = who->role, .busy_with = none, .counters = both, .n_counters = 2};
    membership_heartbeat(who, &body);
}

Test(member_sums, speed_is_tokens_times_their_cost_and_the_peak_is_that_of_the_living)
{
    compute_rate c = compute_rate_of(m, 1000);
    cr_expect(isnan(c.mflops_per_s) && isnan(c.peak_mflops_per_s) && isnan(c.peak_share));
    tell_speed(join("student-0", 1, ROLE_STUDENT, 0), 5, 99999);
    cr_assert_not_null(membership_next_dead(m, 5000));
    tell_speed(join("student-1", 1, ROLE_STUDENT, 5000), 2, 8000);
    member *third = join("student-2", 1, ROLE_STUDENT, 5000);
    c = compute_rate_of(m, 1000);
    cr_expect_eq(c.mflops_per_s, 2000);
    cr_expect(isnan(c.peak_mflops_per_s), "one has not told yet");
    tell_speed(third, 3, 2000);
    c = compute_rate_of(m, 1000);
    cr_expect_eq(c.mflops_per_s, 3000);
    cr_expect_eq(c.peak_mflops_per_s, 10000);
    cr_expect_float_eq(c.peak_share, 0.3, 1e-12);
}
