/* Log-probabilities of tokens in the two forms of the OpenAI interface. Inside worker/serve only.
 *
 *     chat         {"content":[{"token":" 33","logprob":-0.1,"bytes":[32,51,51],"top_logprobs":[..]}]}
 *     completions  {"tokens":[..],"token_logprobs":[..],"top_logprobs":[{..}],"text_offset":[..]}
 *
 * `token` is the token's text, or its name where it has none of its own: part of a character, an end
 * mark. `bytes` joined are always the text.
 */
#ifndef RT_WORKER_SERVE_LOGPROBS_JSON_H
#define RT_WORKER_SERVE_LOGPROBS_JSON_H

#include <jansson.h>

#include "worker/serve/response.h"

/* Return new, NULL without memory. */
json_t *logprobs_chat(const token_table *table, const response_token *tokens, size_t n);
json_t *logprobs_completions(const token_table *table, const response_token *tokens, size_t n,
                             size_t text_offset);
/* Characters that a token adds: of a character in parts, its first byte counts. */
size_t token_characters(const token_table *table, const response_token *token);

#endif
