/* The log-probabilities that came with a choice, as a record keeps them.
 *
 *     chats               {"content": [{"token", "bytes", "logprob", "top_logprobs": [the same]}]}
 *     plain completions   {"tokens": [], "token_logprobs": [], "top_logprobs": [{token: logprob}]}
 *
 * Pure, and safe for any bytes.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_TOP_TOKENS_H
#define RT_WORKER_TEACHER_OPENAI_TOP_TOKENS_H

#include <jansson.h>

#include "common/base/bytes.h"

/* Adds a text of common/dataset/topk.h to *out, which is empty. It stays empty when no other
 * tokens were told, or when what was told are no probabilities. */
RT_MUST_USE rt_status top_tokens_read(const json_t *logprobs, rt_buf *out, rt_error *err);

#endif
