/* All questions of one shard, from the first request to the last answer.
 *
 *     one call of complete()
 *       requests ─► asks (one HTTP request each, for one record; ask.c)
 *                    │ due ◄──────────────── wait ◄─┐
 *                    ▼                              │ may pass
 *                  flight (flight.c) ─► lands ─► failure
 *                                         └────► answers, or a reason
 *
 *     rt_status st = asking_run(teacher, requests, n, sampling, answers, err);
 *
 * The teacher keeps what was learned about the server from one call to the next: window, breaker,
 * limits, latencies. Private to the openai backend.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_ASKING_H
#define RT_WORKER_TEACHER_OPENAI_ASKING_H

#include "worker/teacher/backend.h"
#include "worker/teacher/openai/breaker.h"
#include "worker/teacher/openai/concurrency.h"
#include "worker/teacher/openai/due_queue.h"
#include "worker/teacher/openai/json_answer.h"
#include "worker/teacher/openai/latency.h"
#include "worker/teacher/openai/rate_limit.h"
#include "worker/teacher/openai/request.h"
#include "worker/teacher/openai/response.h"

/* A row that only ever meets an overloaded server is given up after so many tries: the server may
 * call what never fits into its limits "too much at once". */
#define OVERLOADS_MAX 100
/* A row is given up after retries_max failures when the server answered others meanwhile, and
 * after so many times as many when it answered nobody. */
#define ALONE_FACTOR 4
/* So many requests refused before one was ever answered: the settings are wrong, not the rows. */
#define BAD_REQUESTS_MAX 3
/* Failures in a row that look like the server's trouble, long before the breaker opens. */
#define TROUBLE_FAILURES 3
/* Longest pause of all requests for one answer's retry-after. */
#define HOLD_MS_MAX 60000
/* After a request to stop, how long answers that are on their way may take. */
#define LAND_MS 3000

typedef struct openai_teacher {
    const config *config;
    backend_means means;
    price_table prices;
    openai_shape shape;
    json_t *schema, *extra;
    json_answer_rules json; /* with a schema */
    rt_buf url;
    rt_buf kind; /* for keys: api, and how answers are read */
    rt_buf key;  /* the secret, only to keep it out of messages */
    http_client *http;
    /* What was learned. */
    concurrency window;
    breaker breaker;
    rate_limit limits;
    latencies latencies;
    uint64_t hold_until_ms;
    uint64_t n_successes, n_bad_requests;
    double tokens_per_byte_max; /* of prompts */
    uint64_t n_prompts_seen;
    bool in_trouble;
    uint64_t trouble_said_ms;
} openai_teacher;

typedef struct flight {
    bool on;
    http_ticket ticket;
    uint64_t sent_ms, number; /* when, and as which of the teacher's requests */
    size_t n_body;
    allowance_need need;
} flight;

/* One question about one record, maybe for several samples. */
typedef struct ask {
    size_t first, n; /* in asking.order: whose samples are open */
    openai_stage stage;
    rt_buf thought;              /* of two steps, once there */
    openai_usage thought_usage;  /* what it took */
    uint32_t n_rounds;           /* answers that were not enough: the next has another seed */
    uint32_t n_tries;            /* failures, for the back-off */
    uint32_t n_failures;         /* ... that may be the row's own */
    uint64_t n_successes_before; /* of the teacher, at the first failure */
    double cost;                 /* paid, and not yet written into an answer */
    flight flights[2];           /* the second: a hedge */
} ask;

typedef struct asking {
    openai_teacher *t;
    const backend_request *requests; /* [n] */
    size_t n;
    const backend_sampling *sampling;
    backend_answer *answers; /* [n] */
    size_t *order;           /* [n] requests, those of one ask side by side */
    ask *asks;               /* [n] */
    size_t n_asks, n_open;   /* open: without an answer or a reason for each sample */
    due_queue due;           /* asks that are open and not in flight */
    size_t n_flying;
    bool was_full; /* the window, before the answers came that are landing now */
    rate_limit_load flying;
    size_t n_topk_bytes; /* of all answers */
    rt_buf body;
    bool ending; /* nothing more is sent */
    rt_status end_status;
    rt_error end_why;
    uint64_t end_by_ms; /* what is in flight then is given up */
} asking;

/* Fills answers[0..n), all zero before; on failure some may be filled. What the budget does not pay
 * for any more gets the reason REASON_NOT_SENT. RT_CANCELLED on a request to stop, RT_INVALID when the
 * server refuses for good. */
RT_MUST_USE rt_status asking_run(openai_teacher *t, const backend_request *requests, size_t n,
                                 const backend_sampling *sampling, backend_answer *answers,
                                 rt_error *err);
/* Send nothing more and end with this, once what is in flight has landed. The first call counts;
 * of several the earliest time does. */
void asking_end(asking *w, rt_status status, const char *why, uint64_t end_by_ms);
/* With the key, should it stand there, made unreadable. */
void openai_hide_key(const openai_teacher *t, char *text);
void openai_count(const openai_teacher *t, const char *what, uint64_t n);
void openai_observe(const openai_teacher *t, const char *what, double seconds);

/* ask.c: what is asked, and what becomes of what was answered. */
RT_MUST_USE rt_status asks_make(asking *w, rt_error *err);
void asks_free(asking *w);
/* What the answer cache may know the request by: its thought where there are two steps, and its
 * answer. Overwrites w->body. */
#define ASKING_KEYS 2
RT_MUST_USE rt_status asking_keys(asking *w, size_t i_request, rt_id out[ASKING_KEYS], size_t *n,
                                  rt_error *err);
/* The body of the ask's next request into w->body. */
RT_MUST_USE rt_status ask_body(asking *w, const ask *a, rt_error *err);
/* Take what can be used. *n_used choices were; the ask is done when a->n is 0 and its stage is
 * over, else it is to be sent again. */
RT_MUST_USE rt_status ask_take_reply(asking *w, ask *a, openai_reply *reply, size_t *n_used,
                                     rt_error *err);
void ask_give_up(asking *w, ask *a, const char *reason);

/* flight.c: one request in the air. */
typedef enum flight_verdict { FLIGHT_SENT, FLIGHT_WAIT, FLIGHT_NEVER } flight_verdict;
/* Copy 0 or 1 of the ask's request. *wait_ms of FLIGHT_WAIT. */
RT_MUST_USE rt_status flight_send(asking *w, ask *a, int copy, uint64_t now_ms,
                                  flight_verdict *verdict, uint64_t *wait_ms, rt_error *err);
RT_MUST_USE rt_status flight_land(asking *w, http_response *response, uint64_t now_ms,
                                  rt_error *err);
void flight_cancel(asking *w, ask *a, int copy, uint64_t now_ms);

#endif
