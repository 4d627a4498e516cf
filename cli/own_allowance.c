#include "cli/own_allowance.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/launch/launcher.h"
#include "common/base/clock.h"
#include "common/base/fs.h"
#include "coordinator/spend_book.h"
#include "worker/teacher/run_account.h"

/* Nobody else can be given our share. */
#define NEVER_STALE_MS (UINT64_C(1) << 60)

typedef struct own_allowance {
    allowance base;
    run_folder folder;
    spend_book book;
    allowance_account account;
    char name[QUOTA_NAME_SIZE];
    uint64_t incarnation;
    bool was_asked; /* else there is nothing to report */
    bool failed;    /* the file cannot be written */
} own_allowance;

static allowance_verdict take(void *self, allowance_need *need, uint64_t now_ms, uint64_t *retry_ms)
{
    own_allowance *o = self;
    o->was_asked = true;
    if (o->failed) return ALLOWANCE_NEVER;
    return allowance_account_take(&o->account, need, now_ms, retry_ms);
}

static void settle(void *self, const allowance_need *need, allowance_use *use, uint64_t now_ms)
{
    own_allowance *o = self;
    run_account_settle(&o->account, need, use, now_ms);
}

static void hear(void *self, const allowance_limit *requests, const allowance_limit *tokens,
                 uint64_t after, uint64_t now_ms)
{
    own_allowance *o = self;
    allowance_account_hear(&o->account, requests, tokens, after, now_ms);
}

/* A report and its answer; an answer that the file does not hold is none. */
static void report(own_allowance *o, const wire_quota_report *report, uint64_t now_ms)
{
    wire_quota_grant grant;
    if (spend_book_report(&o->book, o->name, o->incarnation, report, now_ms, &grant))
        (void)allowance_account_grant(&o->account, &grant, now_ms);
    else
        o->failed = true;
}

static void turn(void *self, uint64_t now_ms)
{
    own_allowance *o = self;
    wire_quota_report due;
    if (!o->was_asked || o->failed) return;
    (void)quota_budget_spent(o->book.quota, now_ms);
    if (allowance_account_report(&o->account, now_ms, &due)) report(o, &due, now_ms);
    spend_book_keep(&o->book, now_ms);
}

static void rest(void *self, uint64_t now_ms)
{
    own_allowance *o = self;
    if (!o->was_asked) return;
    allowance_account_rest(&o->account, now_ms);
    turn(self, now_ms);
}

static void free_all(own_allowance *o)
{
    spend_book_close(&o->book);
    run_folder_close(&o->folder);
    free(o);
}

static void close_allowance(void *self)
{
    own_allowance *o = self;
    uint64_t now_ms = rt_clock_mono_ms();
    wire_quota_report last;
    if (o->was_asked) {
        allowance_account_leave(&o->account, now_ms, &last);
        report(o, &last, now_ms);
        spend_book_finish(&o->book, now_ms);
    }
    free_all(o);
}

static const allowance_ops own_ops = {take, settle, hear, turn, rest, close_allowance};

static rt_status hold_run(own_allowance *o, const config *c, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_status st = launch_run_dir(c, path, sizeof path, err);
    if (st == RT_OK) st = rt_fs_mkdirs(path, err);
    if (st == RT_OK) st = run_folder_hold(c, &o->folder, err);
    if (st == RT_EXISTS)
        st = rt_wrap(err, st, "what this may cost is counted in the run, which is under way");
    return st;
}

rt_status own_allowance_open(const config *c, const char *name, allowance **out, rt_error *err)
{
    own_allowance *o = rt_calloc(1, sizeof *o);
    if (o == NULL) return rt_fail(err, RT_NOMEM, "allowance");
    o->base = (allowance){&own_ops, o};
    o->folder.lock_fd = -1;
    o->incarnation = rt_clock_wall_ms();
    snprintf(o->name, sizeof o->name, "%s", name);
    o->account = run_account_of(c, NEVER_STALE_MS);
    rt_status st = hold_run(o, c, err);
    if (st == RT_OK) st = spend_book_open(&o->book, c, &o->folder, rt_clock_mono_ms(), err);
    if (st != RT_OK) {
        free_all(o);
        return st;
    }
    *out = &o->base;
    return RT_OK;
}

rt_status own_allowance_check(const allowance *a, rt_error *err)
{
    const own_allowance *o = a != NULL ? a->self : NULL;
    if (o == NULL || !o->failed) return RT_OK;
    return rt_fail(err, RT_IO, "nothing more is paid, for it cannot be written down: %s",
                   o->book.problem[0] != '\0' ? o->book.problem : "spend.json has no room");
}
