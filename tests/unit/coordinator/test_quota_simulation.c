/* A run in one process: many teachers with their accounts, the coordinator's quota, a network that
 * loses, delays and repeats, processes that die and fall silent; one seed decides all of it.
 *
 * What the teachers' server saw is kept apart and checked at the end: no minute, wherever it begins,
 * has more requests or tokens than its limit; what was really paid stays within the budget.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/quota.h"
#include "worker/teacher/allowance_account.h"

#define TEACHERS_MAX  5
#define CHANNELS      16 /* messages on their way, each direction, each teacher */
#define FLIGHTS_MAX   48 /* requests of one teacher */
#define EVENTS_MAX    200000
#define STEP_MS       10
#define DEAD_AFTER_MS 3000

typedef struct flight {
    uint64_t end_ms; /* 0: free */
    allowance_need need;
    uint64_t n_prompt, n_completion; /* what it takes really */
    bool is_heard;                   /* the answer comes, and says so */
    bool is_cut; /* of a process that was buried: a dead one's connections are closed */
} flight;

typedef struct packet {
    uint64_t at_ms; /* 0: free */
    wire_quota_report report;
    wire_quota_grant grant;
    uint64_t incarnation;
} packet;

typedef struct sim_teacher {
    char name[32];
    uint64_t incarnation;
    bool alive, buried;
    uint64_t heard_ms;           /* by the coordinator */
    uint64_t silent_until_ms;    /* cut off from it */
    uint64_t begins_ms, ends_ms; /* of its demand */
    size_t n_flights_max;
    allowance_account account;
    flight flights[FLIGHTS_MAX];
    packet up[CHANNELS], down[CHANNELS];
    uint64_t n_served, served_ms, worst_wait_ms;
} sim_teacher;

/* What the server saw: at what time, how many tokens in the end. */
typedef struct event {
    uint64_t at_ms, n_tokens;
} event;

typedef struct sim {
    rng_key key;
    uint64_t i_random, now_ms;
    quota_settings limits;
    price_table prices;
    quota *quota;
    sim_teacher teachers[TEACHERS_MAX];
    size_t n_teachers;
    unsigned loss, trouble; /* per mille: of a message; of a death or silence, per second */
    uint64_t latency_ms;
    uint64_t answer_max; /* set aside for each answer, however short it is; 0: its own length */
    event *events;
    size_t n_events;
    uint64_t paid; /* really */
    size_t n_in_flight, worst_in_flight;
    uint64_t n_deaths;
} sim;

static uint64_t any(sim *s, uint64_t from, uint64_t to)
{
    return from + rng_below(s->key, s->i_random++, to - from + 1);
}

static bool chance(sim *s, unsigned per_mille)
{
    return any(s, 0, 999) < per_mille;
}

static void start_teacher(sim *s, sim_teacher *t)
{
    memset(t->flights, 0, sizeof t->flights);
    t->incarnation++;
    t->alive = true;
    t->buried = false;
    t->account = (allowance_account){.prices = s->prices,
                                     .tokens_per_minute = s->limits.tokens_per_minute,
                                     .stale_ms = DEAD_AFTER_MS / 2};
    t->heard_ms = t->served_ms = s->now_ms;
}

static void start(sim *s, uint64_t seed)
{
    rt_error err = {0};
    *s = (sim){.key = rng_key_make(seed, "quota", (rt_id){0, 0}, 0), .now_ms = 1000};
    s->events = calloc(EVENTS_MAX, sizeof *s->events);
    cr_assert_not_null(s->events);
    s->n_teachers = (size_t)any(s, 1, TEACHERS_MAX);
    if (chance(s, 700)) s->limits.requests_per_minute = any(s, 1, 3000);
    if (chance(s, 700)) s->limits.tokens_per_minute = any(s, 2000, 1000000);
    if (chance(s, 500)) s->limits.in_flight_max = any(s, 1, 60);
    if (chance(s, 700)) s->prices = (price_table){any(s, 1, 30), any(s, 1, 30), any(s, 1, 60)};
    if (chance(s, 700) && s->prices.input > 0)
        s->limits.budget = any(s, 1, 2000) * UINT64_C(10000000);
    s->loss = (unsigned)any(s, 0, 100);
    s->trouble = (unsigned)any(s, 0, 100);
    s->latency_ms = any(s, 20, 3000);
    cr_assert_eq(quota_new(&s->limits, true, s->now_ms, &s->quota, &err), RT_OK);
    for (size_t i = 0; i < s->n_teachers; i++) {
        sim_teacher *t = &s->teachers[i];
        snprintf(t->name, sizeof t->name, "teacher-%zu", i);
        t->n_flights_max = (size_t)any(s, 1, FLIGHTS_MAX);
        t->begins_ms = any(s, 0, 30000);
        t->ends_ms = any(s, 40000, 120000);
        start_teacher(s, t);
    }
}

static void stop(sim *s)
{
    quota_free(s->quota);
    free(s->events);
}

/* ---- the network ---- */

static void send_packet(sim *s, sim_teacher *t, packet *channel, packet p)
{
    size_t n_copies = chance(s, s->loss) ? 0 : 1 + chance(s, s->loss);
    if (s->now_ms < t->silent_until_ms) n_copies = 0;
    for (size_t i = 0; i < CHANNELS && n_copies > 0; i++) {
        if (channel[i].at_ms != 0) continue;
        channel[i] = p;
        channel[i].at_ms = s->now_ms + (chance(s, s->loss) ? any(s, 1, 2500) : any(s, 1, 30));
        n_copies--;
    }
}

static void coordinator_hears(sim *s, sim_teacher *t, const packet *p)
{
    packet answer = {.incarnation = p->incarnation};
    if (p->incarnation != t->incarnation) return; /* membership refuses it */
    t->heard_ms = s->now_ms;
    t->buried = false;
    if (quota_report(s->quota, t->name, p->incarnation, &p->report, s->now_ms, &answer.grant))
        send_packet(s, t, t->down, answer);
}

static void deliver(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        if (t->up[i].at_ms != 0 && t->up[i].at_ms <= s->now_ms) {
            t->up[i].at_ms = 0;
            coordinator_hears(s, t, &t->up[i]);
        }
        if (t->down[i].at_ms != 0 && t->down[i].at_ms <= s->now_ms) {
            t->down[i].at_ms = 0;
            if (t->alive && t->down[i].incarnation == t->incarnation)
                (void)allowance_account_grant(&t->account, &t->down[i].grant, s->now_ms);
        }
    }
}

/* ---- teachers and their server ---- */

static void begin_requests(sim *s, sim_teacher *t)
{
    if (s->now_ms < t->begins_ms || s->now_ms > t->ends_ms) return;
    for (size_t i = 0; i < t->n_flights_max; i++) {
        flight *f = &t->flights[i];
        uint64_t retry_ms = 0;
        if (f->end_ms != 0) continue;
        if (f->need.n_prompt_tokens == 0)
            f->need = (allowance_need){any(s, 50, 700), any(s, 20, 200), NULL, 0, 0};
        if (s->answer_max > 0) f->need.n_completion_tokens = s->answer_max;
        if (allowance_account_take(&t->account, &f->need, s->now_ms, &retry_ms) != ALLOWANCE_GO) {
            t->worst_wait_ms = RT_MAX(t->worst_wait_ms, s->now_ms - t->served_ms);
            return;
        }
        f->end_ms = s->now_ms + any(s, s->latency_ms / 4 + 1, s->latency_ms);
        f->n_prompt = any(s, f->need.n_prompt_tokens / 2, f->need.n_prompt_tokens);
        f->n_completion = any(s, 0, RT_MIN(f->need.n_completion_tokens, (uint64_t)200));
        f->is_heard = !chance(s, 30);
        t->n_served++;
        t->served_ms = s->now_ms;
        s->n_in_flight++;
        s->worst_in_flight = RT_MAX(s->worst_in_flight, s->n_in_flight);
        s->paid += price_of(&s->prices, f->n_prompt, 0, f->n_completion);
        cr_assert_lt(s->n_events, EVENTS_MAX);
        s->events[s->n_events++] = (event){s->now_ms, f->n_prompt + f->n_completion};
    }
}

static void end_requests(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < t->n_flights_max; i++) {
        flight *f = &t->flights[i];
        if (f->end_ms == 0 || f->end_ms > s->now_ms) continue;
        allowance_use use = {.known = f->is_heard,
                             .n_prompt_tokens = f->n_prompt,
                             .n_completion_tokens = f->n_completion};
        allowance_account_settle(&t->account, &f->need, &use, s->now_ms);
        s->n_in_flight -= !f->is_cut;
        *f = (flight){0};
    }
}

/* Its requests do not count any more. */
static void cut_flights(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < FLIGHTS_MAX; i++) {
        if (t->flights[i].end_ms == 0 || t->flights[i].is_cut) continue;
        t->flights[i].is_cut = true;
        s->n_in_flight--;
    }
}

static void kill_teacher(sim *s, sim_teacher *t)
{
    cut_flights(s, t);
    memset(t->flights, 0, sizeof t->flights);
    t->alive = false;
    s->n_deaths++;
}

static void make_trouble(sim *s, sim_teacher *t)
{
    if (s->now_ms % 1000 != 0 || !chance(s, s->trouble)) return;
    if (chance(s, 500)) {
        t->silent_until_ms = s->now_ms + any(s, 100, 8000);
    } else if (t->alive) {
        kill_teacher(s, t);
    }
}

static void turn_teacher(sim *s, sim_teacher *t)
{
    wire_quota_report report;
    make_trouble(s, t);
    if (!t->alive && chance(s, 5)) start_teacher(s, t);
    if (!t->alive) return;
    end_requests(s, t);
    begin_requests(s, t);
    if (chance(s, 2)) allowance_account_rest(&t->account, s->now_ms);
    if (allowance_account_report(&t->account, s->now_ms, &report))
        send_packet(s, t, t->up, (packet){.report = report, .incarnation = t->incarnation});
}

static void check_now(sim *s)
{
    quota_sums sums;
    quota_sum(s->quota, s->now_ms, &sums);
    if (s->limits.in_flight_max > 0)
        cr_assert_leq(s->n_in_flight, s->limits.in_flight_max, "at %lu", s->now_ms);
    if (s->limits.budget == 0) return;
    cr_assert_leq(s->paid, s->limits.budget, "at %lu", s->now_ms);
    cr_assert_leq(sums.use.cost + sums.lost + sums.reserved, s->limits.budget);
}

static void turn(sim *s)
{
    s->now_ms += STEP_MS;
    for (size_t i = 0; i < s->n_teachers; i++) {
        sim_teacher *t = &s->teachers[i];
        deliver(s, t);
        turn_teacher(s, t);
        /* Heartbeats of a living process come through unless it is cut off. */
        if (t->alive && s->now_ms >= t->silent_until_ms) t->heard_ms = s->now_ms;
        if (!t->buried && s->now_ms - t->heard_ms > DEAD_AFTER_MS) {
            quota_bury(s->quota, t->name, s->now_ms);
            t->buried = true;
            cut_flights(s, t);
        }
    }
    check_now(s);
}

static void check_windows(const sim *s)
{
    uint64_t n_tokens = 0;
    for (size_t first = 0, i = 0; i < s->n_events; i++) {
        n_tokens += s->events[i].n_tokens;
        while (s->events[first].at_ms + 60000 <= s->events[i].at_ms)
            n_tokens -= s->events[first++].n_tokens;
        if (s->limits.requests_per_minute > 0)
            cr_assert_leq(i - first + 1, s->limits.requests_per_minute);
        if (s->limits.tokens_per_minute > 0) cr_assert_leq(n_tokens, s->limits.tokens_per_minute);
    }
}

Test(quota_simulation, no_limit_is_ever_exceeded_whatever_dies_is_lost_or_comes_twice,
     .timeout = 280)
{
    uint64_t n_events = 0, n_deaths = 0, n_ended = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        sim s;
        start(&s, seed);
        while (s.now_ms < 100000 && s.n_events < EVENTS_MAX - 1000) turn(&s);
        check_windows(&s);
        n_events += s.n_events;
        n_deaths += s.n_deaths;
        n_ended += quota_budget_spent(s.quota, s.now_ms);
        stop(&s);
    }
    /* The simulation is worth something only if much happens in it. */
    cr_expect_gt(n_events, 100000);
    cr_expect_gt(n_deaths, 1000);
    cr_expect_gt(n_ended, 20);
}

/* Demand all the time, a network that mostly works. */
static void start_busy(sim *s, uint64_t seed, quota_settings limits)
{
    rt_error err = {0};
    start(s, seed);
    quota_free(s->quota);
    s->limits = limits;
    s->prices = (price_table){2, 1, 8};
    s->loss = 5;
    s->trouble = 0;
    s->latency_ms = 400;
    cr_assert_eq(quota_new(&limits, true, s->now_ms, &s->quota, &err), RT_OK);
    for (size_t i = 0; i < s->n_teachers; i++) {
        sim_teacher *t = &s->teachers[i];
        start_teacher(s, t);
        t->begins_ms = 0;
        t->ends_ms = UINT64_MAX;
        t->n_flights_max = FLIGHTS_MAX;
    }
}

/* Served between two times, as a share of what the limits allow in that time. */
static void check_share(const sim *s, uint64_t from_ms, uint64_t to_ms, uint64_t seed)
{
    uint64_t n = 0, n_tokens = 0;
    for (size_t i = 0; i < s->n_events; i++) {
        if (s->events[i].at_ms < from_ms || s->events[i].at_ms >= to_ms) continue;
        n++;
        n_tokens += s->events[i].n_tokens;
    }
    double minutes = (double)(to_ms - from_ms) / 60000, share = 0;
    if (s->limits.requests_per_minute > 0)
        share = (double)n / ((double)s->limits.requests_per_minute * minutes);
    if (s->limits.tokens_per_minute > 0)
        share = RT_MAX(share, (double)n_tokens / ((double)s->limits.tokens_per_minute * minutes));
    cr_expect_gt(share, 0.9, "seed %lu: %.3f of the limits was used", seed, share);
}

Test(quota_simulation, demand_gets_nine_tenths_of_what_the_limits_allow, .timeout = 120)
{
    static const quota_settings limits[] = {
        {.requests_per_minute = 20},
        {.requests_per_minute = 600},
        {.tokens_per_minute = 200000},
        {.requests_per_minute = 900, .tokens_per_minute = 300000, .in_flight_max = 40},
    };
    for (size_t l = 0; l < RT_COUNT(limits); l++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            sim s;
            start_busy(&s, seed, limits[l]);
            while (s.now_ms < 241000) turn(&s);
            check_windows(&s);
            check_share(&s, 1000, 241000, seed);
            stop(&s);
        }
    }
}

/* Answers that take seconds, and a max_new_tokens ten times as large as they are. With all of it set
 * aside for each, seven tenths of the limit would be used. */
Test(quota_simulation, slow_answers_leave_little_of_the_tokens_unused, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        sim s;
        uint64_t n_tokens = 0;
        start_busy(&s, seed, (quota_settings){.tokens_per_minute = 200000});
        s.latency_ms = 8000;
        s.answer_max = 1000;
        while (s.now_ms < 301000) turn(&s);
        check_windows(&s);
        for (size_t i = 0; i < s.n_events; i++)
            n_tokens += s.events[i].at_ms >= 61000 ? s.events[i].n_tokens : 0;
        double share = (double)n_tokens / (4 * 200000.0);
        cr_expect_gt(share, 0.8, "seed %lu, %zu teachers: %.3f", seed, s.n_teachers, share);
        stop(&s);
    }
}

Test(quota_simulation, places_in_flight_are_kept_busy_by_requests_shorter_than_a_report,
     .timeout = 60)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        sim s;
        start_busy(&s, seed, (quota_settings){.in_flight_max = 12});
        s.latency_ms = 80; /* 21 to 80, and up to 10 until it is seen */
        while (s.now_ms < 61000) turn(&s);
        double served = (double)s.n_events / 60, possible = 12 / 0.055;
        cr_expect_gt(served, 0.8 * possible, "seed %lu, %zu teachers: %.0f of %.0f a second", seed,
                     s.n_teachers, served, possible);
        stop(&s);
    }
}

Test(quota_simulation, everybody_gets_a_fair_part_and_nobody_starves, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 16; seed++) {
        sim s;
        start_busy(&s, seed, (quota_settings){.requests_per_minute = 400, .in_flight_max = 20});
        while (s.now_ms < 181000) turn(&s);
        for (size_t i = 0; i < s.n_teachers; i++) {
            const sim_teacher *t = &s.teachers[i];
            double part = (double)t->n_served * (double)s.n_teachers / (double)s.n_events;
            cr_expect_gt(part, 0.8, "seed %lu: %s got %.2f of its part", seed, t->name, part);
            cr_expect_lt(t->worst_wait_ms, 10000, "seed %lu: %s waited", seed, t->name);
        }
        stop(&s);
    }
}

Test(quota_simulation, the_budget_is_spent_to_less_than_one_request_and_then_all_is_over,
     .timeout = 120)
{
    for (uint64_t seed = 1; seed <= 32; seed++) {
        sim s;
        quota_sums sums;
        start_busy(&s, seed, (quota_settings){.budget = 300000000, .in_flight_max = seed % 8});
        while (!quota_budget_spent(s.quota, s.now_ms) && s.now_ms < 600000) turn(&s);
        quota_sum(s.quota, s.now_ms, &sums);
        cr_assert(quota_budget_spent(s.quota, s.now_ms), "seed %lu", seed);
        cr_expect_eq(sums.reserved, 0);
        cr_expect_eq(sums.lost, 0);
        cr_expect_gt(sums.use.cost, 300000000 - price_at_most(&s.prices, 700, 200));
        size_t n = s.n_events;
        for (uint64_t until = s.now_ms + 5000; s.now_ms < until;) turn(&s);
        cr_expect_eq(s.n_events, n, "requests after the end");
        for (size_t i = 0; i < s.n_teachers; i++)
            cr_expect(s.teachers[i].account.spent, "%s was not told", s.teachers[i].name);
        stop(&s);
    }
}
