/* Limits that only the server knows, in one process: teachers that send through their own guard and
 * their account, the coordinator's quota, a network that loses, delays and repeats, processes that
 * die, and a server with a book of its own. One seed decides all of it.
 *
 * The server counts a request at some time between its sending and its answer, whatever becomes of
 * it, and says what is left then; a third of the answers say nothing. Whoever was one request over a
 * limit is in the book.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/rng.h"
#include "coordinator/quota.h"
#include "tests/support/limit_book.h"
#include "worker/teacher/allowance_account.h"
#include "worker/teacher/openai/rate_limit.h"

#define TEACHERS_MAX  4
#define CHANNELS      16
#define FLIGHTS_MAX   64
#define STEP_MS       10
#define DEAD_AFTER_MS 3000
#define FAILING       300 /* per mille: answers without headers */

typedef struct flight {
    uint64_t sent_ms, counted_ms, end_ms; /* end 0: free; counted 0: it was */
    uint64_t number;
    allowance_need need;
    uint64_t n_used;
    bool fails, refused;
    openai_headers headers;
} flight;

typedef struct packet {
    uint64_t at_ms; /* 0: free */
    wire_quota_report report;
    wire_quota_grant grant;
    uint64_t incarnation;
} packet;

typedef struct sim_teacher {
    char name[32];
    uint64_t incarnation, heard_ms;
    bool alive, buried;
    allowance_account account;
    rate_limit limits;
    rate_limit_load flying;
    flight flights[FLIGHTS_MAX];
    packet up[CHANNELS], down[CHANNELS];
} sim_teacher;

typedef struct sim {
    rng_key key;
    uint64_t i_random, now_ms, latency_ms;
    limit_book book;
    bool counts_most;
    quota *quota;
    sim_teacher teachers[TEACHERS_MAX];
    size_t n_teachers;
    unsigned loss, trouble; /* per mille: of a message; of a death, per second */
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
    uint64_t incarnation = t->incarnation + 1;
    char name[32];
    memcpy(name, t->name, sizeof name);
    *t = (sim_teacher){.incarnation = incarnation,
                       .alive = true,
                       .heard_ms = s->now_ms,
                       .account = {.stale_ms = DEAD_AFTER_MS / 2}};
    memcpy(t->name, name, sizeof name);
}

static void start(sim *s, uint64_t seed, const limit_rules *rules)
{
    const quota_settings settings = {.probe = true};
    *s = (sim){.key = rng_key_make(seed, "seen", (rt_id){0, 0}, 0), .now_ms = 5000};
    s->n_teachers = (size_t)any(s, 1, TEACHERS_MAX);
    s->loss = (unsigned)any(s, 0, 50);
    s->latency_ms = any(s, 30, 3000);
    s->counts_most = chance(s, 500);
    limit_book_start(&s->book, rules, s->now_ms);
    cr_assert_eq(quota_new(&settings, true, s->now_ms, &s->quota, NULL), RT_OK);
    for (size_t i = 0; i < s->n_teachers; i++) {
        snprintf(s->teachers[i].name, sizeof s->teachers[i].name, "teacher-%zu", i);
        start_teacher(s, &s->teachers[i]);
    }
}

/* ---- the network ---- */

static void send_packet(sim *s, packet *channel, packet p)
{
    size_t n_copies = chance(s, s->loss) ? 0 : 1 + chance(s, s->loss);
    for (size_t i = 0; i < CHANNELS && n_copies > 0; i++) {
        if (channel[i].at_ms != 0) continue;
        channel[i] = p;
        channel[i].at_ms = s->now_ms + (chance(s, s->loss) ? any(s, 1, 2500) : any(s, 1, 30));
        n_copies--;
    }
}

static void deliver(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        packet *up = &t->up[i], *down = &t->down[i];
        if (up->at_ms != 0 && up->at_ms <= s->now_ms) {
            packet answer = {.incarnation = up->incarnation};
            up->at_ms = 0;
            t->heard_ms = s->now_ms;
            t->buried = false;
            if (quota_report(s->quota, t->name, up->incarnation, &up->report, s->now_ms,
                             &answer.grant))
                send_packet(s, t->down, answer);
        }
        if (down->at_ms != 0 && down->at_ms <= s->now_ms) {
            down->at_ms = 0;
            if (t->alive) (void)allowance_account_grant(&t->account, &down->grant, s->now_ms);
        }
    }
}

/* ---- the server ---- */

static openai_quota quota_header(const limit_book *b, int side, uint64_t now_ms)
{
    const limit_rules *r = &b->rules;
    if (r->limits[side] == 0) return (openai_quota){0};
    double per_ms = (double)r->limits[side] / (double)r->period_ms;
    double left = RT_MAX(b->left[side], 0.0);
    uint64_t reset_ms = r->kind == LIMIT_WINDOW
                            ? b->at_ms + r->period_ms - now_ms
                            : (uint64_t)(((double)r->limits[side] - left) / per_ms);
    return (openai_quota){.known = reset_ms > 0,
                          .n_left = (uint64_t)left,
                          .n_limit = r->limits[side],
                          .reset_ms = reset_ms,
                          .is_exact = true};
}

static void count_requests(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < FLIGHTS_MAX; i++) {
        flight *f = &t->flights[i];
        uint64_t retry_ms;
        if (f->end_ms == 0 || f->counted_ms == 0 || f->counted_ms > s->now_ms) continue;
        f->counted_ms = 0;
        uint64_t n_most = f->need.n_prompt_tokens + f->need.n_completion_tokens;
        uint64_t n = s->counts_most ? n_most : f->n_used;
        f->refused = !limit_book_take(&s->book, n, s->now_ms, &retry_ms);
        f->headers = (openai_headers){.requests = quota_header(&s->book, LIMIT_REQUESTS, s->now_ms),
                                      .tokens = quota_header(&s->book, LIMIT_TOKENS, s->now_ms),
                                      .has_retry = f->refused,
                                      .retry_ms = retry_ms};
    }
}

/* ---- teachers ---- */

static void land(sim *s, sim_teacher *t, flight *f)
{
    const openai_headers *h = &f->headers;
    rate_limit_load load = {1, f->need.n_prompt_tokens + f->need.n_completion_tokens};
    rate_limit_sent sent = {f->number, f->sent_ms, f->refused};
    allowance_use use = {.known = !f->fails && !f->refused,
                         .n_prompt_tokens = f->n_used / 2,
                         .n_completion_tokens = f->n_used - f->n_used / 2};
    t->flying.n_requests -= load.n_requests;
    t->flying.n_tokens -= load.n_tokens;
    if (f->fails) {
        rate_limit_on_silence(&t->limits, &load);
    } else {
        rate_limit_on_headers(&t->limits, &sent, h, s->now_ms);
        allowance_limit requests =
            rate_limit_told(&t->limits.requests, &h->requests, h, f->refused);
        allowance_limit tokens = rate_limit_told(&t->limits.tokens, &h->tokens, h, f->refused);
        allowance_account_hear(&t->account, &requests, &tokens, f->need.after, s->now_ms);
    }
    allowance_account_settle(&t->account, &f->need, &use, s->now_ms);
    *f = (flight){0};
}

static void begin_requests(sim *s, sim_teacher *t)
{
    for (size_t i = 0; i < FLIGHTS_MAX; i++) {
        flight *f = &t->flights[i];
        uint64_t retry_ms = 0;
        if (f->end_ms != 0) continue;
        allowance_need need = {any(s, 50, 300), any(s, 20, 400), NULL, 0, 0};
        rate_limit_load load = {1, need.n_prompt_tokens + need.n_completion_tokens};
        if (!rate_limit_allows(&t->limits, &t->flying, &load, s->now_ms, &retry_ms)) return;
        if (allowance_account_take(&t->account, &need, s->now_ms, &retry_ms) != ALLOWANCE_GO)
            return;
        *f = (flight){.sent_ms = s->now_ms,
                      .end_ms = s->now_ms + any(s, s->latency_ms / 4 + 1, s->latency_ms),
                      .number = rate_limit_on_send(&t->limits),
                      .need = need,
                      .n_used = need.n_prompt_tokens / 2 + any(s, 0, need.n_completion_tokens),
                      .fails = chance(s, FAILING)};
        f->counted_ms = any(s, f->sent_ms, f->end_ms);
        t->flying.n_requests += load.n_requests;
        t->flying.n_tokens += load.n_tokens;
    }
}

static void turn_teacher(sim *s, sim_teacher *t)
{
    wire_quota_report report;
    count_requests(s, t);
    if (s->now_ms % 1000 == 0 && chance(s, s->trouble)) t->alive = false;
    /* What a dead one has sent is counted all the same, if its bytes have left. */
    if (!t->alive && s->now_ms > t->heard_ms + DEAD_AFTER_MS + s->latency_ms && chance(s, 5))
        start_teacher(s, t);
    if (!t->alive) return;
    for (size_t i = 0; i < FLIGHTS_MAX; i++)
        if (t->flights[i].end_ms != 0 && t->flights[i].end_ms <= s->now_ms)
            land(s, t, &t->flights[i]);
    begin_requests(s, t);
    if (allowance_account_report(&t->account, s->now_ms, &report))
        send_packet(s, t->up, (packet){.report = report, .incarnation = t->incarnation});
}

static void turn(sim *s)
{
    s->now_ms += STEP_MS;
    for (size_t i = 0; i < s->n_teachers; i++) {
        sim_teacher *t = &s->teachers[i];
        deliver(s, t);
        turn_teacher(s, t);
        if (t->alive) t->heard_ms = s->now_ms;
        if (!t->buried && s->now_ms - t->heard_ms > DEAD_AFTER_MS) {
            quota_bury(s->quota, t->name, s->now_ms);
            t->buried = true;
        }
    }
}

static void check_book(const sim *s, uint64_t seed)
{
    cr_assert_eq(s->book.n_over[LIMIT_REQUESTS], 0, "seed %lu: %lu of %lu requests over", seed,
                 s->book.n_over[LIMIT_REQUESTS], s->book.n_admitted);
    cr_assert_eq(s->book.n_over[LIMIT_TOKENS], 0, "seed %lu: %lu of %lu over the tokens", seed,
                 s->book.n_over[LIMIT_TOKENS], s->book.n_admitted);
}

Test(seen_simulation, no_limit_that_the_server_tells_is_exceeded, .timeout = 280)
{
    uint64_t n_admitted = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        sim s;
        limit_rules rules = {.kind = seed % 2 == 0 ? LIMIT_WINDOW : LIMIT_BUCKET,
                             .period_ms = seed % 3 == 0 ? 10000 : 60000,
                             .start_share = (double)(seed % 7 + 1) / 7};
        if (seed % 5 != 0) rules.limits[LIMIT_REQUESTS] = 20 + seed * 7 % 3000;
        if (seed % 5 != 1) rules.limits[LIMIT_TOKENS] = 20000 + seed * 7919 % 400000;
        start(&s, seed, &rules);
        s.trouble = seed % 4 == 0 ? 20 : 0;
        while (s.now_ms < 90000) turn(&s);
        check_book(&s, seed);
        n_admitted += s.book.n_admitted;
        quota_free(s.quota);
    }
    cr_expect_gt(n_admitted, 100000);
}

Test(seen_simulation, demand_gets_nine_tenths_of_what_the_server_allows, .timeout = 200)
{
    static const limit_rules cases[] = {
        {.kind = LIMIT_BUCKET, .period_ms = 60000, .limits = {300, 0}, .start_share = 0.1},
        {.kind = LIMIT_BUCKET, .period_ms = 60000, .limits = {1500, 0}, .start_share = 0.1},
        {.kind = LIMIT_BUCKET, .period_ms = 60000, .limits = {0, 300000}, .start_share = 0.2},
        {.kind = LIMIT_BUCKET, .period_ms = 60000, .limits = {900, 400000}, .start_share = 0.2},
        {.kind = LIMIT_WINDOW, .period_ms = 60000, .limits = {600, 0}, .start_share = 1},
        {.kind = LIMIT_WINDOW, .period_ms = 60000, .limits = {0, 400000}, .start_share = 1},
    };
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
            sim s;
            start(&s, seed, &cases[i]);
            s.latency_ms = 1500;
            s.loss = 5;
            while (s.now_ms < 30000) turn(&s);
            limit_book_mark(&s.book, s.now_ms);
            while (s.now_ms < 270000) turn(&s);
            limit_book_unmark(&s.book, s.now_ms);
            check_book(&s, seed);
            double share = RT_MAX(limit_book_share(&s.book, LIMIT_REQUESTS),
                                  limit_book_share(&s.book, LIMIT_TOKENS));
            cr_expect_gt(share, 0.9, "case %zu seed %lu, %zu teachers: %.3f", i, seed, s.n_teachers,
                         share);
            quota_free(s.quota);
        }
    }
}
