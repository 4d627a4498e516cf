/* Limits and money in the picture of the run, docs/costs.md. */
#include <jansson.h>
#include <stdio.h>

#include "coordinator/shell.h"

void money_sum(const coordinator *co, money_sums *out)
{
    uint64_t n_rows = archive_n_labelled(co->archive) + archive_n_rejected(co->archive);
    *out = (money_sums){.budget = co->config->limits.budget};
    quota_sum(co->money.book.quota, co->now_ms, &out->quota);
    out->spent = (double)out->quota.use.cost / QUOTA_COST_UNIT;
    out->lost = (double)out->quota.lost / QUOTA_COST_UNIT;
    out->reserved = (double)out->quota.reserved / QUOTA_COST_UNIT;
    /* Before the first rows are there, one request for each is the best guess. */
    uint64_t n_done = n_rows > 0 ? n_rows : out->quota.use.n_requests;
    if (n_done > 0) out->cost_per_row = out->spent / (double)n_done;
    uint64_t n_left = corpus_source_n(co->corpus) - n_rows;
    if (labelling_is_done(co)) n_left = 0;
    out->projected = out->spent + out->lost + out->cost_per_row * (double)n_left;
    out->n_left_out = lease_table_is_closed(co->leases) ? corpus_source_n(co->corpus) - n_rows : 0;
}

rt_status reopening_now(const coordinator *co, reopening *out, rt_error *err)
{
    training_files files;
    bool settled = true;
    const rt_id *ids = corpus_source_ids(co->corpus);
    rt_status st =
        training_files_look(&co->folder, co->config, corpus_source_n(co->corpus), &files, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; settled && i < files.n_covered; i++)
        settled = archive_find(co->archive, ids[i]) != ARCHIVE_ABSENT;
    *out = reopening_of(&files, settled);
    return RT_OK;
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *limit(uint64_t n)
{
    return n > 0 ? count(n) : json_null();
}

void show_money_json(const coordinator *co, json_t *top)
{
    money_sums m;
    const limits_config *l = &co->config->limits;
    money_sum(co, &m);
    const quota_sums *q = &m.quota;
    json_object_set_new(top, "money",
                        json_pack("{s:f, s:f, s:f, s:o, s:s, s:f, s:f, s:o, s:o, s:o, s:o, s:s}",
                                  "spent", m.spent, "lost", m.lost, "reserved", m.reserved,
                                  "budget", m.budget > 0 ? json_real(m.budget) : json_null(),
                                  "currency", l->currency, "projected", m.projected, "cost_per_row",
                                  m.cost_per_row, "requests", count(q->use.n_requests),
                                  "prompt_tokens", count(q->use.n_prompt_tokens), "cached_tokens",
                                  count(q->use.n_cached_tokens), "completion_tokens",
                                  count(q->use.n_completion_tokens), "stopped",
                                  lease_table_is_closed(co->leases) ? "budget" : ""));
    json_object_set_new(top, "quota",
                        json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                                  "active", config_has_limits(co->config), "in_flight",
                                  count(q->n_in_flight), "in_flight_max", limit(l->in_flight_max),
                                  "waiting", count(q->n_waiting), "requests_last_minute",
                                  count(q->requests_last_minute), "requests_per_minute",
                                  limit(l->requests_per_minute), "tokens_last_minute",
                                  count(q->tokens_last_minute), "tokens_per_minute",
                                  limit(l->tokens_per_minute), "overloads", count(q->n_overloads),
                                  "pauses", count(q->n_pauses), "pause_ms", count(q->pause_ms)));
}

const char *show_money_problem(const coordinator *co, char *scratch, size_t n_scratch)
{
    money_sums m;
    if (co->money.book.problem[0] != '\0') return co->money.book.problem;
    if (!lease_table_is_closed(co->leases)) return "";
    money_sum(co, &m);
    snprintf(
        scratch, n_scratch,
        "the budget of %.10g %s is spent (%.6f paid, %.6f lost): %llu examples stay unlabelled",
        m.budget, co->config->limits.currency, m.spent, m.lost, (unsigned long long)m.n_left_out);
    return scratch;
}
