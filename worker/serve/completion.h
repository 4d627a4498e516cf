/* One request on its way from prompts to the bytes of its answer. Knows neither sockets nor threads:
 * whoever decodes asks it what to decode and gives it the tokens.
 *
 *     completion *c = NULL;
 *     if (!completion_new(model, &ask, id, now_s, &c, &why)) ...          // takes *ask
 *     for each i < completion_n_decodings(c): decode completion_decoding(c, i)
 *         completion_take(c, i, &token, &ends, &out, err);                // stream: bytes to send
 *     if (completion_is_done(c)) completion_finish(c, &out, err);
 *
 * A choice is one decoding, or two where label and rationale are asked for apart (answer_plan.h).
 */
#ifndef RT_WORKER_SERVE_COMPLETION_H
#define RT_WORKER_SERVE_COMPLETION_H

#include "common/nn/decode_slots.h"
#include "worker/serve/response.h"
#include "worker/serve/served_model.h"

typedef struct completion completion;

typedef struct decoding_request {
    generate_prompt prompt; /* borrowed until completion_free() */
    generate_options options;
    size_t n_top;
} decoding_request;

/* Keeps the model; takes *ask on success. `seed` serves a request that names none. False with *why:
 * API_TOO_LONG when a prompt does not fit, API_UNSUPPORTED, API_BAD_REQUEST. completion_free(). */
bool completion_new(const served_model *m, serve_request *ask, const char *id, int64_t now_s,
                    uint64_t seed, completion **out, api_error *why);
void completion_free(completion *c);

size_t completion_n_decodings(const completion *c);
void completion_decoding(const completion *c, size_t i, decoding_request *out);
bool completion_is_stream(const completion *c);

/* The next token of decoding i. *ends says that no more are wanted: the decoding has ended, or a stop
 * string was met. Of a stream, appends what can be sent now. */
RT_MUST_USE rt_status completion_take(completion *c, size_t i, const decoded_token *token,
                                      bool *ends, rt_buf *out, rt_error *err);
bool completion_is_done(const completion *c);
/* Append the whole response, or what ends the stream. Once, when done. */
RT_MUST_USE rt_status completion_finish(completion *c, rt_buf *out, rt_error *err);

/* Tokens of all prompts, and written so far. */
response_usage completion_usage(const completion *c);

#endif
