/* What to do when a request did not bring an answer: ask again, give the row up, or end the run.
 *
 *     failure_verdict v = failure_decide(&event);
 *     switch (v.action) {
 *     case FAILURE_RETRY: in v.wait_ms; break;
 *     case FAILURE_REJECT: reject with v.reason; break;
 *     case FAILURE_STOP: end with v.message; break;
 *     }
 *
 * Pure. How often a row may be asked again is the caller's affair.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_FAILURE_H
#define RT_WORKER_TEACHER_OPENAI_FAILURE_H

#include "common/base/rng.h"
#include "common/http/http_client.h"
#include "worker/teacher/openai/headers.h"

/* Reason codes of rows that were given up, beside those of response.h. */
#define REASON_BAD_REQUEST  "bad_request"  /* the server says that this one is wrong */
#define REASON_SERVER_ERROR "server_error" /* 5xx, each time it was asked */
#define REASON_TIMED_OUT    "timed_out"
#define REASON_DROPPED      "dropped"    /* the connection broke off, each time */
#define REASON_BAD_ANSWER   "bad_answer" /* not what the interface says, each time */
#define REASON_RATE_LIMITED "rate_limited"

#define BACKOFF_FIRST_MS    500
#define BACKOFF_MAX_MS      60000
#define BACKOFF_LOAD_MAX_MS 4000 /* of an overloaded server that answers others */
#define BACKOFF_ROW_MAX_MS  1000 /* of any other trouble while others are answered */

typedef enum failure_action { FAILURE_RETRY, FAILURE_REJECT, FAILURE_STOP } failure_action;

typedef struct failure_event {
    http_failure transport;
    const char *transport_text; /* of a transport that failed */
    bool was_sent;
    long status;      /* of HTTP_OK */
    bool bad_answer;  /* HTTP_OK and 200, but the bytes are no answer */
    const char *body; /* [n_body] */
    size_t n_body;
    openai_headers headers;
    uint32_t attempt;    /* failures of this row before this one */
    bool answers_others; /* since the first of them the server answered other rows */
    rng_key jitter;      /* a stream of the row's own */
} failure_event;

typedef struct failure_verdict {
    failure_action action;
    uint64_t wait_ms;   /* FAILURE_RETRY */
    const char *reason; /* FAILURE_REJECT; of FAILURE_RETRY the code when there was one too many */
    bool overloaded;    /* too much at once: send less */
    bool is_servers;    /* the server is in trouble, not the row: counts for the breaker */
    bool never_the_row; /* no row is to be given up for it */
    bool maybe_paid;    /* the server may have worked on it */
    char message[512];  /* for people; never holds a key */
} failure_verdict;

failure_verdict failure_decide(const failure_event *event);

/* Wait before try number attempt + 1: doubled each time up to max_ms, of that a random share from
 * one half to all. */
uint64_t failure_backoff_ms(rng_key jitter, uint32_t attempt, uint64_t max_ms);

#endif
