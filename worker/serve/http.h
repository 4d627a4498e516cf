/* The HTTP side of `retort serve`: connections, routes, answers. One thread of libmicrohttpd.
 *
 * A connection that waits for the engine is suspended: it costs nothing until its job wakes it. A
 * suspended connection does not notice that its client is gone, so http_sweep() asks the sockets.
 * Inside worker/serve only.
 */
#ifndef RT_WORKER_SERVE_HTTP_H
#define RT_WORKER_SERVE_HTTP_H

#include "common/http_server/api_gate.h"
#include "worker/serve/engine.h"

typedef struct http_side http_side;

/* Everything is kept. */
typedef struct http_context {
    const served_model *model;
    engine *engine;
    serve_stats *stats;
    api_gate *gate; /* NULL: no key is needed */
    serve_limits limits;
    size_t n_body_bytes_max;
    uint64_t timeout_ms;
    int64_t started_s;
} http_context;

/* `address` is numeric. RT_INVALID for a wrong one or, without keys, one beyond loopback. Returns new;
 * http_close(), once no job is left. */
RT_MUST_USE rt_status http_open(const http_context *context, const char *address, uint64_t port,
                                http_side **out, rt_error *err);
void http_close(http_side *h);
const char *http_address(const http_side *h);
/* Say 503 on /health from now on. */
void http_drain(http_side *h);
void http_sweep(http_side *h);

#endif
