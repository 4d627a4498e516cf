#include "worker/teacher/allowance_account.h"

#include <math.h>

#define WANTED_MAX      (1u << 20)
#define UNKNOWN_HALF_MS 30000 /* of those whose use nobody knows so many are about a minute's */

static uint64_t begun(const allowance_account *a, int resource)
{
    return a->settled.of[resource] + a->reserved.of[resource];
}

static const price_table *prices_of(const allowance_account *a, const allowance_need *need)
{
    return need->prices != NULL ? need->prices : &a->prices;
}

/* The most that it can use. */
static uint64_t most_tokens(const allowance_need *need)
{
    return RT_MIN(need->n_prompt_tokens, WIRE_AMOUNT_MAX / 2) +
           RT_MIN(need->n_completion_tokens, WIRE_AMOUNT_MAX / 2);
}

static uint64_t cost_at_most(const allowance_account *a, const allowance_need *need)
{
    return price_at_most(prices_of(a, need), RT_MIN(need->n_prompt_tokens, WIRE_AMOUNT_MAX / 2),
                         RT_MIN(need->n_completion_tokens, WIRE_AMOUNT_MAX / 2));
}

static wire_amounts amounts_of(const allowance_account *a, const allowance_need *need)
{
    uint64_t most = most_tokens(need);
    uint64_t tokens = token_estimate_of(&a->estimate, most, a->reserved.of[RESOURCE_IN_FLIGHT] + 1);
    if (a->tokens_per_minute > 0) tokens = RT_MIN(tokens, a->tokens_per_minute);
    return (wire_amounts){{[RESOURCE_REQUESTS] = 1,
                           [RESOURCE_TOKENS] = tokens,
                           [RESOURCE_COST] = cost_at_most(a, need),
                           [RESOURCE_IN_FLIGHT] = 1,
                           [RESOURCE_MOST_TOKENS] = most}};
}

/* Ceilings that others may have been given by now. Money is held for us however long it takes. */
static bool is_stale(const allowance_account *a, uint64_t now_ms)
{
    static const int shared[] = {RESOURCE_REQUESTS, RESOURCE_TOKENS, RESOURCE_IN_FLIGHT,
                                 RESOURCE_MOST_TOKENS};
    if (now_ms < a->fresh_ms + a->stale_ms) return false;
    for (size_t i = 0; i < RT_COUNT(shared); i++)
        if (a->ceilings.of[shared[i]] < WIRE_AMOUNT_MAX) return true;
    return false;
}

static bool has_room(const allowance_account *a, const wire_amounts *amounts)
{
    for (int k = 0; k < RESOURCE_COUNT; k++)
        if (begun(a, k) + amounts->of[k] > a->ceilings.of[k]) return false;
    return true;
}

allowance_verdict allowance_account_take(allowance_account *a, allowance_need *need,
                                         uint64_t now_ms, uint64_t *retry_ms)
{
    if (a->spent) return ALLOWANCE_NEVER;
    wire_amounts amounts = amounts_of(a, need);
    if (a->needs_renewal) a->need = (wire_amounts){{0}};
    a->needs_renewal = false;
    for (int k = 0; k < RESOURCE_COUNT; k++) a->need.of[k] = RT_MAX(a->need.of[k], amounts.of[k]);
    a->asked_ms = now_ms;
    *retry_ms = ALLOWANCE_RETRY_MS;
    if (now_ms < a->pause_until_ms) {
        *retry_ms = a->pause_until_ms - now_ms;
        return ALLOWANCE_WAIT;
    }
    if (is_stale(a, now_ms) || !has_room(a, &amounts)) {
        a->was_blocked = true;
        return ALLOWANCE_WAIT;
    }
    a->settled.of[RESOURCE_REQUESTS]++; /* sent is used */
    a->reserved.of[RESOURCE_TOKENS] += amounts.of[RESOURCE_TOKENS];
    a->reserved.of[RESOURCE_COST] += amounts.of[RESOURCE_COST];
    a->reserved.of[RESOURCE_IN_FLIGHT]++;
    a->reserved.of[RESOURCE_MOST_TOKENS] += amounts.of[RESOURCE_MOST_TOKENS];
    need->n_tokens = amounts.of[RESOURCE_TOKENS];
    need->after = a->stamp;
    a->n_begun++;
    a->changed = true;
    return ALLOWANCE_GO;
}

static void settle(allowance_account *a, int resource, uint64_t reserved, uint64_t used)
{
    a->reserved.of[resource] -= RT_MIN(reserved, a->reserved.of[resource]);
    a->settled.of[resource] = RT_MIN(a->settled.of[resource] + used, WIRE_AMOUNT_MAX);
}

/* What one took of which nobody knows. The more there were of late, the less one by one matters. */
static uint64_t unknown_tokens(allowance_account *a, const allowance_need *need, uint64_t now_ms)
{
    double halves = (double)(now_ms - a->unknown_ms) / UNKNOWN_HALF_MS;
    a->n_unknown = a->n_unknown * exp2(-halves) + 1;
    a->unknown_ms = now_ms;
    uint64_t tokens = token_estimate_of(&a->estimate, most_tokens(need), (uint64_t)a->n_unknown);
    return RT_MIN(tokens, need->n_tokens);
}

void allowance_account_settle(allowance_account *a, const allowance_need *need, allowance_use *use,
                              uint64_t now_ms)
{
    uint64_t most = most_tokens(need), most_cost = cost_at_most(a, need);
    uint64_t tokens = need->n_tokens, cost = most_cost;
    uint64_t prompt = need->n_prompt_tokens, completion = need->n_completion_tokens, cached = 0;
    if (use->known) {
        prompt = RT_MIN(use->n_prompt_tokens, WIRE_AMOUNT_MAX / 2);
        completion = RT_MIN(use->n_completion_tokens, WIRE_AMOUNT_MAX / 2);
        cached = RT_MIN(use->n_cached_tokens, prompt);
        cost = price_of(prices_of(a, need), prompt, cached, completion);
        if (!use->maybe_counted) tokens = prompt + completion;
        if (prompt + completion > 0) token_estimate_add(&a->estimate, most, prompt + completion);
    } else {
        tokens = unknown_tokens(a, need, now_ms);
    }
    if (cost > most_cost || tokens > most) a->n_overruns++;
    settle(a, RESOURCE_TOKENS, need->n_tokens, tokens);
    settle(a, RESOURCE_COST, most_cost, cost);
    settle(a, RESOURCE_IN_FLIGHT, 1, 0);
    settle(a, RESOURCE_MOST_TOKENS, most, RT_MAX(most, tokens));
    a->n_prompt_tokens = RT_MIN(a->n_prompt_tokens + prompt, WIRE_AMOUNT_MAX);
    a->n_cached_tokens = RT_MIN(a->n_cached_tokens + cached, WIRE_AMOUNT_MAX);
    a->n_completion_tokens = RT_MIN(a->n_completion_tokens + completion, WIRE_AMOUNT_MAX);
    use->cost = (double)cost * PRICE_UNIT;
    a->n_answers++;
    if (use->overloaded) {
        a->n_overloads++;
        a->n_overloaded++;
        a->retry_until_ms = RT_MAX(a->retry_until_ms, now_ms + use->retry_after_ms);
    }
    a->changed = true;
}

void allowance_account_hear(allowance_account *a, const allowance_limit *requests,
                            const allowance_limit *tokens, uint64_t after, uint64_t now_ms)
{
    const allowance_limit *told[WIRE_LIMITS] = {requests, tokens};
    if (!requests->known && !tokens->known && !a->no_limit_told)
        a->no_limit_told = a->changed = true;
    for (size_t k = 0; k < WIRE_LIMITS; k++) {
        const allowance_limit *l = told[k];
        if (!l->known) continue;
        a->limits[k] = (wire_server_limit){.known = true,
                                           .n_limit = RT_MIN(l->n_limit, WIRE_AMOUNT_MAX),
                                           .n_left = RT_MIN(l->n_left, WIRE_AMOUNT_MAX),
                                           .reset_ms = RT_MIN(l->reset_ms, WIRE_AMOUNT_MAX),
                                           .period_ms = RT_MIN(l->period_ms, WIRE_AMOUNT_MAX),
                                           .after = after,
                                           .retry_ms = RT_MIN(l->retry_ms, WIRE_AMOUNT_MAX)};
        a->heard_ms[k] = now_ms;
        a->changed = true;
    }
}

/* One request that was refused is its own affair; when most are, everybody should hold back. */
static uint64_t pause_wish(const allowance_account *a, uint64_t now_ms)
{
    if (a->n_overloaded == 0 || 2 * a->n_overloaded < a->n_answers) return 0;
    if (a->retry_until_ms <= now_ms) return 0;
    return RT_MIN(a->retry_until_ms - now_ms, WIRE_AMOUNT_MAX);
}

/* Twice what went lately: the wish grows as fast as it is granted, and is no more than that. */
static uint32_t wanted(const allowance_account *a, uint64_t now_ms)
{
    bool asks = a->asked_ms > 0 && now_ms < a->asked_ms + ALLOWANCE_IDLE_MS;
    if (a->spent || !asks) return 0;
    uint64_t n = 2 * RT_MAX(a->n_begun, a->n_begun_before) + 2;
    return (uint32_t)RT_MIN(n, (uint64_t)WANTED_MAX);
}

static void report_limits(allowance_account *a, uint64_t now_ms, wire_quota_report *out)
{
    for (size_t k = 0; k < WIRE_LIMITS; k++) {
        out->limits[k] = a->limits[k];
        if (a->limits[k].known) out->limits[k].age_ms = now_ms - a->heard_ms[k];
        a->limits[k] = (wire_server_limit){0};
    }
    out->no_limit_told = a->no_limit_told;
}

static void fill_report(allowance_account *a, uint32_t n_wanted, uint64_t now_ms,
                        wire_quota_report *out)
{
    for (int k = 0; k < RESOURCE_COUNT && n_wanted == 0; k++)
        a->ceilings.of[k] = RT_MIN(begun(a, k), a->ceilings.of[k]);
    a->seq++;
    *out = (wire_quota_report){.seq = a->seq,
                               .settled = a->settled,
                               .reserved = a->reserved,
                               .ceilings = a->ceilings,
                               .need = a->need,
                               .n_wanted = n_wanted,
                               .n_overloads = a->n_overloads,
                               .pause_ms = pause_wish(a, now_ms),
                               .n_prompt_tokens = a->n_prompt_tokens,
                               .n_cached_tokens = a->n_cached_tokens,
                               .n_completion_tokens = a->n_completion_tokens};
    report_limits(a, now_ms, out);
    a->under_way = true;
    a->sent_ms = now_ms;
    a->asked_nothing = n_wanted == 0;
    /* Whoever rests between two shards goes on at the pace it had. */
    bool rests = n_wanted == 0 && a->n_begun_before > a->n_begun;
    if (!rests) a->n_begun_before = a->n_begun;
    a->n_begun = 0;
    a->was_blocked = a->changed = false;
    a->needs_renewal = true;
    a->n_answers = a->n_overloaded = 0;
}

static bool holds_unused(const allowance_account *a)
{
    for (int k = 0; k < RESOURCE_COUNT; k++)
        if (a->ceilings.of[k] < WIRE_AMOUNT_MAX && a->ceilings.of[k] > begun(a, k)) return true;
    return false;
}

bool allowance_account_report(allowance_account *a, uint64_t now_ms, wire_quota_report *out)
{
    bool waits = a->under_way && !(a->asked_nothing && a->was_blocked);
    if (waits && now_ms < a->sent_ms + ALLOWANCE_ANSWER_MS) return false;
    bool lost = a->under_way;
    a->under_way = false;
    if (now_ms < a->next_ms) return false;
    uint32_t n_wanted = wanted(a, now_ms);
    bool gives_back = n_wanted == 0 && holds_unused(a);
    if (a->seq > 0 && !lost && !a->changed && !a->was_blocked && !gives_back) return false;
    fill_report(a, n_wanted, now_ms, out);
    return true;
}

void allowance_account_rest(allowance_account *a, uint64_t now_ms)
{
    a->asked_ms = 0;
    if (!holds_unused(a) && !a->changed) return;
    a->changed = true;
    a->under_way = false; /* its answer, if one comes, is not used any more */
    a->next_ms = now_ms;
}

void allowance_account_leave(allowance_account *a, uint64_t now_ms, wire_quota_report *out)
{
    a->asked_ms = 0;
    fill_report(a, 0, now_ms, out);
    out->leaving = true;
}

bool allowance_account_grant(allowance_account *a, const wire_quota_grant *grant, uint64_t now_ms)
{
    if (!a->under_way || grant->seq != a->seq) return false;
    a->under_way = false;
    a->ceilings = grant->ceilings;
    a->stamp = grant->stamp;
    a->fresh_ms = a->sent_ms;
    a->next_ms = now_ms + grant->retry_ms;
    if (grant->pause_ms > 0) a->pause_until_ms = now_ms + grant->pause_ms;
    if (grant->stop == QUOTA_BUDGET_SPENT) a->spent = true;
    return true;
}
