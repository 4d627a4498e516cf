/* A refusal as clients of the OpenAI interface expect it: an HTTP status and
 *
 *     {"error":{"message":"...","type":"invalid_request_error","param":"n","code":null}}
 */
#ifndef RT_WORKER_SERVE_API_ERROR_H
#define RT_WORKER_SERVE_API_ERROR_H

#include "common/base/bytes.h"

/* What went wrong, its HTTP status, type and code ("" for none). */
#define API_PROBLEM_LIST(X)                                                  \
    X(API_BAD_REQUEST, 400, "invalid_request_error", "")                     \
    X(API_BAD_JSON, 400, "invalid_request_error", "invalid_json")            \
    X(API_UNSUPPORTED, 400, "invalid_request_error", "unsupported_value")    \
    X(API_TOO_LONG, 400, "invalid_request_error", "context_length_exceeded") \
    X(API_NO_KEY, 401, "invalid_request_error", "invalid_api_key")           \
    X(API_NO_ROUTE, 404, "invalid_request_error", "not_found")               \
    X(API_NO_MODEL, 404, "invalid_request_error", "model_not_found")         \
    X(API_BAD_METHOD, 405, "invalid_request_error", "method_not_allowed")    \
    X(API_BODY_TOO_LARGE, 413, "invalid_request_error", "request_too_large") \
    X(API_LINE_FULL, 429, "rate_limit_error", "rate_limit_exceeded")         \
    X(API_INTERNAL, 500, "server_error", "internal_error")                   \
    X(API_DRAINING, 503, "server_error", "draining")                         \
    X(API_TIMEOUT, 503, "server_error", "timeout")

typedef enum api_problem {
#define X(problem, status, type, code) problem,
    API_PROBLEM_LIST(X)
#undef X
} api_problem;

typedef struct api_error {
    api_problem problem;
    char param[64]; /* field of the request; "" for none */
    char message[512];
} api_error;

/* Fill *out (when not NULL). Always false, so that a refusal is one line. */
bool api_refuse(api_error *out, api_problem problem, const char *param, const char *fmt, ...)
    RT_PRINTF(4, 5);
unsigned api_error_status(const api_error *e);
/* Stable name for counters: the code, or "bad_request". */
const char *api_error_code(const api_error *e);
/* Append the JSON body. */
RT_MUST_USE rt_status api_error_to_json(const api_error *e, rt_buf *out, rt_error *err);

#endif
