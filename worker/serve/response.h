/* Answers as the OpenAI interface writes them: whole, or in chunks of a stream.
 *
 *     response_whole(&head, tokens, choices, n, &usage, &out, err);     // {"id":...,"choices":[...]}
 *     response_chunk(&head, tokens, &choice, true, &out, err);          // data: {...}\n\n
 *
 * Texts are valid UTF-8. Log-probabilities are in nats, at temperature 1.
 */
#ifndef RT_WORKER_SERVE_RESPONSE_H
#define RT_WORKER_SERVE_RESPONSE_H

#include "common/nn/sample.h"
#include "common/text/token_table.h"
#include "worker/serve/request.h"

typedef struct response_head {
    serve_kind kind;
    char id[64];
    const char *model;
    int64_t created_s;
    bool include_usage; /* of a stream: each chunk says "usage": null, one more has the figures */
} response_head;

typedef struct response_usage {
    size_t n_prompt, n_completion;
} response_usage;

/* A token that was written: what log-probabilities are made of. */
typedef struct response_token {
    uint32_t id;
    bool at_start; /* see token_table_get() */
    double logprob;
    const token_choice *top; /* [n_top] */
    size_t n_top;
} response_token;

/* A choice, or the next part of one. */
typedef struct response_choice {
    size_t index;
    const char *content;       /* NULL: null; in a chunk: nothing new */
    const char *reasoning;     /* NULL: none */
    const char *problem;       /* NULL: none */
    const char *finish_reason; /* NULL while it goes on */
    bool with_logprobs;
    const response_token *tokens; /* [n_tokens] */
    size_t n_tokens;
    size_t text_offset; /* characters before the first of them; for completions */
} response_choice;

RT_MUST_USE rt_status response_whole(const response_head *head, const token_table *table,
                                     const response_choice *choices, size_t n,
                                     const response_usage *usage, rt_buf *out, rt_error *err);
/* One event. `first` chunk of a chat's choice names the role. */
RT_MUST_USE rt_status response_chunk(const response_head *head, const token_table *table,
                                     const response_choice *choice, bool first, rt_buf *out,
                                     rt_error *err);
RT_MUST_USE rt_status response_usage_chunk(const response_head *head, const response_usage *usage,
                                           rt_buf *out, rt_error *err);
/* {"object":"list","data":[...]}, or the one model alone. */
RT_MUST_USE rt_status response_models(const char *id, int64_t created_s, size_t seq_len_max,
                                      bool as_list, rt_buf *out, rt_error *err);

#endif
