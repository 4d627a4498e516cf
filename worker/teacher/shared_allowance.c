#include "worker/teacher/shared_allowance.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/teacher/run_account.h"

#define GOODBYE_MS 1000 /* to hear that the last report has come */
#define POLL_MS    20

typedef struct shared_allowance {
    allowance base;
    runtime *rt;
    allowance_account account;
    bool spent_logged;
} shared_allowance;

static allowance_verdict take(void *self, allowance_need *need, uint64_t now_ms, uint64_t *retry_ms)
{
    shared_allowance *s = self;
    return allowance_account_take(&s->account, need, now_ms, retry_ms);
}

static void settle(void *self, const allowance_need *need, allowance_use *use, uint64_t now_ms)
{
    shared_allowance *s = self;
    run_account_settle(&s->account, need, use, now_ms);
}

static void hear(void *self, const allowance_limit *requests, const allowance_limit *tokens,
                 uint64_t after, uint64_t now_ms)
{
    shared_allowance *s = self;
    allowance_account_hear(&s->account, requests, tokens, after, now_ms);
}

static void send_report(shared_allowance *s, const wire_quota_report *report)
{
    rt_error why = {0};
    wire_message m = {.type = WIRE_QUOTA_REPORT, .quota_report = *report};
    /* What is not sent now is a lost message: the next report says all of it again. */
    if (net_client_send(runtime_coordinator(s->rt), &m, NULL, 0, NULL, &why) != RT_OK)
        rt_log_debug("allowance.report", "%s", why.text);
}

/* Answers that have come; waits at most wait_ms for one. */
static void receive(shared_allowance *s, uint64_t wait_ms)
{
    net_incoming in = {0};
    while (s->account.under_way &&
           net_client_receive(runtime_coordinator(s->rt), wait_ms, &in, NULL) == RT_OK) {
        if (in.message.type == WIRE_QUOTA_GRANT)
            (void)allowance_account_grant(&s->account, &in.message.quota_grant, rt_clock_mono_ms());
        net_incoming_free(&in);
        wait_ms = 0;
    }
    if (s->account.spent && !s->spent_logged) {
        s->spent_logged = true;
        rt_log_warn("allowance.spent", "why=\"the budget of the run is spent\"");
    }
}

static void turn(void *self, uint64_t now_ms)
{
    shared_allowance *s = self;
    wire_quota_report report;
    receive(s, 0);
    if (allowance_account_report(&s->account, now_ms, &report)) send_report(s, &report);
}

static void rest(void *self, uint64_t now_ms)
{
    shared_allowance *s = self;
    allowance_account_rest(&s->account, now_ms);
    turn(self, now_ms);
}

static void close_allowance(void *self)
{
    shared_allowance *s = self;
    wire_quota_report report;
    uint64_t now_ms = rt_clock_mono_ms(), until_ms = now_ms + GOODBYE_MS;
    allowance_account_leave(&s->account, now_ms, &report);
    send_report(s, &report);
    while (s->account.under_way && rt_clock_mono_ms() < until_ms) {
        receive(s, POLL_MS);
        rt_sleep_ms(1); /* a signal ends the wait for messages at once */
    }
    free(s);
}

static const allowance_ops shared_ops = {take, settle, hear, turn, rest, close_allowance};

rt_status shared_allowance_open(runtime *rt, allowance **out, rt_error *err)
{
    const config *c = runtime_config(rt);
    shared_allowance *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "allowance");
    s->base = (allowance){&shared_ops, s};
    s->rt = rt;
    s->account = run_account_of(c, c->net.dead_after_ms / 2);
    turn(s, rt_clock_mono_ms());
    *out = &s->base;
    return RT_OK;
}
