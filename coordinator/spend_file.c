#include "coordinator/spend_file.h"

#include <jansson.h>
#include <stdlib.h>

/* Requests of the newest wish that a write counts as granted already. */
#define AHEAD_WISHES 4

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)RT_MIN(n, (uint64_t)INT64_MAX));
}

static json_t *money(uint64_t cost)
{
    return json_real((double)cost / QUOTA_COST_UNIT);
}

static json_t *use_to_json(const quota_use *use)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "requests", count(use->n_requests),
                     "prompt_tokens", count(use->n_prompt_tokens), "cached_tokens",
                     count(use->n_cached_tokens), "completion_tokens",
                     count(use->n_completion_tokens), "cost", count(use->cost));
}

/* Up to where the file counts it. */
static uint64_t durable_of(const quota_account *a, bool has_budget, bool ahead)
{
    uint64_t begun = a->settled.of[RESOURCE_COST] + a->reserved.of[RESOURCE_COST];
    if (!has_budget) return begun;
    if (!ahead || !a->alive) return a->held.of[RESOURCE_COST];
    double more = AHEAD_WISHES * (double)a->n_wanted * (double)a->need.of[RESOURCE_COST];
    return a->held.of[RESOURCE_COST] + (uint64_t)RT_MIN(more, (double)WIRE_AMOUNT_MAX);
}

static rt_status accounts_to_json(quota *q, const spend_facts *facts, bool ahead, json_t *list,
                                  rt_error *err)
{
    for (size_t i = 0; i < quota_n_accounts(q); i++) {
        quota_account *a = quota_account_at(q, i);
        a->durable_cost = durable_of(a, facts->budget > 0, ahead);
        json_t *one = use_to_json(&a->use);
        if (one == NULL || json_object_set_new(one, "name", json_string(a->name)) != 0 ||
            json_object_set_new(one, "incarnation", count(a->incarnation)) != 0 ||
            json_object_set_new(one, "held", count(a->durable_cost)) != 0 ||
            json_array_append_new(list, one) != 0)
            return rt_fail(err, RT_NOMEM, "spend.json");
    }
    return RT_OK;
}

rt_status spend_to_json(quota *q, const spend_facts *facts, bool ahead, rt_buf *out, rt_error *err)
{
    quota_sums sums;
    uint64_t lost, typical;
    rt_status st = RT_OK;
    char *text = NULL;
    quota_sum(q, 0, &sums);
    json_t *closed = use_to_json(quota_closed(q, &lost, &typical)), *accounts = json_array();
    json_object_set_new(closed, "lost", count(lost));
    json_t *top =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "currency",
                  facts->currency, "budget", facts->budget > 0 ? money(facts->budget) : json_null(),
                  "spent", money(sums.use.cost), "lost_in_flight", money(sums.lost), "requests",
                  count(sums.use.n_requests), "prompt_tokens", count(sums.use.n_prompt_tokens),
                  "cached_tokens", count(sums.use.n_cached_tokens), "completion_tokens",
                  count(sums.use.n_completion_tokens), "stopped", facts->stopped ? "budget" : "",
                  "typical_cost", count(typical), "closed", closed, "accounts", accounts);
    if (top == NULL) return rt_fail(err, RT_NOMEM, "spend.json");
    if ((st = accounts_to_json(q, facts, ahead, accounts, err)) != RT_OK) goto out;
    text = json_dumps(top, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    st = text == NULL ? rt_fail(err, RT_NOMEM, "spend.json") : rt_buf_add_text(out, text, err);
out:
    free(text);
    json_decref(top);
    return st;
}

/* False for anything but a whole number from 0 to the largest amount there can be. */
static bool take_count(const json_t *object, const char *key, uint64_t *out)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 0) return false;
    *out = (uint64_t)n;
    return true;
}

static bool take_use(const json_t *object, quota_use *out)
{
    return take_count(object, "requests", &out->n_requests) &&
           take_count(object, "prompt_tokens", &out->n_prompt_tokens) &&
           take_count(object, "cached_tokens", &out->n_cached_tokens) &&
           take_count(object, "completion_tokens", &out->n_completion_tokens) &&
           take_count(object, "cost", &out->cost);
}

static bool use_is_sane(const quota_use *use)
{
    return use->n_requests <= WIRE_AMOUNT_MAX && use->n_prompt_tokens <= WIRE_AMOUNT_MAX &&
           use->n_completion_tokens <= WIRE_AMOUNT_MAX && use->cost <= WIRE_AMOUNT_MAX;
}

static rt_status take_account(const json_t *one, quota *q, rt_error *err)
{
    quota_use use = {0};
    uint64_t incarnation = 0, held = 0;
    const char *name = json_string_value(json_object_get(one, "name"));
    if (name == NULL || !take_use(one, &use) || !take_count(one, "incarnation", &incarnation) ||
        !take_count(one, "held", &held) || !use_is_sane(&use) || held > 2 * WIRE_AMOUNT_MAX)
        return rt_fail(err, RT_CORRUPT, "account '%.80s': a number is missing or out of range",
                       name != NULL ? name : "");
    return quota_restore(q, name, incarnation, &use, held, err);
}

rt_status spend_from_json(const char *text, size_t n, quota *q, bool *stopped, rt_error *err)
{
    json_error_t where;
    size_t i;
    json_t *one;
    quota_use closed = {0};
    uint64_t lost = 0, typical = 0;
    rt_status st = RT_OK;
    json_t *top = json_loadb(text, n, JSON_REJECT_DUPLICATES, &where);
    if (top == NULL) return rt_fail(err, RT_CORRUPT, "%s at line %d", where.text, where.line);
    const json_t *sum = json_object_get(top, "closed"), *list = json_object_get(top, "accounts");
    const char *why = json_string_value(json_object_get(top, "stopped"));
    if (!take_use(sum, &closed) || !take_count(sum, "lost", &lost) ||
        !take_count(top, "typical_cost", &typical) || !json_is_array(list) || why == NULL) {
        st = rt_fail(err, RT_CORRUPT,
                     "expected closed, accounts, typical_cost and stopped, as a coordinator "
                     "writes them");
        goto out;
    }
    quota_restore_closed(q, &closed, lost, typical);
    json_array_foreach(list, i, one) if ((st = take_account(one, q, err)) != RT_OK) goto out;
    *stopped = why[0] != '\0';
out:
    json_decref(top);
    return st;
}
