#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/teacher/openai/asking.h"
#include "worker/teacher/openai/failure.h"

#define TOKENS_PER_BYTE_FIRST 0.5 /* rather too many, until some were counted */
#define TOKENS_PER_BYTE_MAX   4.0 /* more is the server's mistake */
#define PROMPTS_TO_LEARN      8
#define NEED_MARGIN           1.1

/* The most that the request in w->body can use. */
static allowance_need need_of(const asking *w, const ask *a)
{
    const openai_teacher *t = w->t;
    double rate = TOKENS_PER_BYTE_FIRST;
    if (t->n_prompts_seen >= PROMPTS_TO_LEARN) rate = t->tokens_per_byte_max * NEED_MARGIN;
    uint64_t n_choices = a->stage == OPENAI_ANSWER ? a->n : 1;
    return (allowance_need){.n_prompt_tokens = (uint64_t)((double)w->body.n * rate) + 16,
                            .n_completion_tokens = t->shape.max_tokens * n_choices,
                            .prices = &t->prices};
}

/* What came back says how many tokens the bytes of the body were. */
static void learn_tokens(openai_teacher *t, const openai_usage *usage, size_t n_body)
{
    if (!usage->known || usage->n_prompt == 0 || n_body == 0) return;
    double rate = (double)usage->n_prompt / (double)n_body;
    t->tokens_per_byte_max = RT_MAX(t->tokens_per_byte_max, RT_MIN(rate, TOKENS_PER_BYTE_MAX));
    t->n_prompts_seen++;
}

static rate_limit_load load_of(const allowance_need *need)
{
    return (rate_limit_load){.n_requests = 1,
                             .n_tokens = need->n_prompt_tokens + need->n_completion_tokens};
}

rt_status flight_send(asking *w, ask *a, int copy, uint64_t now_ms, flight_verdict *verdict,
                      uint64_t *wait_ms, rt_error *err)
{
    openai_teacher *t = w->t;
    flight *f = &a->flights[copy];
    rt_status st = ask_body(w, a, err);
    if (st != RT_OK) return st;
    allowance_need need = need_of(w, a);
    rate_limit_load load = load_of(&need);
    *verdict = FLIGHT_WAIT;
    if (!rate_limit_allows(&t->limits, &w->flying, &load, now_ms, wait_ms)) return RT_OK;
    switch (allowance_take(t->means.allowance, &need, now_ms, wait_ms)) {
    case ALLOWANCE_GO: break;
    case ALLOWANCE_WAIT: return RT_OK;
    case ALLOWANCE_NEVER: *verdict = FLIGHT_NEVER; return RT_OK;
    }
    http_request request = {.url = t->url.data,
                            .body = w->body.data,
                            .n_body = w->body.n,
                            .timeout_ms = t->config->teacher.timeout_ms,
                            .tag = (uint64_t)(a - w->asks) << 1 | (uint64_t)copy};
    st = http_client_submit(t->http, &request, &f->ticket, err);
    if (st != RT_OK) {
        allowance_use nothing = {.known = true};
        allowance_settle(t->means.allowance, &need, &nothing, now_ms);
        return st;
    }
    f->on = true;
    f->sent_ms = now_ms;
    f->need = need;
    f->n_body = w->body.n;
    w->n_flying++;
    w->flying.n_requests += load.n_requests;
    w->flying.n_tokens += load.n_tokens;
    f->number = rate_limit_on_send(&t->limits);
    breaker_on_send(&t->breaker);
    openai_count(t, "requests", 1);
    *verdict = FLIGHT_SENT;
    return RT_OK;
}

/* It is no longer in the air. */
static void take_down(asking *w, flight *f)
{
    rate_limit_load load = load_of(&f->need);
    f->on = false;
    w->n_flying--;
    w->flying.n_requests -= load.n_requests;
    w->flying.n_tokens -= load.n_tokens;
}

static void settle(asking *w, ask *a, const flight *f, allowance_use *use, uint64_t now_ms)
{
    use->latency_ms = now_ms - f->sent_ms;
    allowance_settle(w->t->means.allowance, &f->need, use, now_ms);
    a->cost += use->cost;
}

void flight_cancel(asking *w, ask *a, int copy, uint64_t now_ms)
{
    flight *f = &a->flights[copy];
    bool was_sent = false;
    if (!f->on) return;
    (void)http_client_cancel(w->t->http, f->ticket, &was_sent);
    allowance_use use = {.known = !was_sent};
    take_down(w, f);
    rate_limit_load load = load_of(&f->need);
    if (was_sent) rate_limit_on_silence(&w->t->limits, &load);
    settle(w, a, f, &use, now_ms);
    breaker_on_nothing(&w->t->breaker);
}

static void finish(asking *w)
{
    w->n_open--;
}

static void ask_again(asking *w, const ask *a, uint64_t due_ms)
{
    due_queue_add(&w->due, (size_t)(a - w->asks), due_ms);
}

static bool is_one_too_many(const asking *w, const ask *a)
{
    uint64_t most = w->t->config->teacher.retries_max;
    uint64_t most_alone = (most + 1) * ALONE_FACTOR;
    if (a->n_tries > OVERLOADS_MAX + most_alone) return true;
    if (a->n_failures <= most) return false;
    return w->t->n_successes > a->n_successes_before || a->n_failures > most_alone;
}

static void give_up(asking *w, ask *a, const char *reason, const char *why)
{
    char hex[RT_ID_HEX_SIZE];
    rt_id_to_hex(w->requests[w->order[a->first]].record_id, hex);
    rt_log_info("teacher.row_given_up", "id=%s reason=%s why=\"%s\"", hex, reason, why);
    openai_count(w->t, "given_up", a->n);
    ask_give_up(w, a, reason);
    finish(w);
}

static void refuse(asking *w, ask *a, const failure_verdict *v, uint64_t now_ms)
{
    openai_teacher *t = w->t;
    give_up(w, a, v->reason, v->message);
    if (strcmp(v->reason, REASON_BAD_REQUEST) != 0 || t->n_successes > 0) return;
    if (++t->n_bad_requests < BAD_REQUESTS_MAX) return;
    rt_error why = {0};
    (void)rt_fail(&why, RT_INVALID,
                  "teacher: the server refuses each request, which no row can be to blame for; it "
                  "says: %s",
                  v->message);
    asking_end(w, RT_INVALID, why.text, now_ms + LAND_MS);
}

static void retry(asking *w, ask *a, const failure_verdict *v, uint64_t now_ms)
{
    if (a->n_tries++ == 0) a->n_successes_before = w->t->n_successes;
    if (!v->never_the_row) a->n_failures++;
    if (is_one_too_many(w, a)) {
        give_up(w, a, v->reason, v->message);
        return;
    }
    openai_count(w->t, "request_retries", 1);
    ask_again(w, a, now_ms + v->wait_ms);
}

static void tell_breaker(openai_teacher *t, const failure_verdict *v, uint64_t now_ms)
{
    if (v->is_servers)
        breaker_on_failure(&t->breaker, now_ms, v->message);
    else if (v->overloaded)
        breaker_on_nothing(&t->breaker);
    else
        breaker_on_success(&t->breaker); /* it answers, if only to say no */
}

static void on_failure(asking *w, ask *a, failure_event *event, const failure_verdict *v,
                       uint64_t now_ms)
{
    openai_teacher *t = w->t;
    rt_log_debug("teacher.request_failed", "status=%ld attempt=%u why=\"%s\"", event->status,
                 event->attempt, v->message);
    openai_count(t, "request_failures", 1);
    tell_breaker(t, v, now_ms);
    if (v->overloaded) {
        /* A limit of rate that the server tells is kept by what it tells; fewer at once is no help. */
        bool is_told = t->limits.requests.known || t->limits.tokens.known;
        if (event->status != 429 || !is_told) concurrency_on_overload(&t->window, now_ms);
        openai_count(t, "overloaded", 1);
        if (event->headers.has_retry)
            t->hold_until_ms = RT_MAX(
                t->hold_until_ms, now_ms + RT_MIN(event->headers.retry_ms, (uint64_t)HOLD_MS_MAX));
    }
    if (v->action == FAILURE_STOP) {
        asking_end(w, RT_INVALID, v->message, now_ms + LAND_MS);
        if (!a->flights[0].on && !a->flights[1].on) ask_again(w, a, now_ms);
        return;
    }
    if (a->flights[0].on || a->flights[1].on) return; /* the other copy decides */
    if (v->action == FAILURE_REJECT)
        refuse(w, a, v, now_ms);
    else
        retry(w, a, v, now_ms);
}

static rng_key jitter_of(const asking *w, const ask *a)
{
    const backend_request *r = &w->requests[w->order[a->first]];
    return rng_key_make(w->sampling->seed, "openai.jitter", r->record_id, r->sample);
}

/* Since this one failed first. */
static bool answers_others(const asking *w, const ask *a)
{
    return a->n_tries > 0 && w->t->n_successes > a->n_successes_before;
}

/* An answer that holds nothing: asked again with another seed, until it is one too many. */
static void on_nothing_usable(asking *w, ask *a, uint64_t now_ms)
{
    uint64_t most_ms = answers_others(w, a) ? BACKOFF_ROW_MAX_MS : BACKOFF_MAX_MS;
    failure_verdict v = {.reason = REASON_BAD_ANSWER,
                         .wait_ms = failure_backoff_ms(jitter_of(w, a), a->n_tries, most_ms),
                         .message = "the answer holds nothing that can be used"};
    openai_count(w->t, "bad_answers", 1);
    retry(w, a, &v, now_ms);
}

static rt_status on_reply(asking *w, ask *a, const flight *f, openai_reply *reply, uint64_t now_ms,
                          rt_error *err)
{
    openai_teacher *t = w->t;
    size_t n_used = 0;
    const openai_usage *u = &reply->usage;
    allowance_use use = {.known = u->known,
                         .n_prompt_tokens = u->n_prompt,
                         .n_cached_tokens = u->n_cached,
                         .n_completion_tokens = u->n_completion};
    uint64_t latency_ms = now_ms - f->sent_ms;
    settle(w, a, f, &use, now_ms);
    concurrency_on_answer(&t->window, w->was_full, latency_ms, now_ms);
    latencies_add(&t->latencies, latency_ms);
    /* The server is back: what waited because it was away need not wait longer. */
    if (t->breaker.n_in_a_row >= TROUBLE_FAILURES) due_queue_hasten(&w->due, now_ms);
    breaker_on_success(&t->breaker);
    t->n_successes++;
    for (int copy = 0; copy < 2; copy++) flight_cancel(w, a, copy, now_ms);
    learn_tokens(t, u, f->n_body);
    openai_stage stage = a->stage;
    rt_status st = ask_take_reply(w, a, reply, &n_used, err);
    if (st != RT_OK) return st;
    if (a->n == 0)
        finish(w);
    else if (n_used == 0)
        on_nothing_usable(w, a, now_ms);
    else /* the second of two steps, or the samples that are missing */
        ask_again(w, a, stage != a->stage ? 0 : now_ms);
    return RT_OK;
}

static bool is_good(long status)
{
    return status >= 200 && status < 300;
}

/* What an answer says of limits goes to our own guard and to the one that all teachers share. One
 * that says nothing means that there are none, if it is no failure. */
static void learn_limits(openai_teacher *t, const flight *f, const failure_event *event,
                         uint64_t now_ms)
{
    const openai_headers *h = &event->headers;
    rate_limit_load load = load_of(&f->need);
    bool is_told = h->requests.known || h->tokens.known;
    bool was_refused = event->transport == HTTP_OK && event->status == 429;
    rate_limit_sent sent = {f->number, f->sent_ms, was_refused};
    if (is_told)
        rate_limit_on_headers(&t->limits, &sent, h, now_ms);
    else if (event->was_sent)
        rate_limit_on_silence(&t->limits, &load);
    bool is_good_answer = event->transport == HTTP_OK && is_good(event->status);
    if (!is_good_answer && (!is_told || t->means.limits_apart)) return;
    allowance_limit requests = {0}, tokens = {0};
    if (!t->means.limits_apart) {
        requests = rate_limit_told(&t->limits.requests, &h->requests, h, was_refused);
        tokens = rate_limit_told(&t->limits.tokens, &h->tokens, h, was_refused);
    }
    allowance_hear(t->means.allowance, &requests, &tokens, f->need.after, now_ms);
}

rt_status flight_land(asking *w, http_response *r, uint64_t now_ms, rt_error *err)
{
    ask *a = &w->asks[r->tag >> 1];
    flight *f = &a->flights[r->tag & 1];
    rt_status st = RT_CORRUPT;
    openai_reply reply = {0};
    failure_event event = {.transport = r->failure,
                           .transport_text = r->problem,
                           .was_sent = r->was_sent,
                           .status = r->status,
                           .body = r->body.data,
                           .n_body = r->body.n,
                           .headers = openai_headers_read(r, rt_clock_wall_ms()),
                           .attempt = a->n_tries,
                           .answers_others = answers_others(w, a),
                           .jitter = jitter_of(w, a)};
    RT_ASSERT(f->on);
    openai_observe(w->t, "request_seconds", (double)(now_ms - f->sent_ms) / 1000);
    take_down(w, f);
    learn_limits(w->t, f, &event, now_ms);
    if (r->failure == HTTP_OK && is_good(r->status)) {
        st = openai_reply_read(r->body.data, r->body.n, &reply, err);
        if (st == RT_NOMEM) goto out;
        event.bad_answer = st != RT_OK || reply.n_choices == 0;
        if (!event.bad_answer) {
            st = on_reply(w, a, f, &reply, now_ms, err);
            goto out;
        }
    }
    st = RT_OK;
    failure_verdict v = failure_decide(&event);
    openai_hide_key(w->t, v.message);
    allowance_use use = {.known = !v.maybe_paid,
                         .maybe_counted = event.was_sent && r->status != 429,
                         .overloaded = v.overloaded,
                         .retry_after_ms = event.headers.has_retry ? event.headers.retry_ms : 0};
    if (reply.usage.known) {
        use.known = true;
        use.n_prompt_tokens = reply.usage.n_prompt;
        use.n_completion_tokens = reply.usage.n_completion;
    }
    settle(w, a, f, &use, now_ms);
    on_failure(w, a, &event, &v, now_ms);
out:
    openai_reply_free(&reply);
    return st;
}
