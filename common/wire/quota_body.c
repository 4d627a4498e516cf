/* QuotaReport and QuotaGrant: plain numbers, each with a bound, so that sums cannot overflow. */
#include "common/wire/body.h"

static Retort__Amounts *amounts_to_pb(const wire_amounts *in, arena *a)
{
    Retort__Amounts *pb = arena_alloc(a, sizeof *pb);
    if (pb == NULL) return NULL;
    retort__amounts__init(pb);
    pb->requests = in->of[RESOURCE_REQUESTS];
    pb->tokens = in->of[RESOURCE_TOKENS];
    pb->cost = in->of[RESOURCE_COST];
    pb->in_flight = in->of[RESOURCE_IN_FLIGHT];
    pb->most_tokens = in->of[RESOURCE_MOST_TOKENS];
    return pb;
}

static void amounts_from_pb(const Retort__Amounts *pb, wire_amounts *out)
{
    *out = (wire_amounts){{0}};
    if (pb == NULL) return;
    out->of[RESOURCE_REQUESTS] = pb->requests;
    out->of[RESOURCE_TOKENS] = pb->tokens;
    out->of[RESOURCE_COST] = pb->cost;
    out->of[RESOURCE_IN_FLIGHT] = pb->in_flight;
    out->of[RESOURCE_MOST_TOKENS] = pb->most_tokens;
}

static bool amounts_fit(const Retort__Amounts *pb)
{
    return pb == NULL || (pb->requests <= WIRE_AMOUNT_MAX && pb->tokens <= WIRE_AMOUNT_MAX &&
                          pb->cost <= WIRE_AMOUNT_MAX && pb->in_flight <= WIRE_AMOUNT_MAX &&
                          pb->most_tokens <= WIRE_AMOUNT_MAX);
}

/* False: no memory. */
static bool limit_to_pb(const wire_server_limit *in, arena *a, Retort__ServerLimit **out)
{
    if (!in->known) return true;
    Retort__ServerLimit *pb = arena_alloc(a, sizeof *pb);
    if (pb == NULL) return false;
    retort__server_limit__init(pb);
    pb->limit = in->n_limit;
    pb->left = in->n_left;
    pb->reset_ms = in->reset_ms;
    pb->period_ms = in->period_ms;
    pb->age_ms = in->age_ms;
    pb->after = in->after;
    pb->retry_ms = in->retry_ms;
    *out = pb;
    return true;
}

static void limit_from_pb(const Retort__ServerLimit *pb, wire_server_limit *out)
{
    *out = (wire_server_limit){0};
    if (pb == NULL) return;
    *out = (wire_server_limit){.known = true,
                               .n_limit = pb->limit,
                               .n_left = pb->left,
                               .reset_ms = pb->reset_ms,
                               .period_ms = pb->period_ms,
                               .age_ms = pb->age_ms,
                               .after = pb->after,
                               .retry_ms = pb->retry_ms};
}

static bool limit_fits(const Retort__ServerLimit *pb)
{
    return pb == NULL || (pb->limit <= WIRE_AMOUNT_MAX && pb->left <= WIRE_AMOUNT_MAX &&
                          pb->reset_ms <= WIRE_AMOUNT_MAX && pb->period_ms <= WIRE_AMOUNT_MAX &&
                          pb->age_ms <= WIRE_AMOUNT_MAX && pb->retry_ms <= WIRE_AMOUNT_MAX);
}

bool wire_quota_report_to_pb(const wire_quota_report *in, arena *a, Retort__QuotaReport *pb)
{
    pb->seq = in->seq;
    pb->settled = amounts_to_pb(&in->settled, a);
    pb->reserved = amounts_to_pb(&in->reserved, a);
    pb->ceilings = amounts_to_pb(&in->ceilings, a);
    pb->need = amounts_to_pb(&in->need, a);
    pb->n_wanted = in->n_wanted;
    pb->n_overloads = in->n_overloads;
    pb->pause_ms = in->pause_ms;
    pb->leaving = in->leaving;
    pb->prompt_tokens = in->n_prompt_tokens;
    pb->cached_tokens = in->n_cached_tokens;
    pb->completion_tokens = in->n_completion_tokens;
    pb->no_limit_told = in->no_limit_told;
    if (!limit_to_pb(&in->limits[WIRE_LIMIT_REQUESTS], a, &pb->request_limit) ||
        !limit_to_pb(&in->limits[WIRE_LIMIT_TOKENS], a, &pb->token_limit))
        return false;
    return pb->settled != NULL && pb->reserved != NULL && pb->ceilings != NULL && pb->need != NULL;
}

void wire_quota_report_from_pb(const Retort__QuotaReport *pb, wire_quota_report *out)
{
    out->seq = pb->seq;
    amounts_from_pb(pb->settled, &out->settled);
    amounts_from_pb(pb->reserved, &out->reserved);
    amounts_from_pb(pb->ceilings, &out->ceilings);
    amounts_from_pb(pb->need, &out->need);
    out->n_wanted = pb->n_wanted;
    out->n_overloads = pb->n_overloads;
    out->pause_ms = pb->pause_ms;
    out->leaving = pb->leaving;
    out->n_prompt_tokens = pb->prompt_tokens;
    out->n_cached_tokens = pb->cached_tokens;
    out->n_completion_tokens = pb->completion_tokens;
    out->no_limit_told = pb->no_limit_told;
    limit_from_pb(pb->request_limit, &out->limits[WIRE_LIMIT_REQUESTS]);
    limit_from_pb(pb->token_limit, &out->limits[WIRE_LIMIT_TOKENS]);
}

const char *wire_quota_report_wrong(const Retort__QuotaReport *pb)
{
    if (!amounts_fit(pb->settled) || !amounts_fit(pb->reserved) || !amounts_fit(pb->ceilings) ||
        !amounts_fit(pb->need) || !limit_fits(pb->request_limit) || !limit_fits(pb->token_limit) ||
        pb->pause_ms > WIRE_AMOUNT_MAX || pb->prompt_tokens > WIRE_AMOUNT_MAX ||
        pb->cached_tokens > WIRE_AMOUNT_MAX || pb->completion_tokens > WIRE_AMOUNT_MAX ||
        pb->n_overloads > WIRE_AMOUNT_MAX)
        return "quota_report: an amount is beyond its limit";
    return NULL;
}

bool wire_quota_grant_to_pb(const wire_quota_grant *in, arena *a, Retort__QuotaGrant *pb)
{
    pb->seq = in->seq;
    pb->ceilings = amounts_to_pb(&in->ceilings, a);
    pb->pause_ms = in->pause_ms;
    pb->retry_ms = in->retry_ms;
    pb->stop = (Retort__QuotaStop)in->stop;
    pb->stamp = in->stamp;
    return pb->ceilings != NULL;
}

void wire_quota_grant_from_pb(const Retort__QuotaGrant *pb, wire_quota_grant *out)
{
    out->seq = pb->seq;
    amounts_from_pb(pb->ceilings, &out->ceilings);
    out->pause_ms = pb->pause_ms;
    out->retry_ms = pb->retry_ms;
    out->stop = (wire_quota_stop)pb->stop;
    out->stamp = pb->stamp;
}

const char *wire_quota_grant_wrong(const Retort__QuotaGrant *pb)
{
    if (!amounts_fit(pb->ceilings) || pb->pause_ms > WIRE_AMOUNT_MAX ||
        pb->retry_ms > WIRE_AMOUNT_MAX)
        return "quota_grant: an amount is beyond its limit";
    return NULL;
}
