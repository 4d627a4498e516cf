/* What gives a teacher its words: one interface, one file per kind.
 *
 *     backend *b = NULL;
 *     if ((st = backend_open(config, &b, err)) != RT_OK) goto out;
 *     if ((st = backend_complete(b, requests, n, &sampling, answers, err)) != RT_OK) goto out;
 *     backend_answers_free(answers, n);
 *     backend_close(b);
 *
 * A request for which there is no text gets a reason code, never an error: an error means that the
 * backend itself is in trouble. Several samples of one example are several requests with sample 0,
 * 1, ... A new kind fills in a backend_ops and adds a line to backend_open().
 */
#ifndef RT_WORKER_TEACHER_BACKEND_H
#define RT_WORKER_TEACHER_BACKEND_H

#include "common/base/hash.h"
#include "common/cache/answer_cache.h"
#include "common/conf/config.h"
#include "worker/teacher/allowance.h"

enum {
    BACKEND_CAN_GENERATE = 1, /* writes text for a prompt; another sample may differ */
    BACKEND_CAN_SCORE = 2,    /* log-probability of a given text */
    BACKEND_CAN_LOGPROBS = 4, /* answers carry the log-probability of what was written */
    BACKEND_ASKS_SERVER = 16, /* limits and prices of somebody else, and maybe a bill */
    BACKEND_FIXED_UNIT = 8,   /* bits depend on the batch: the same shard must come whole */
};

/* Reason codes of requests that got no text, beside those of the parse machine. */
#define REASON_NOT_RECORDED    "not_recorded"
#define REASON_PROMPT_TOO_LONG "prompt_too_long"
/* Not asked because the budget is spent: no record is made, the example stays pending. */
#define REASON_NOT_SENT "not_sent"

/* Probabilities of tokens that one call keeps for all its answers, so that a large shard of long texts
 * does not fill the memory; beyond it answers have none, which is counted as "topk_left_out". */
#define TOPK_CALL_BYTES_MAX ((size_t)256 << 20)

/* Borrows its texts; absent ones are "" and 0. */
typedef struct backend_request {
    rt_id record_id;
    uint32_t sample;
    const char *input;     /* the example, as rendered into the corpus */
    const char *source_id; /* "" = none */
    const char *prompt;    /* only for backends that generate */
    size_t n_prompt;
} backend_request;

typedef struct backend_sampling {
    double temperature; /* 0: greedy */
    uint64_t top_k;     /* 0: off */
    double top_p;       /* 1: off */
    uint64_t seed;
} backend_sampling;

/* Owns its text; backend_answers_free(). */
typedef struct backend_answer {
    const char *reason; /* NULL: there is a text; else a reason code, static */
    char *text;         /* as the backend has it, ended by '\0' but maybe not valid UTF-8 */
    size_t n_text;
    const char *finish_reason; /* "stop", "length" or "recorded"; static */
    bool truncated;
    uint64_t n_prompt_tokens, n_completion_tokens; /* 0: not known */
    uint64_t n_reasoning_tokens, n_cached_tokens;  /* among the completion's, the prompt's */
    bool has_logprob;
    double sum_logprob; /* in nats */
    char *
        topk; /* owned; NULL, or what was likely at each token of the text: common/dataset/topk.h */
    /* Of teachers that think apart from what they answer; owned, NULL: the text is all there is. */
    char *reasoning;
    const char *rationale_source; /* "reasoning", "think", ...; static, NULL without reasoning */
    double cost;                  /* paid now, in the currency of the price table */
    bool cached;                  /* from the answer cache: nothing was paid */
} backend_answer;
void backend_answers_free(backend_answer *answers, size_t n);

typedef struct backend backend;

/* What a backend may use beside its config; each may be NULL, none is owned. */
typedef struct backend_means {
    allowance *allowance; /* NULL: no limits */
    bool limits_apart;    /* the server's own limits are not those of the run's first teacher */
    answer_cache *cache;  /* NULL: none */
    /* Why no answers come, for people; NULL when they come again. */
    void (*report)(void *context, const char *trouble);
    /* Something that happened `n` times: "requests", "cache_hits", ... */
    void (*count)(void *context, const char *what, uint64_t n);
    /* How long something took: "request_seconds", from sending a request to all of its answer. */
    void (*observe)(void *context, const char *what, double seconds);
    void *context;
} backend_means;

typedef struct backend_ops {
    const char *name; /* "recorded" */
    unsigned flags;
    rt_status (*complete)(void *self, const backend_request *requests, size_t n,
                          const backend_sampling *sampling, backend_answer *answers, rt_error *err);
    /* Log-probability of texts[i] behind requests[i]'s prompt, in nats; NULL without
     * BACKEND_CAN_SCORE. NAN where the prompt is too long. */
    rt_status (*score)(void *self, const backend_request *requests, const char *const *texts,
                       size_t n, double *out, rt_error *err);
    void (*close)(void *self);
    /* NULL: needs none. Called before the first complete(). */
    void (*use)(void *self, const backend_means *means);
} backend_ops;

struct backend {
    const backend_ops *ops;
    void *self;
};

/* The backend that config.teacher names. Keeps config until close. Returns new. */
RT_MUST_USE rt_status backend_open(const config *c, backend **out, rt_error *err);
/* One of the caller's own: takes self when it succeeds. */
RT_MUST_USE rt_status backend_new(const backend_ops *ops, void *self, backend **out, rt_error *err);
void backend_close(backend *b);

/* Give it its means, which must live until it is closed. Backends that cost nothing ignore them. */
void backend_use(backend *b, const backend_means *means);

const char *backend_name(const backend *b);
bool backend_can(const backend *b, unsigned flags);
/* answers[0..n) is filled on success and untouched on failure. */
RT_MUST_USE rt_status backend_complete(backend *b, const backend_request *requests, size_t n,
                                       const backend_sampling *sampling, backend_answer *answers,
                                       rt_error *err);
/* RT_UNSUPPORTED without BACKEND_CAN_SCORE. */
RT_MUST_USE rt_status backend_score(backend *b, const backend_request *requests,
                                    const char *const *texts, size_t n, double *out, rt_error *err);

/* The kinds. */
RT_MUST_USE rt_status backend_open_recorded(const config *c, backend **out, rt_error *err);
RT_MUST_USE rt_status backend_open_native(const config *c, backend **out, rt_error *err);
/* Longest prompt of a native teacher whose model takes seq_len_max tokens: leaves room for the
 * longest text behind it, unless the config names a budget. */
size_t native_prompt_tokens_max(const config *c, size_t seq_len_max);
RT_MUST_USE rt_status backend_open_openai(const config *c, backend **out, rt_error *err);

#endif
