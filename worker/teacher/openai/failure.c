#include "worker/teacher/openai/failure.h"

#include <stdio.h>
#include <string.h>

#include "worker/teacher/backend.h"
#include "worker/teacher/openai/error_body.h"
#include "worker/teacher/openai/response.h"

#define WISHES_BELIEVED 4

uint64_t failure_backoff_ms(rng_key jitter, uint32_t attempt, uint64_t max_ms)
{
    uint64_t most_ms = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < attempt && most_ms < max_ms; i++) most_ms *= 2;
    most_ms = RT_MIN(most_ms, max_ms);
    double share = 0.5 + 0.5 * (double)rng_uniform(jitter, attempt);
    return (uint64_t)((double)most_ms * share);
}

/* Long waits are for a server that is away. One that answers the others loses nothing when this one
 * comes back soon; one that is overloaded should have a little time. */
static uint64_t longest_backoff_ms(const failure_event *e, bool overloaded)
{
    if (!e->answers_others) return BACKOFF_MAX_MS;
    return overloaded ? BACKOFF_LOAD_MAX_MS : BACKOFF_ROW_MAX_MS;
}

/* The server's wish is the least; a little more, so that not all come back at one moment. */
static uint64_t wait_of(const failure_event *e, bool overloaded)
{
    uint64_t own_ms = failure_backoff_ms(e->jitter, e->attempt, longest_backoff_ms(e, overloaded));
    if (!e->headers.has_retry || e->headers.retry_ms == 0) return own_ms; /* "at once" ends never */
    double u = (double)rng_uniform(e->jitter, (uint64_t)e->attempt + UINT32_MAX);
    uint64_t wait_ms =
        e->headers.retry_ms + (uint64_t)((double)RT_MIN(own_ms, (uint64_t)1000) * 0.25 * u);
    /* A wish that was granted so often and did not help is no longer believed. */
    return e->attempt < WISHES_BELIEVED ? wait_ms : RT_MAX(wait_ms, own_ms);
}

static failure_verdict retry(const failure_event *e, const char *reason, bool overloaded,
                             const char *text)
{
    failure_verdict v = {.action = FAILURE_RETRY,
                         .wait_ms = wait_of(e, overloaded),
                         .reason = reason,
                         .overloaded = overloaded};
    snprintf(v.message, sizeof v.message, "%s", text);
    return v;
}

static failure_verdict reject(const char *reason, const char *text)
{
    failure_verdict v = {.action = FAILURE_REJECT, .reason = reason};
    snprintf(v.message, sizeof v.message, "%s", text);
    return v;
}

static failure_verdict stop(const char *why, const char *text)
{
    failure_verdict v = {.action = FAILURE_STOP};
    snprintf(v.message, sizeof v.message, "%.150s; it says: %.330s", why,
             text[0] != '\0' ? text : "nothing");
    return v;
}

static failure_verdict decide_transport(const failure_event *e)
{
    char text[300];
    failure_verdict v;
    snprintf(text, sizeof text, "%s: %.250s", http_failure_name(e->transport), e->transport_text);
    switch (e->transport) {
    case HTTP_TOO_LARGE:
        v = reject(REASON_BAD_ANSWER, text);
        v.maybe_paid = true;
        return v;
    case HTTP_BAD_TLS:
        return stop("teacher.base_url: the server's certificate is not accepted (teacher.ca_file "
                    "names another authority)",
                    text);
    case HTTP_BAD_PROXY:
        return stop("teacher.proxy, teacher.proxy_login: the proxy opens no way to the server",
                    text);
    case HTTP_BAD_REQUEST: return stop("teacher.base_url: cannot be asked", text);
    case HTTP_TIMED_OUT: v = retry(e, REASON_TIMED_OUT, false, text); break;
    default: v = retry(e, REASON_DROPPED, false, text); break;
    }
    v.is_servers = true;
    v.never_the_row = e->transport == HTTP_NO_CONNECTION;
    v.maybe_paid = e->was_sent;
    return v;
}

static bool is_too_long(const openai_error *e)
{
    static const char *const words[] = {"maximum context length", "context size", "context window",
                                        "context length", "prompt is too long"};
    if (openai_error_is(e, "context_length_exceeded") ||
        openai_error_is(e, "exceed_context_size_error"))
        return true;
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (openai_error_says(e, words[i])) return true;
    return false;
}

static bool is_filtered(const openai_error *e)
{
    return openai_error_is(e, "content_filter") || openai_error_is(e, "content_policy_violation") ||
           openai_error_is(e, "ResponsibleAIPolicyViolation") ||
           openai_error_says(e, "content management policy") ||
           openai_error_says(e, "was flagged") || openai_error_says(e, "moderation");
}

static bool is_out_of_money(const openai_error *e)
{
    return openai_error_is(e, "insufficient_quota") ||
           openai_error_is(e, "billing_hard_limit_reached");
}

/* An answer that says no for good: 4xx but for the passing ones, and 3xx, which is not followed. */
static failure_verdict decide_refusal(long status, const openai_error *error)
{
    char why[160];
    if (is_out_of_money(error) || status == 402)
        return stop("teacher.api_key: the account behind it has no credit left", error->message);
    if (is_too_long(error) || status == 413) return reject(REASON_PROMPT_TOO_LONG, error->message);
    if (is_filtered(error)) return reject(REASON_CONTENT_FILTER, error->message);
    switch (status) {
    case 401: return stop("teacher.api_key: the server refuses it", error->message);
    case 403: return stop("teacher.api_key: it may not ask this model", error->message);
    case 404:
        return stop(
            "teacher.base_url, teacher.model: the server does not know the path or the model",
            error->message);
    case 407: return stop("teacher.proxy_login: the proxy refuses it", error->message);
    case 400:
    case 422: return reject(REASON_BAD_REQUEST, error->message);
    default: break;
    }
    snprintf(why, sizeof why, "teacher.base_url: the server answers with status %ld", status);
    return stop(why, error->message);
}

failure_verdict failure_decide(const failure_event *e)
{
    char text[460];
    if (e->transport != HTTP_OK) return decide_transport(e);
    openai_error error = openai_error_read(e->body, e->n_body);
    long status = e->status;
    if (e->bad_answer) {
        /* Some gateways wrap the error of another server in a 200. */
        if (error.status == 0) {
            failure_verdict v = retry(e, REASON_BAD_ANSWER, false, "the bytes are no answer");
            v.is_servers = true;
            v.maybe_paid = true;
            return v;
        }
        status = error.status;
    }
    snprintf(text, sizeof text, "status %ld: %.400s", status, error.message);
    bool passes = status == 408 || status == 409 || status == 429 || status >= 500;
    if (!passes || is_out_of_money(&error)) return decide_refusal(status, &error);
    bool overloaded = status == 429 || status == 503 || status == 529;
    failure_verdict v = retry(e, REASON_SERVER_ERROR, overloaded, text);
    v.is_servers = status >= 500;
    v.never_the_row = v.overloaded;
    if (status == 429) v.reason = REASON_RATE_LIMITED;
    if (status == 408 || status == 504) v.reason = REASON_TIMED_OUT;
    v.maybe_paid = status == 408 || status == 504; /* it may have been at work when time was up */
    return v;
}
