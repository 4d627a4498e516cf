#include "coordinator/spend_book.h"

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

static rt_status load(spend_book *b, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(b->path, SPEND_FILE_BYTES_MAX, &text, err);
    if (st == RT_OK) st = spend_from_json(text.data, text.n, b->quota, &b->stopped, err);
    rt_buf_free(&text);
    if (st == RT_OK || st == RT_NOMEM) return st;
    return rt_wrap(err, st, "%s, which says what this run has cost", b->path);
}

rt_status spend_book_open(spend_book *b, const config *c, const run_folder *folder, uint64_t now_ms,
                          rt_error *err)
{
    rt_status st = RT_OK;
    const quota_settings settings = settings_of(c);
    *b = (spend_book){.config = c};
    if (folder != NULL && (st = run_folder_path(folder, "spend.json", b->path, err)) != RT_OK)
        return st;
    b->has_file = folder != NULL && rt_fs_exists(b->path);
    if ((st = quota_new(&settings, !b->has_file, now_ms, &b->quota, err)) != RT_OK) return st;
    return b->has_file ? load(b, err) : RT_OK;
}

void spend_book_close(spend_book *b)
{
    quota_free(b->quota);
    b->quota = NULL;
}

static rt_status save(spend_book *b, bool ahead, uint64_t now_ms, rt_error *err)
{
    rt_buf text = {0};
    const spend_facts facts = {.currency = b->config->limits.currency,
                               .budget = settings_of(b->config).budget,
                               .stopped = b->stopped};
    rt_status st = spend_to_json(b->quota, &facts, ahead, &text, err);
    if (st == RT_OK) st = rt_fs_write_atomic(b->path, text.data, text.n, err);
    rt_buf_free(&text);
    b->saved_ms = now_ms;
    return st;
}

bool spend_book_save(spend_book *b, bool ahead, uint64_t now_ms)
{
    rt_error why = {0};
    if (save(b, ahead, now_ms, &why) == RT_OK) {
        b->problem[0] = '\0';
        return true;
    }
    for (size_t i = 0; i < quota_n_accounts(b->quota); i++)
        quota_account_at(b->quota, i)->durable_cost = 0;
    if (b->problem[0] == '\0') rt_log_error("spend.save", "%s", why.text);
    snprintf(b->problem, sizeof b->problem, "%.255s", why.text);
    return false;
}

bool spend_book_report(spend_book *b, const char *name, uint64_t incarnation,
                       const wire_quota_report *report, uint64_t now_ms, wire_quota_grant *answer)
{
    if (!quota_report(b->quota, name, incarnation, report, now_ms, answer)) return false;
    const quota_account *a = quota_find(b->quota, name);
    bool is_durable = answer->ceilings.of[RESOURCE_COST] <= a->durable_cost;
    if (settings_of(b->config).budget == 0 || is_durable) return true;
    return spend_book_save(b, true, now_ms);
}

void spend_book_keep(spend_book *b, uint64_t now_ms)
{
    if (quota_n_accounts(b->quota) == 0 || now_ms - b->saved_ms < SAVE_MS) return;
    quota_sums sums;
    quota_sum(b->quota, now_ms, &sums);
    uint64_t mark = sums.use.n_requests + sums.use.cost + sums.lost + sums.use.n_prompt_tokens +
                    sums.use.n_completion_tokens;
    if (mark != b->saved_mark && spend_book_save(b, true, now_ms)) b->saved_mark = mark;
}

void spend_book_finish(spend_book *b, uint64_t now_ms)
{
    if (b->path[0] != '\0' && (b->has_file || quota_n_accounts(b->quota) > 0))
        (void)spend_book_save(b, false, now_ms);
}
