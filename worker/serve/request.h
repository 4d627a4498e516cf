/* A request for text, from its JSON: what is asked for, every field checked, nothing decoded yet.
 *
 *     serve_request ask = {0};
 *     if (!serve_request_parse(SERVE_CHAT, body, n, &limits, &ask, &why)) return refuse(&why);
 *     serve_request_free(&ask);
 *
 * Bytes in, a struct out, no socket. A field that is unknown is passed over; one that would change
 * the answer and is not offered (tools, penalties, JSON schemas) is refused unless it says "off".
 */
#ifndef RT_WORKER_SERVE_REQUEST_H
#define RT_WORKER_SERVE_REQUEST_H

#include "common/base/bytes.h"
#include "worker/serve/api_error.h"

#define SERVE_STOPS_MAX      4
#define SERVE_STOP_BYTES_MAX 256
#define SERVE_PROMPTS_MAX    128
#define SERVE_CHOICES_MAX    128 /* prompts times n */
#define SERVE_MESSAGES_MAX   4096
#define SERVE_TOP_MAX        20

typedef enum serve_kind { SERVE_CHAT, SERVE_COMPLETIONS } serve_kind;

/* Which part of a student's answer becomes the content. */
typedef enum wanted_part {
    WANT_WRITTEN, /* what it writes, as it writes it */
    WANT_LABEL,
    WANT_RATIONALE,
    WANT_BOTH,
} wanted_part;

typedef struct serve_limits {
    size_t max_tokens; /* that a request may ask for, and when it does not */
} serve_limits;

/* Owns its texts; zero-initialise; serve_request_free(). */
typedef struct serve_request {
    serve_kind kind;
    char *model;     /* NULL: not named */
    char *last_user; /* chat: content of the last user message, NULL when there is none */
    char **prompts;  /* [n_prompts]; chat: one, all contents in a row */
    size_t n_prompts;
    size_t n; /* choices for each prompt */
    size_t max_tokens;
    bool has_temperature;
    float temperature;
    float top_p;
    size_t top_k; /* 0: off */
    bool has_seed;
    uint64_t seed;
    char *stops[SERVE_STOPS_MAX];
    size_t n_stops;
    bool stream, include_usage;
    bool logprobs;
    size_t n_top;
    wanted_part part;
    bool split_reasoning;
} serve_request;

/* False with *why (API_BAD_JSON, API_BAD_REQUEST, API_UNSUPPORTED, API_INTERNAL for no memory) and
 * *out empty. */
bool serve_request_parse(serve_kind kind, const char *body, size_t n, const serve_limits *limits,
                         serve_request *out, api_error *why);
void serve_request_free(serve_request *ask);

#endif
