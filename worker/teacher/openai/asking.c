#include "worker/teacher/openai/asking.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "worker/teacher/openai/connect.h"

#define TURN_MS          50    /* a request to stop is seen within this */
#define TROUBLE_SAY_MS   10000 /* how often the log says again why nothing comes */
#define TROUBLE_AFTER_MS 5000  /* a shorter pause is not worth a word */

void openai_count(const openai_teacher *t, const char *what, uint64_t n)
{
    if (t->means.count != NULL && n > 0) t->means.count(t->means.context, what, n);
}

void openai_observe(const openai_teacher *t, const char *what, double seconds)
{
    if (t->means.observe != NULL) t->means.observe(t->means.context, what, seconds);
}

void openai_hide_key(const openai_teacher *t, char *text)
{
    openai_hide(&t->key, text);
}

void asking_end(asking *w, rt_status status, const char *why, uint64_t end_by_ms)
{
    if (!w->ending) {
        w->ending = true;
        w->end_status = status;
        w->end_by_ms = end_by_ms;
        (void)rt_fail(&w->end_why, status, "%s", why);
    }
    w->end_by_ms = RT_MIN(w->end_by_ms, end_by_ms);
}

static void look_for_stop(asking *w, uint64_t now_ms)
{
    rt_stop stop = rt_stop_requested();
    if (stop == RT_STOP_NONE || (w->ending && w->end_status == RT_CANCELLED && stop != RT_STOP_NOW))
        return;
    asking_end(w, RT_CANCELLED, "stopped on request",
               stop == RT_STOP_NOW ? now_ms : now_ms + LAND_MS);
}

static void say_trouble(openai_teacher *t, uint64_t now_ms)
{
    char text[400] = "";
    const breaker *b = &t->breaker;
    if (b->state != BREAKER_CLOSED ||
        (b->n_in_a_row >= TROUBLE_FAILURES && now_ms - b->failing_since_ms > TROUBLE_AFTER_MS))
        snprintf(text, sizeof text, "the teacher's server fails: %s", b->reason);
    else if (t->hold_until_ms > now_ms + TROUBLE_AFTER_MS)
        snprintf(text, sizeof text, "the teacher's server asks to wait %" PRIu64 " s",
                 (t->hold_until_ms - now_ms) / 1000);
    if (text[0] == '\0') {
        if (!t->in_trouble || t->hold_until_ms > now_ms) return;
        t->in_trouble = false;
        rt_log_info("teacher.server_answers", "url=%s", t->config->teacher.base_url);
        if (t->means.report != NULL) t->means.report(t->means.context, NULL);
        return;
    }
    if (t->in_trouble && now_ms - t->trouble_said_ms < TROUBLE_SAY_MS) return;
    rt_log_warn("teacher.server_fails", "url=%s why=\"%s\" n_opened=%" PRIu64,
                t->config->teacher.base_url, text, t->breaker.n_opened);
    t->in_trouble = true;
    t->trouble_said_ms = now_ms;
    if (t->means.report != NULL) t->means.report(t->means.context, text);
}

/* Time until something else than an answer may allow the next one to be sent; 0: it is allowed. */
static uint64_t pause_ms(const asking *w, uint64_t now_ms)
{
    const openai_teacher *t = w->t;
    if (w->n_flying >= concurrency_window(&t->window)) return TURN_MS;
    if (!breaker_allows(&t->breaker, now_ms))
        return t->breaker.state == BREAKER_OPEN ? t->breaker.until_ms - now_ms : TURN_MS;
    return t->hold_until_ms > now_ms ? t->hold_until_ms - now_ms : 0;
}

/* The budget is spent: what is in the air is paid and waited for. */
static void on_never(asking *w)
{
    asking_end(w, RT_FULL, "the budget is spent", UINT64_MAX);
}

/* What was not asked is nobody's failure: the answers that were paid are worth as much as ever. */
static void leave_unasked(asking *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->n_asks; i++) {
        n += w->asks[i].n;
        ask_give_up(w, &w->asks[i], REASON_NOT_SENT);
    }
    rt_log_info("teacher.unasked", "requests=%" PRIu64 " why=\"the budget is spent\"", n);
}

/* Everything that may go now. *wait_ms is lowered to when there may be more. */
static rt_status send_due(asking *w, uint64_t now_ms, uint64_t *wait_ms, rt_error *err)
{
    size_t i;
    uint64_t due_ms;
    while (!w->ending && due_queue_first(&w->due, &i, &due_ms)) {
        flight_verdict verdict;
        uint64_t pause = due_ms > now_ms ? due_ms - now_ms : pause_ms(w, now_ms);
        if (pause > 0) {
            *wait_ms = RT_MIN(*wait_ms, pause);
            return RT_OK;
        }
        rt_status st = flight_send(w, &w->asks[i], 0, now_ms, &verdict, &pause, err);
        if (st != RT_OK) return st;
        if (verdict == FLIGHT_WAIT) {
            *wait_ms = RT_MIN(*wait_ms, RT_MAX(pause, (uint64_t)1));
            return RT_OK;
        }
        if (verdict == FLIGHT_NEVER)
            on_never(w);
        else
            due_queue_drop_first(&w->due);
    }
    return RT_OK;
}

/* Ask a second time for what takes too long. */
static rt_status hedge(asking *w, uint64_t now_ms, rt_error *err)
{
    openai_teacher *t = w->t;
    uint64_t median_ms;
    double after = t->config->teacher.hedge_after;
    if (after <= 0 || w->ending || !latencies_median(&t->latencies, &median_ms)) return RT_OK;
    uint64_t after_ms = (uint64_t)(after * (double)RT_MAX(median_ms, (uint64_t)1));
    for (size_t i = 0; i < w->n_asks && t->breaker.state == BREAKER_CLOSED; i++) {
        ask *a = &w->asks[i];
        flight_verdict verdict;
        uint64_t wait_ms;
        if (!a->flights[0].on || a->flights[1].on || now_ms - a->flights[0].sent_ms < after_ms)
            continue;
        if (pause_ms(w, now_ms) > 0) return RT_OK;
        rt_status st = flight_send(w, a, 1, now_ms, &verdict, &wait_ms, err);
        if (st != RT_OK) return st;
        if (verdict != FLIGHT_SENT) return RT_OK;
        openai_count(t, "hedges", 1);
    }
    return RT_OK;
}

static rt_status land_all(asking *w, rt_error *err)
{
    http_response response;
    w->was_full = w->n_flying >= concurrency_window(&w->t->window);
    while (http_client_take(w->t->http, &response)) {
        rt_status st = flight_land(w, &response, rt_clock_mono_ms(), err);
        http_response_free(&response);
        if (st != RT_OK) return st;
    }
    return RT_OK;
}

static rt_status run(asking *w, rt_error *err)
{
    rt_status st;
    while (w->n_open > 0) {
        uint64_t now_ms = rt_clock_mono_ms(), wait_ms = TURN_MS;
        allowance_turn(w->t->means.allowance, now_ms);
        look_for_stop(w, now_ms);
        if (w->ending && (w->n_flying == 0 || now_ms >= w->end_by_ms)) break;
        if ((st = send_due(w, now_ms, &wait_ms, err)) != RT_OK) return st;
        if ((st = hedge(w, now_ms, err)) != RT_OK) return st;
        say_trouble(w->t, now_ms);
        if ((st = http_client_turn(w->t->http, wait_ms, err)) != RT_OK) return st;
        if ((st = land_all(w, err)) != RT_OK) return st;
    }
    if (w->n_open == 0) return RT_OK;
    if (w->end_status == RT_FULL) {
        leave_unasked(w);
        return RT_OK;
    }
    return rt_fail(err, w->end_status, "%s", w->end_why.text);
}

rt_status asking_run(openai_teacher *t, const backend_request *requests, size_t n,
                     const backend_sampling *sampling, backend_answer *answers, rt_error *err)
{
    asking w = {.t = t, .requests = requests, .n = n, .sampling = sampling, .answers = answers};
    rt_status st = asks_make(&w, err);
    if (st == RT_OK) st = run(&w, err);
    for (size_t i = 0; i < w.n_asks; i++)
        for (int copy = 0; copy < 2; copy++)
            flight_cancel(&w, &w.asks[i], copy, rt_clock_mono_ms());
    asks_free(&w);
    return st;
}
