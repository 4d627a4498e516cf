/* prompt.max_prompt_tokens for a server whose tokenizer is not at hand: what may be too long is
 * found before it is sent.
 *
 *     if (prompt_limit_refuses(config, prompt, n)) reason = REASON_PROMPT_TOO_LONG;
 *
 * Counted is the first request: the prompt by token_ceiling(), what makes the model think in two
 * steps, and what a chat puts around its messages. The second of two steps holds the thought too;
 * whether that is too long is the server's to say. Pure.
 */
#ifndef RT_WORKER_TEACHER_OPENAI_PROMPT_LIMIT_H
#define RT_WORKER_TEACHER_OPENAI_PROMPT_LIMIT_H

#include "common/conf/config.h"

#define CHAT_TOKENS_OF_MESSAGE 8 /* marks and role; two messages at most are sent first */

/* The most tokens that the request about this prompt can be. */
uint64_t prompt_limit_count(const config *c, const char *prompt, size_t n);
/* False without a limit. */
bool prompt_limit_refuses(const config *c, const char *prompt, size_t n);

#endif
