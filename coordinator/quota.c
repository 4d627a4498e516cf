#include "coordinator/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/fair_share.h"
#include "coordinator/rate_window.h"
#include "coordinator/seen_limit.h"

/* Sums stop here, far above anything real. */
#define SUM_MAX ((uint64_t)INT64_MAX / 4)

struct quota {
    quota_settings settings;
    rate_window requests, tokens;
    quota_account *accounts;
    size_t n, capacity;
    share_wish *wishes; /* [capacity], scratch */
    quota_use closed;   /* of processes that were replaced */
    uint64_t closed_lost;
    uint64_t typical_cost;
    bool spent;
    uint64_t pause_until_ms;
    uint64_t n_pauses, n_overloads_closed;
    /* Of the teachers' server. */
    seen_limit seen[WIRE_LIMITS];
    seen_history history;
    double closed_held[WIRE_LIMITS]; /* of processes that were replaced: all of it has landed */
    bool was_told;                   /* a limit, or that there is none */
    uint64_t probe_ms;               /* since when nothing was told; 0: nobody asked yet */
};

/* What a limit of the server counts: whatever may have been sent, at its most. */
static const int seen_resource[WIRE_LIMITS] = {RESOURCE_REQUESTS, RESOURCE_MOST_TOKENS};

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > SUM_MAX || b > SUM_MAX - a ? SUM_MAX : a + b;
}

static void add_use(quota_use *into, const quota_use *use)
{
    into->n_requests = add(into->n_requests, use->n_requests);
    into->n_prompt_tokens = add(into->n_prompt_tokens, use->n_prompt_tokens);
    into->n_cached_tokens = add(into->n_cached_tokens, use->n_cached_tokens);
    into->n_completion_tokens = add(into->n_completion_tokens, use->n_completion_tokens);
    into->cost = add(into->cost, use->cost);
}

static bool is_probing(const quota *q)
{
    return q->settings.probe && !q->was_told;
}

static bool is_limited(const quota *q, int resource)
{
    switch (resource) {
    case RESOURCE_REQUESTS:
        return q->settings.requests_per_minute > 0 || q->seen[WIRE_LIMIT_REQUESTS].known ||
               is_probing(q);
    case RESOURCE_TOKENS:
        return q->settings.tokens_per_minute > 0 || q->seen[WIRE_LIMIT_TOKENS].known;
    case RESOURCE_MOST_TOKENS: return q->seen[WIRE_LIMIT_TOKENS].known;
    case RESOURCE_COST: return q->settings.budget > 0;
    default: return q->settings.in_flight_max > 0;
    }
}

rt_status quota_new(const quota_settings *settings, bool is_fresh, uint64_t now_ms, quota **out,
                    rt_error *err)
{
    quota *q = rt_calloc(1, sizeof *q);
    if (q == NULL) return rt_fail(err, RT_NOMEM, "quota");
    q->settings = *settings;
    rate_window_start(&q->requests, settings->requests_per_minute, is_fresh, now_ms);
    rate_window_start(&q->tokens, settings->tokens_per_minute, is_fresh, now_ms);
    for (size_t k = 0; k < WIRE_LIMITS; k++) q->seen[k].side = (wire_limit_side)k;
    *out = q;
    return RT_OK;
}

void quota_free(quota *q)
{
    if (q == NULL) return;
    free(q->accounts);
    free(q->wishes);
    free(q);
}

/* ---- accounts --------------------------------------------------------------------------- */

static uint64_t begun(const quota_account *a, int resource)
{
    return a->settled.of[resource] + a->reserved.of[resource];
}

static uint64_t unused(const quota_account *a, int resource)
{
    return a->held.of[resource] - begun(a, resource);
}

/* Held beyond what is settled. */
static uint64_t open_amount(const quota_account *a, int resource)
{
    return a->held.of[resource] - a->settled.of[resource];
}

quota_account *quota_find(quota *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++)
        if (strcmp(q->accounts[i].name, name) == 0) return &q->accounts[i];
    return NULL;
}

static rt_status grow(quota *q, rt_error *err)
{
    if (q->n < q->capacity) return RT_OK;
    size_t capacity = RT_MAX(2 * q->capacity, 16);
    quota_account *accounts = realloc(q->accounts, capacity * sizeof *accounts);
    if (accounts != NULL) q->accounts = accounts;
    share_wish *wishes = realloc(q->wishes, capacity * sizeof *wishes);
    if (wishes != NULL) q->wishes = wishes;
    if (accounts == NULL || wishes == NULL) return rt_fail(err, RT_NOMEM, "quota accounts");
    q->capacity = capacity;
    return RT_OK;
}

/* Whatever it may yet do within a minute counts as done. Its money stays held. */
static void write_off(quota *q, quota_account *a, uint64_t now_ms)
{
    if (!a->alive) return;
    a->alive = false;
    a->n_wanted = 0;
    if (is_limited(q, RESOURCE_REQUESTS)) {
        rate_window_charge(&q->requests, (int64_t)unused(a, RESOURCE_REQUESTS), now_ms);
        rate_window_use(&q->requests, open_amount(a, RESOURCE_REQUESTS), now_ms);
    }
    if (is_limited(q, RESOURCE_TOKENS)) {
        rate_window_charge(&q->tokens, (int64_t)unused(a, RESOURCE_TOKENS), now_ms);
        rate_window_use(&q->tokens, open_amount(a, RESOURCE_TOKENS), now_ms);
    }
}

/* Whatever the server has counted for sure. A dead teacher's requests are over. */
static uint64_t landed_of(const quota_account *a, size_t side)
{
    if (side == WIRE_LIMIT_TOKENS) return a->settled.of[RESOURCE_MOST_TOKENS];
    uint64_t n_sent = a->settled.of[RESOURCE_REQUESTS];
    return n_sent - RT_MIN(a->reserved.of[RESOURCE_IN_FLIGHT], n_sent);
}

/* What it may have sent by now. */
static double held_of(const quota_account *a, size_t side)
{
    uint64_t held = a->held.of[seen_resource[side]];
    bool is_unlimited = held >= WIRE_AMOUNT_MAX;
    return (double)(is_unlimited && !a->alive ? begun(a, seen_resource[side]) : held);
}

static void sum_seen(const quota *q, double held[WIRE_LIMITS], double landed[WIRE_LIMITS])
{
    for (size_t k = 0; k < WIRE_LIMITS; k++) {
        held[k] = landed[k] = q->closed_held[k];
        for (size_t i = 0; i < q->n; i++) {
            const quota_account *a = &q->accounts[i];
            held[k] += held_of(a, k);
            landed[k] += a->alive ? (double)landed_of(a, k) : held_of(a, k);
        }
    }
}

static uint64_t lost_cost(const quota *q, const quota_account *a)
{
    if (a->alive) return 0;
    return is_limited(q, RESOURCE_COST) ? open_amount(a, RESOURCE_COST)
                                        : a->reserved.of[RESOURCE_COST];
}

/* Fold an account into the sum of those that will not speak again. */
static void close_account(quota *q, quota_account *a, uint64_t now_ms)
{
    write_off(q, a, now_ms);
    add_use(&q->closed, &a->use);
    q->closed_lost = add(q->closed_lost, lost_cost(q, a));
    q->n_overloads_closed = add(q->n_overloads_closed, a->n_overloads);
    for (size_t k = 0; k < WIRE_LIMITS; k++) q->closed_held[k] += held_of(a, k);
    *a = q->accounts[q->n - 1];
    q->n--;
}

static quota_account *silent_longest(quota *q)
{
    quota_account *oldest = NULL;
    for (size_t i = 0; i < q->n; i++) {
        quota_account *a = &q->accounts[i];
        if (!a->alive && (oldest == NULL || a->report_ms < oldest->report_ms)) oldest = a;
    }
    return oldest;
}

/* The account of this process; one of the same name and another incarnation is over. NULL when
 * there is no room. */
static quota_account *account_of(quota *q, const char *name, uint64_t incarnation, uint64_t now_ms)
{
    quota_account *a = quota_find(q, name);
    if (a != NULL && a->incarnation == incarnation) return a;
    if (a != NULL) close_account(q, a, now_ms);
    if (q->n >= QUOTA_ACCOUNTS_MAX && (a = silent_longest(q)) != NULL) close_account(q, a, now_ms);
    if (q->n >= QUOTA_ACCOUNTS_MAX || strlen(name) >= QUOTA_NAME_SIZE || grow(q, NULL) != RT_OK)
        return NULL;
    a = &q->accounts[q->n++];
    *a = (quota_account){.incarnation = incarnation, .served_ms = now_ms};
    snprintf(a->name, sizeof a->name, "%s", name);
    return a;
}

/* ---- what a report says ------------------------------------------------------------------- */

/* One resource after another: what was begun since, what was used, what is held from now on. */
static void take_amounts(quota_account *a, const wire_quota_report *r,
                         int64_t began[RESOURCE_COUNT], uint64_t used[RESOURCE_COUNT])
{
    for (int k = 0; k < RESOURCE_COUNT; k++) {
        uint64_t before = begun(a, k), settled = RT_MAX(a->settled.of[k], r->settled.of[k]);
        used[k] = settled - a->settled.of[k];
        a->settled.of[k] = settled;
        a->reserved.of[k] = r->reserved.of[k];
        began[k] = (int64_t)begun(a, k) - (int64_t)before;
        a->held.of[k] = RT_MAX(r->ceilings.of[k], begun(a, k));
        a->need.of[k] = r->need.of[k];
    }
    a->need.of[RESOURCE_REQUESTS] = a->need.of[RESOURCE_IN_FLIGHT] = 1;
}

/* What the server told it. */
static void take_limits(quota *q, const wire_quota_report *r, uint64_t now_ms)
{
    double held[WIRE_LIMITS], landed[WIRE_LIMITS];
    sum_seen(q, held, landed);
    seen_history_note(&q->history, landed, now_ms);
    q->was_told = q->was_told || r->no_limit_told;
    for (size_t k = 0; k < WIRE_LIMITS; k++) {
        if (!r->limits[k].known) continue;
        seen_limit_hear(&q->seen[k], &r->limits[k], &q->history, now_ms);
        q->was_told = true;
    }
}

static void take_report(quota *q, quota_account *a, const wire_quota_report *r, uint64_t now_ms)
{
    int64_t began[RESOURCE_COUNT];
    uint64_t used[RESOURCE_COUNT];
    /* One that was there before we were: what it did then is not done now. */
    if (a->seq == 0 && a->held.of[RESOURCE_REQUESTS] == 0) a->settled = r->settled;
    take_amounts(a, r, began, used);
    uint64_t tokens_max = q->settings.tokens_per_minute;
    if (tokens_max > 0)
        a->need.of[RESOURCE_TOKENS] = RT_MIN(a->need.of[RESOURCE_TOKENS], tokens_max);
    a->alive = true;
    a->seq = r->seq;
    a->report_ms = now_ms;
    a->n_wanted = r->n_wanted;
    a->n_overloads = r->n_overloads;
    a->use = (quota_use){.n_requests = a->settled.of[RESOURCE_REQUESTS],
                         .n_prompt_tokens = r->n_prompt_tokens,
                         .n_cached_tokens = r->n_cached_tokens,
                         .n_completion_tokens = r->n_completion_tokens,
                         .cost = a->settled.of[RESOURCE_COST]};
    if (a->need.of[RESOURCE_COST] > 0) q->typical_cost = a->need.of[RESOURCE_COST];
    rate_window_charge(&q->requests, began[RESOURCE_REQUESTS], now_ms);
    rate_window_use(&q->requests, used[RESOURCE_REQUESTS], now_ms);
    rate_window_charge(&q->tokens, began[RESOURCE_TOKENS], now_ms);
    rate_window_use(&q->tokens, used[RESOURCE_TOKENS], now_ms);
    seen_limit_begin(&q->seen[WIRE_LIMIT_REQUESTS], (double)began[RESOURCE_REQUESTS]);
    seen_limit_begin(&q->seen[WIRE_LIMIT_TOKENS], (double)began[RESOURCE_TOKENS]);
    take_limits(q, r, now_ms);
    if (r->pause_ms > 0) {
        uint64_t until_ms = now_ms + RT_MIN(r->pause_ms, (uint64_t)QUOTA_PAUSE_MAX_MS);
        if (q->pause_until_ms <= now_ms) q->n_pauses++;
        q->pause_until_ms = RT_MAX(q->pause_until_ms, until_ms);
    }
}

/* ---- what may be given away --------------------------------------------------------------- */

static bool is_in_line(const quota_account *a, uint64_t now_ms)
{
    return a->alive && a->n_wanted > 0 && now_ms - a->report_ms < QUOTA_SILENT_MS;
}

/* What is left of the budget when nothing that is open costs anything in the end. */
static uint64_t budget_left_at_best(const quota *q)
{
    uint64_t gone = add(q->closed.cost, q->closed_lost);
    for (size_t i = 0; i < q->n; i++) {
        const quota_account *a = &q->accounts[i];
        gone = add(gone, a->alive ? a->settled.of[RESOURCE_COST] : a->held.of[RESOURCE_COST]);
    }
    return q->settings.budget > gone ? q->settings.budget - gone : 0;
}

/* Over all that live: held beyond what is settled, not begun, and the largest need of those in
 * line. */
typedef struct open_sums {
    uint64_t open[RESOURCE_COUNT], idle[RESOURCE_COUNT], largest[RESOURCE_COUNT];
    uint64_t paid;
} open_sums;

static void sum_open(const quota *q, uint64_t now_ms, open_sums *s)
{
    *s = (open_sums){.paid = add(q->closed.cost, q->closed_lost)};
    for (int k = 0; k < RESOURCE_COUNT; k++) s->largest[k] = 1;
    for (size_t i = 0; i < q->n; i++) {
        const quota_account *a = &q->accounts[i];
        s->paid = add(s->paid, a->held.of[RESOURCE_COST]);
        if (!a->alive) continue;
        for (int k = 0; k < RESOURCE_COUNT; k++) {
            s->open[k] = add(s->open[k], open_amount(a, k));
            s->idle[k] = add(s->idle[k], unused(a, k));
            if (is_in_line(a, now_ms)) s->largest[k] = RT_MAX(s->largest[k], a->need.of[k]);
        }
    }
}

/* While nothing is known of the server: one, and after a while one more. */
static int64_t probe_room(quota *q, double n_out, uint64_t now_ms)
{
    if (!is_probing(q)) return INT64_MAX;
    if (q->probe_ms == 0) q->probe_ms = now_ms;
    const uint64_t most = SUM_MAX;
    return 1 + (int64_t)((now_ms - q->probe_ms) / SEEN_PROBE_MS) -
           (int64_t)RT_MIN(n_out, (double)most);
}

/* What the server itself leaves. */
static void find_seen_room(quota *q, const open_sums *s, uint64_t now_ms, share_pool *room)
{
    double held[WIRE_LIMITS], landed[WIRE_LIMITS];
    sum_seen(q, held, landed);
    double n_out = held[WIRE_LIMIT_REQUESTS] - landed[WIRE_LIMIT_REQUESTS];
    for (size_t k = 0; k < WIRE_LIMITS; k++) {
        int r = seen_resource[k];
        room->of[r] =
            RT_MIN(room->of[r], seen_limit_room(&q->seen[k], &q->history, held[k], landed[k],
                                                n_out < 0.5, s->largest[r], now_ms));
        int paced = k == WIRE_LIMIT_TOKENS ? RESOURCE_TOKENS : r;
        room->of[paced] =
            RT_MIN(room->of[paced],
                   seen_limit_pace(&q->seen[k], (double)s->idle[paced], s->largest[paced], now_ms));
    }
    room->of[RESOURCE_REQUESTS] = RT_MIN(room->of[RESOURCE_REQUESTS], probe_room(q, n_out, now_ms));
}

/* Free: held by nobody. */
static void find_room(quota *q, uint64_t now_ms, share_pool *room)
{
    open_sums s;
    sum_open(q, now_ms, &s);
    rate_window_fit(&q->tokens, s.largest[RESOURCE_TOKENS]);
    room->of[RESOURCE_REQUESTS] = rate_window_room(&q->requests, s.open[RESOURCE_REQUESTS],
                                                   s.idle[RESOURCE_REQUESTS], now_ms);
    room->of[RESOURCE_TOKENS] =
        rate_window_room(&q->tokens, s.open[RESOURCE_TOKENS], s.idle[RESOURCE_TOKENS], now_ms);
    room->of[RESOURCE_MOST_TOKENS] = INT64_MAX;
    room->of[RESOURCE_COST] =
        is_limited(q, RESOURCE_COST) ? (int64_t)q->settings.budget - (int64_t)s.paid : INT64_MAX;
    room->of[RESOURCE_IN_FLIGHT] =
        is_limited(q, RESOURCE_IN_FLIGHT)
            ? (int64_t)q->settings.in_flight_max - (int64_t)s.open[RESOURCE_IN_FLIGHT]
            : INT64_MAX;
    find_seen_room(q, &s, now_ms, room);
}

static void add_room(const quota *q, share_pool *room, const quota_account *a)
{
    for (int k = 0; k < RESOURCE_COUNT; k++)
        if (is_limited(q, k)) room->of[k] += (int64_t)RT_MIN(unused(a, k), SUM_MAX);
}

/* Requests that account `mine` may begin from now on, and places in flight for them. The two are
 * apart: one place serves many requests until the next report. */
typedef struct share {
    uint64_t n_requests, n_places;
} share;

static uint64_t share_of_pool(const quota *q, size_t n, size_t i_mine, share_pool pool,
                              share_pool room, bool places)
{
    for (int k = 0; k < RESOURCE_COUNT; k++)
        if ((k == RESOURCE_IN_FLIGHT) != places) pool.of[k] = room.of[k] = INT64_MAX;
    uint64_t fair = fair_share(q->wishes, n, &pool, i_mine);
    return RT_MIN(fair, share_pool_pays(&room, &q->wishes[i_mine].need));
}

static share share_of(quota *q, const quota_account *mine, uint64_t now_ms)
{
    share_pool room, pool;
    size_t n = 0, i_mine = 0;
    if (mine->n_wanted == 0 || q->spent || q->pause_until_ms > now_ms) return (share){0, 0};
    find_room(q, now_ms, &room);
    pool = room;
    uint64_t payable = is_limited(q, RESOURCE_COST) ? budget_left_at_best(q) : UINT64_MAX;
    for (size_t i = 0; i < q->n; i++) {
        const quota_account *a = &q->accounts[i];
        if (!a->alive) continue;
        add_room(q, &pool, a);
        if (a == mine) i_mine = n;
        /* One whose request can never be paid any more must not hold up the others. */
        if (a != mine && (!is_in_line(a, now_ms) || a->need.of[RESOURCE_COST] > payable)) continue;
        q->wishes[n++] =
            (share_wish){.n_wanted = a->n_wanted, .need = a->need, .served_ms = a->served_ms};
    }
    add_room(q, &room, mine);
    return (share){share_of_pool(q, n, i_mine, pool, room, false),
                   share_of_pool(q, n, i_mine, pool, room, true)};
}

static void make_answer(quota *q, quota_account *a, uint64_t now_ms)
{
    uint64_t n_alive = 0;
    share mine = share_of(q, a, now_ms);
    for (size_t i = 0; i < q->n; i++) n_alive += q->accounts[i].alive;
    a->answer = (wire_quota_grant){
        .seq = a->seq,
        .pause_ms = q->pause_until_ms > now_ms ? q->pause_until_ms - now_ms : 0,
        .retry_ms = QUOTA_RETRY_MS + n_alive / 4,
        .stop = q->spent ? QUOTA_BUDGET_SPENT : QUOTA_GOES_ON,
        .stamp = now_ms,
    };
    for (int k = 0; k < RESOURCE_COUNT; k++) {
        uint64_t ceiling = WIRE_AMOUNT_MAX;
        uint64_t n = k == RESOURCE_IN_FLIGHT ? mine.n_places : mine.n_requests;
        if (is_limited(q, k)) ceiling = begun(a, k) + n * a->need.of[k];
        a->answer.ceilings.of[k] = RT_MIN(ceiling, WIRE_AMOUNT_MAX);
        /* The old ceiling counts until the next report shows which one is in force. */
        if (is_limited(q, k)) a->held.of[k] = RT_MAX(a->held.of[k], a->answer.ceilings.of[k]);
    }
    if (mine.n_requests > 0 && mine.n_places > 0) a->served_ms = now_ms;
}

bool quota_report(quota *q, const char *name, uint64_t incarnation, const wire_quota_report *report,
                  uint64_t now_ms, wire_quota_grant *answer)
{
    quota_account *a = account_of(q, name, incarnation, now_ms);
    if (a == NULL || report->seq < a->seq) return false;
    if (report->seq > a->seq) {
        take_report(q, a, report, now_ms);
        make_answer(q, a, now_ms);
        if (report->leaving) a->alive = false; /* nothing is open: nothing is lost */
    }
    *answer = a->answer;
    return true;
}

void quota_bury(quota *q, const char *name, uint64_t now_ms)
{
    quota_account *a = quota_find(q, name);
    if (a != NULL) write_off(q, a, now_ms);
}

/* ---- the end of the money ----------------------------------------------------------------- */

bool quota_budget_spent(quota *q, uint64_t now_ms)
{
    bool waits = false;
    uint64_t cheapest = UINT64_MAX;
    if (q->spent || q->settings.budget == 0) return q->spent;
    for (size_t i = 0; i < q->n; i++) {
        const quota_account *a = &q->accounts[i];
        if (!a->alive) continue;
        if (open_amount(a, RESOURCE_COST) > 0) return false; /* some of it may come back */
        if (!is_in_line(a, now_ms)) continue;
        waits = true;
        cheapest = RT_MIN(cheapest, a->need.of[RESOURCE_COST]);
    }
    uint64_t left = budget_left_at_best(q);
    if (!waits) cheapest = RT_MAX(q->typical_cost, 1);
    q->spent = left < cheapest;
    return q->spent;
}

void quota_stop(quota *q)
{
    q->spent = true;
}

/* ---- for people and files ----------------------------------------------------------------- */

void quota_sum(const quota *q, uint64_t now_ms, quota_sums *out)
{
    *out = (quota_sums){.use = q->closed,
                        .lost = q->closed_lost,
                        .n_overloads = q->n_overloads_closed,
                        .n_pauses = q->n_pauses,
                        .requests_last_minute = rate_window_used(&q->requests, now_ms),
                        .tokens_last_minute = rate_window_used(&q->tokens, now_ms),
                        .pause_ms = q->pause_until_ms > now_ms ? q->pause_until_ms - now_ms : 0};
    if (q->seen[WIRE_LIMIT_REQUESTS].known)
        out->seen_requests = q->seen[WIRE_LIMIT_REQUESTS].n_limit;
    if (q->seen[WIRE_LIMIT_TOKENS].known) out->seen_tokens = q->seen[WIRE_LIMIT_TOKENS].n_limit;
    for (size_t i = 0; i < q->n; i++) {
        const quota_account *a = &q->accounts[i];
        add_use(&out->use, &a->use);
        out->lost = add(out->lost, lost_cost(q, a));
        out->n_overloads = add(out->n_overloads, a->n_overloads);
        if (!a->alive) continue;
        uint64_t reserved = is_limited(q, RESOURCE_COST) ? open_amount(a, RESOURCE_COST)
                                                         : a->reserved.of[RESOURCE_COST];
        out->reserved = add(out->reserved, reserved);
        out->n_in_flight = add(out->n_in_flight, a->reserved.of[RESOURCE_IN_FLIGHT]);
        out->n_waiting += is_in_line(a, now_ms);
    }
}

size_t quota_n_accounts(const quota *q)
{
    return q->n;
}

quota_account *quota_account_at(quota *q, size_t i)
{
    RT_ASSERT(i < q->n);
    return &q->accounts[i];
}

rt_status quota_restore(quota *q, const char *name, uint64_t incarnation, const quota_use *use,
                        uint64_t held_cost, rt_error *err)
{
    if (name[0] == '\0' || strlen(name) >= QUOTA_NAME_SIZE || quota_find(q, name) != NULL)
        return rt_fail(err, RT_CORRUPT, "account '%.80s': empty, too long or there already", name);
    quota_account *a = account_of(q, name, incarnation, 0);
    if (a == NULL)
        return rt_fail(err, RT_FULL, "more than %d accounts of teachers", QUOTA_ACCOUNTS_MAX);
    a->use = *use;
    a->settled.of[RESOURCE_REQUESTS] = a->held.of[RESOURCE_REQUESTS] = use->n_requests;
    a->settled.of[RESOURCE_TOKENS] = a->held.of[RESOURCE_TOKENS] =
        add(use->n_prompt_tokens, use->n_completion_tokens);
    a->settled.of[RESOURCE_COST] = use->cost;
    a->held.of[RESOURCE_COST] = a->durable_cost = RT_MAX(held_cost, use->cost);
    a->reserved.of[RESOURCE_COST] = a->held.of[RESOURCE_COST] - use->cost;
    return RT_OK;
}

const quota_use *quota_closed(const quota *q, uint64_t *lost, uint64_t *typical_cost)
{
    *lost = q->closed_lost;
    *typical_cost = q->typical_cost;
    return &q->closed;
}

void quota_restore_closed(quota *q, const quota_use *use, uint64_t lost, uint64_t typical_cost)
{
    q->closed = *use;
    q->closed_lost = RT_MIN(lost, SUM_MAX);
    q->typical_cost = typical_cost;
}
