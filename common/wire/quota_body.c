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
}

static bool amounts_fit(const Retort__Amounts *pb)
{
    return pb == NULL || (pb->requests <= WIRE_AMOUNT_MAX && pb->tokens <= WIRE_AMOUNT_MAX &&
                          pb->cost <= WIRE_AMOUNT_MAX && pb->in_flight <= WIRE_AMOUNT_MAX);
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
}

const char *wire_quota_report_wrong(const Retort__QuotaReport *pb)
{
    if (!amounts_fit(pb->settled) || !amounts_fit(pb->reserved) || !amounts_fit(pb->ceilings) ||
        !amounts_fit(pb->need) || pb->pause_ms > WIRE_AMOUNT_MAX ||
        pb->prompt_tokens > WIRE_AMOUNT_MAX || pb->cached_tokens > WIRE_AMOUNT_MAX ||
        pb->completion_tokens > WIRE_AMOUNT_MAX || pb->n_overloads > WIRE_AMOUNT_MAX)
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
    return pb->ceilings != NULL;
}

void wire_quota_grant_from_pb(const Retort__QuotaGrant *pb, wire_quota_grant *out)
{
    out->seq = pb->seq;
    amounts_from_pb(pb->ceilings, &out->ceilings);
    out->pause_ms = pb->pause_ms;
    out->retry_ms = pb->retry_ms;
    out->stop = (wire_quota_stop)pb->stop;
}

const char *wire_quota_grant_wrong(const Retort__QuotaGrant *pb)
{
    if (!amounts_fit(pb->ceilings) || pb->pause_ms > WIRE_AMOUNT_MAX ||
        pb->retry_ms > WIRE_AMOUNT_MAX)
        return "quota_grant: an amount is beyond its limit";
    return NULL;
}
