/* What is asked of an OpenAI-compatible server: the body of a request, as bytes of JSON.
 *
 *     openai_question q = {.stage = OPENAI_ANSWER, .prompt = p, .n_prompt = n, .n = 1, .seed = 7};
 *     if ((st = openai_request_body(&shape, &q, &body, err)) != RT_OK) goto out;
 *
 * Pure. The order of the fields is fixed, so that equal questions are equal bytes.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_REQUEST_H
#define RT_WORKER_TEACHER_OPENAI_REQUEST_H

#include <jansson.h>

#include "common/base/bytes.h"

/* What all requests of a teacher have in common. Borrows everything. */
typedef struct openai_shape {
    bool chat; /* messages, else one text (plain completions) */
    const char *model;
    /* A prompt that begins with instruction and separator is sent as two messages, the instruction
     * with this role; "" or role "user": one message. */
    const char *instruction, *separator, *instruction_role;
    const char *max_tokens_field; /* of chats; plain completions know only max_tokens */
    uint64_t max_tokens;
    const char *const *stop;
    size_t n_stop;
    bool logprobs;
    uint64_t top_logprobs;
    const json_t *schema;                  /* of the answer; NULL: none */
    const json_t *extra;                   /* object merged last, null removes; NULL: none */
    const char *think_text, *extract_text; /* of two steps */
} openai_shape;

typedef enum openai_stage {
    OPENAI_ANSWER,  /* the only call */
    OPENAI_THINK,   /* first of two: prompt and think_text */
    OPENAI_EXTRACT, /* second of two: all that, the thought, and extract_text */
} openai_stage;

/* Borrows its texts. */
typedef struct openai_question {
    openai_stage stage;
    const char *prompt;
    size_t n_prompt;
    const char *thought; /* OPENAI_EXTRACT */
    size_t n_thought;
    uint64_t n; /* choices */
    double temperature;
    uint64_t top_k; /* 0: not sent */
    double top_p;   /* 1: not sent */
    uint64_t seed;
} openai_question;

/* Replaces *out. */
RT_MUST_USE rt_status openai_request_body(const openai_shape *shape, const openai_question *q,
                                          rt_buf *out, rt_error *err);

/* "<base><route>", such as route "/models"; a query of the base stays at the end. Replaces *out. */
RT_MUST_USE rt_status openai_route_url(const char *base_url, const char *route, rt_buf *out,
                                       rt_error *err);
/* The same for "/chat/completions" or "/completions". */
RT_MUST_USE rt_status openai_request_url(const char *base_url, bool chat, rt_buf *out,
                                         rt_error *err);

#endif
