/* What a teacher may send and spend now. The coordinator shares the run's limits (requests and
 * tokens a minute, requests in flight, money) among all teachers; a backend that costs something
 * takes before each request and settles when its answer or its failure is there.
 *
 *     allowance_need need = {.n_prompt_tokens = 700, .n_completion_tokens = 256};
 *     switch (allowance_take(a, &need, now_ms, &retry_ms)) {
 *     case ALLOWANCE_GO:    send(); ... allowance_settle(a, &need, &use, now_ms); break;
 *     case ALLOWANCE_WAIT:  look again in retry_ms; break;
 *     case ALLOWANCE_NEVER: the budget is spent: leave what is not sent yet; break;
 *     }
 *
 * One thread. A take reserves the most that the request can cost, so that the budget is never
 * exceeded, requests in flight included; of tokens_per_minute it reserves what requests like it took
 * lately, and a margin. Each attempt is a request of its own, whatever becomes of it: take again
 * before a retry. A request that surely cost nothing (refused with 429, no connection) is settled
 * with `known` and zeros.
 *
 * What the server's headers say of its limits is told with allowance_hear(): the coordinator keeps
 * all teachers of the run together below them.
 */
#ifndef RT_WORKER_TEACHER_ALLOWANCE_H
#define RT_WORKER_TEACHER_ALLOWANCE_H

#include "common/base/status.h"
#include "worker/teacher/price.h"

/* The most that one request can use. */
typedef struct allowance_need {
    uint64_t n_prompt_tokens;     /* estimated, rather too high */
    uint64_t n_completion_tokens; /* max_tokens, times the samples of the request */
    const price_table *prices;    /* of who is asked; NULL: the run's own. Borrowed until settled */
    /* Out, of a take that said GO; the settling wants them back. */
    uint64_t n_tokens; /* reserved of tokens_per_minute */
    uint64_t after;    /* what the coordinator had said by then, for allowance_hear() */
} allowance_need;

/* What it did use. A request that may have been paid but whose answer never came counts in full:
 * then `known` is false and the need stands for the use. */
typedef struct allowance_use {
    bool known;
    uint64_t n_prompt_tokens, n_cached_tokens; /* cached ones are among the prompt's */
    uint64_t n_completion_tokens;              /* reasoning tokens among them */
    uint64_t latency_ms;
    bool maybe_counted;      /* it cost nothing, but the server may count it against its limits */
    bool overloaded;         /* 429, 503: too much at once */
    uint64_t retry_after_ms; /* the server's wish; 0: none */
    double cost;             /* out, of allowance_settle(): in the currency of the price table */
} allowance_use;

/* One limit of the server, as an answer told it. */
typedef struct allowance_limit {
    bool known;       /* else all is 0 */
    uint64_t n_limit; /* 0: not told */
    uint64_t n_left;
    uint64_t reset_ms;  /* until it is whole again */
    uint64_t period_ms; /* it is filled in evenly, all of it in this time; 0: not known to be */
    uint64_t retry_ms;  /* it refused this request and asks to come again then; 0: it did not */
} allowance_limit;

typedef enum allowance_verdict {
    ALLOWANCE_GO,
    ALLOWANCE_WAIT,
    ALLOWANCE_NEVER,
} allowance_verdict;

typedef struct allowance allowance;

typedef struct allowance_ops {
    allowance_verdict (*take)(void *self, allowance_need *need, uint64_t now_ms,
                              uint64_t *retry_ms);
    void (*settle)(void *self, const allowance_need *need, allowance_use *use, uint64_t now_ms);
    void (*hear)(void *self, const allowance_limit *requests, const allowance_limit *tokens,
                 uint64_t after, uint64_t now_ms);
    /* Talk to whoever shares the limits, without waiting; called often while requests fly. */
    void (*turn)(void *self, uint64_t now_ms);
    /* Nothing will be taken for a while: others may have what is not used. */
    void (*rest)(void *self, uint64_t now_ms);
    void (*close)(void *self);
} allowance_ops;

struct allowance {
    const allowance_ops *ops;
    void *self;
};

/* NULL is an allowance without limits: everything may go. */
allowance_verdict allowance_take(allowance *a, allowance_need *need, uint64_t now_ms,
                                 uint64_t *retry_ms);
/* Exactly once for each take that said GO, with the need that it filled in. */
void allowance_settle(allowance *a, const allowance_need *need, allowance_use *use,
                      uint64_t now_ms);
/* An answer has come; what it tells of the server's limits, which may be nothing. `after` is its
 * need's. */
void allowance_hear(allowance *a, const allowance_limit *requests, const allowance_limit *tokens,
                    uint64_t after, uint64_t now_ms);
void allowance_turn(allowance *a, uint64_t now_ms);
void allowance_rest(allowance *a, uint64_t now_ms);
/* Everything that was taken should be settled; what is not counts as paid. */
void allowance_close(allowance *a);

#endif
