#include "coordinator/quota_stage.h"

#include <inttypes.h>

#include "common/base/log.h"

rt_status quota_stage_open(quota_stage *s, const config *c, const run_folder *folder,
                           lease_table *leases, bool may_reopen, uint64_t now_ms, rt_error *err)
{
    s->leases = leases;
    rt_status st = spend_book_open(&s->book, c, folder, now_ms, err);
    if (st != RT_OK) return st;
    bool stopped = s->book.stopped;
    s->book.stopped = false;
    if (!stopped || lease_table_all_done(leases)) return RT_OK;
    s->reopened = may_reopen;
    if (may_reopen) return RT_OK;
    rt_log_info("budget.closed", "why=\"training began with the labels that the budget paid\"");
    s->book.stopped = true;
    quota_stop(s->book.quota);
    lease_table_finish(leases);
    return RT_OK;
}

void quota_stage_close(quota_stage *s)
{
    spend_book_close(&s->book);
}

bool quota_stage_report(quota_stage *s, const char *name, uint64_t incarnation,
                        const wire_quota_report *report, uint64_t now_ms, wire_quota_grant *answer)
{
    return spend_book_report(&s->book, name, incarnation, report, now_ms, answer);
}

static void close_leases(quota_stage *s, uint64_t now_ms)
{
    quota_sums sums;
    quota_sum(s->book.quota, now_ms, &sums);
    rt_log_warn("budget.spent", "spent=%.6f lost=%.6f budget=%.6f currency=%s requests=%" PRIu64,
                (double)sums.use.cost / QUOTA_COST_UNIT, (double)sums.lost / QUOTA_COST_UNIT,
                s->book.config->limits.budget, s->book.config->limits.currency,
                sums.use.n_requests);
    lease_table_close(s->leases);
}

/* The end of labelling is in the file before anybody acts on it. */
static void finish_labelling(quota_stage *s, uint64_t now_ms)
{
    s->book.stopped = true;
    if (spend_book_save(&s->book, true, now_ms))
        lease_table_finish(s->leases);
    else
        s->book.stopped = false;
}

void quota_stage_turn(quota_stage *s, bool stream_is_empty, uint64_t now_ms)
{
    bool labels = !lease_table_all_done(s->leases);
    if (labels && !lease_table_is_closed(s->leases) && quota_budget_spent(s->book.quota, now_ms))
        close_leases(s, now_ms);
    bool ends = labels && lease_table_is_closed(s->leases) && stream_is_empty &&
                lease_table_n_leases(s->leases) == 0;
    if (ends) finish_labelling(s, now_ms);
    spend_book_keep(&s->book, now_ms);
}

void quota_stage_save(quota_stage *s, uint64_t now_ms)
{
    spend_book_finish(&s->book, now_ms);
}
