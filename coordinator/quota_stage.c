#include "coordinator/quota_stage.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "coordinator/spend_file.h"

#define SAVE_MS 2000

static quota_settings settings_of(const config *c)
{
    const limits_config *l = &c->limits;
    return (quota_settings){.in_flight_max = l->in_flight_max,
                            .requests_per_minute = l->requests_per_minute,
                            .tokens_per_minute = l->tokens_per_minute,
                            .budget = (uint64_t)floor(l->budget * QUOTA_COST_UNIT)};
}

static rt_status load(quota_stage *s, bool *stopped, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(s->path, SPEND_FILE_BYTES_MAX, &text, err);
    if (st == RT_OK) st = spend_from_json(text.data, text.n, s->quota, stopped, err);
    rt_buf_free(&text);
    if (st == RT_OK || st == RT_NOMEM) return st;
    return rt_wrap(err, st, "%s, which says what this run has cost", s->path);
}

static rt_status save(quota_stage *s, bool stopped, bool ahead, uint64_t now_ms, rt_error *err)
{
    rt_buf text = {0};
    const spend_facts facts = {.currency = s->config->limits.currency,
                               .budget = settings_of(s->config).budget,
                               .stopped = stopped};
    rt_status st = spend_to_json(s->quota, &facts, ahead, &text, err);
    if (st == RT_OK) st = rt_fs_write_atomic(s->path, text.data, text.n, err);
    rt_buf_free(&text);
    s->saved_ms = now_ms;
    return st;
}

/* A disk that refuses is a problem, not a failure: what cannot be written is not granted. */
static bool try_save(quota_stage *s, bool stopped, bool ahead, uint64_t now_ms)
{
    rt_error why = {0};
    if (save(s, stopped, ahead, now_ms, &why) == RT_OK) {
        s->problem[0] = '\0';
        return true;
    }
    for (size_t i = 0; i < quota_n_accounts(s->quota); i++)
        quota_account_at(s->quota, i)->durable_cost = 0;
    if (s->problem[0] == '\0') rt_log_error("spend.save", "%s", why.text);
    snprintf(s->problem, sizeof s->problem, "%.255s", why.text);
    return false;
}

rt_status quota_stage_open(quota_stage *s, const config *c, const run_folder *folder,
                           lease_table *leases, bool may_reopen, uint64_t now_ms, rt_error *err)
{
    rt_status st = RT_OK;
    bool stopped = false;
    const quota_settings settings = settings_of(c);
    s->config = c;
    s->leases = leases;
    if (folder != NULL && (st = run_folder_path(folder, "spend.json", s->path, err)) != RT_OK)
        return st;
    s->has_file = folder != NULL && rt_fs_exists(s->path);
    if ((st = quota_new(&settings, !s->has_file, now_ms, &s->quota, err)) != RT_OK) return st;
    if (s->has_file && (st = load(s, &stopped, err)) != RT_OK) return st;
    if (!stopped || may_reopen || lease_table_all_done(leases)) return RT_OK;
    rt_log_info("budget.closed", "why=\"training began with the labels that the budget paid\"");
    s->stopped = true;
    quota_stop(s->quota);
    lease_table_finish(leases);
    return RT_OK;
}

void quota_stage_close(quota_stage *s)
{
    quota_free(s->quota);
    s->quota = NULL;
}

bool quota_stage_report(quota_stage *s, const char *name, uint64_t incarnation,
                        const wire_quota_report *report, uint64_t now_ms, wire_quota_grant *answer)
{
    if (!quota_report(s->quota, name, incarnation, report, now_ms, answer)) return false;
    const quota_account *a = quota_find(s->quota, name);
    bool is_durable = answer->ceilings.of[RESOURCE_COST] <= a->durable_cost;
    if (settings_of(s->config).budget == 0 || is_durable) return true;
    return try_save(s, s->stopped, true, now_ms);
}

static void close_leases(quota_stage *s, uint64_t now_ms)
{
    quota_sums sums;
    quota_sum(s->quota, now_ms, &sums);
    rt_log_warn("budget.spent", "spent=%.6f lost=%.6f budget=%.6f currency=%s requests=%" PRIu64,
                (double)sums.use.cost / QUOTA_COST_UNIT, (double)sums.lost / QUOTA_COST_UNIT,
                s->config->limits.budget, s->config->limits.currency, sums.use.n_requests);
    lease_table_close(s->leases);
}

void quota_stage_turn(quota_stage *s, bool stream_is_empty, uint64_t now_ms)
{
    bool labels = !lease_table_all_done(s->leases);
    if (labels && !lease_table_is_closed(s->leases) && quota_budget_spent(s->quota, now_ms))
        close_leases(s, now_ms);
    bool ends = labels && lease_table_is_closed(s->leases) && stream_is_empty &&
                lease_table_n_leases(s->leases) == 0;
    if (ends && try_save(s, true, true, now_ms)) {
        s->stopped = true;
        lease_table_finish(s->leases);
    }
    if (quota_n_accounts(s->quota) == 0 || now_ms - s->saved_ms < SAVE_MS) return;
    quota_sums sums;
    quota_sum(s->quota, now_ms, &sums);
    uint64_t mark = sums.use.n_requests + sums.use.cost + sums.lost + sums.use.n_prompt_tokens +
                    sums.use.n_completion_tokens;
    if (mark != s->saved_mark && try_save(s, s->stopped, true, now_ms)) s->saved_mark = mark;
}

void quota_stage_save(quota_stage *s, uint64_t now_ms)
{
    if (s->path[0] != '\0' && (s->has_file || quota_n_accounts(s->quota) > 0))
        (void)try_save(s, s->stopped, false, now_ms);
}
