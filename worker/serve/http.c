#include "worker/serve/http.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/log.h"
#include "common/http_server/event_stream.h"
#include "common/http_server/http_daemon.h"
#include "common/http_server/sse.h"
#include "worker/serve/listen_address.h"
#include "worker/serve/server.h"

#define BACKLOG       1024
#define RETRY_AFTER_S "1"
#define GONE_CODE     499 /* what others log for a client that went away; never sent */
/* Of a body that is refused, what is read and dropped so that the client gets to see the answer. */
#define DROP_BYTES_MAX ((uint64_t)64 << 20)

struct http_side {
    http_context with;
    struct MHD_Daemon *daemon;
    char address[sizeof "http://" + HTTP_ADDRESS_SIZE];
    atomic_bool draining;
};

typedef enum route_id {
    ROUTE_CHAT,
    ROUTE_COMPLETIONS,
    ROUTE_MODELS,
    ROUTE_MODEL,
    ROUTE_HEALTH,
    ROUTE_METRICS,
    ROUTE_NONE,
} route_id;

static const struct {
    const char *path;
    bool posts;
} routes[] = {
    [ROUTE_CHAT] = {"/v1/chat/completions", true},
    [ROUTE_COMPLETIONS] = {"/v1/completions", true},
    [ROUTE_MODELS] = {"/v1/models", false},
    [ROUTE_MODEL] = {"/v1/models/", false},
    [ROUTE_HEALTH] = {"/health", false},
    [ROUTE_METRICS] = {"/metrics", false},
    [ROUTE_NONE] = {"other", false},
};

/* One request, from its headers to the end of its answer. Of the HTTP thread alone, but for is_gone()
 * and the waiter's functions, which read what does not change. */
typedef struct exchange {
    http_side *h;
    struct MHD_Connection *connection;
    int fd;
    route_id route;
    bool refused; /* before the body: it is read and dropped */
    api_error why;
    uint64_t n_dropped;
    rt_buf body;
    job *job;
    bool answered; /* a response was queued */
    unsigned code;
    rt_buf tail; /* of a stream that failed: what is left to say */
    size_t n_tail;
} exchange;

/* ---- answers ---- */

static enum MHD_Result queue(exchange *x, unsigned code, struct MHD_Response *response)
{
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (code == 429 || code == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, RETRY_AFTER_S);
    if (code == 405)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
                                routes[x->route].posts ? "POST" : "GET");
    if (code == 401) MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    enum MHD_Result done = MHD_queue_response(x->connection, code, response);
    MHD_destroy_response(response);
    x->answered = true;
    x->code = code;
    return done;
}

static enum MHD_Result answer(exchange *x, unsigned code, const char *type, const rt_buf *body)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        body->n, body->data != NULL ? body->data : "", MHD_RESPMEM_MUST_COPY);
    if (response != NULL) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return queue(x, code, response);
}

static enum MHD_Result answer_json(exchange *x, unsigned code, const rt_buf *body)
{
    return answer(x, code, "application/json", body);
}

static enum MHD_Result refuse(exchange *x, const api_error *why)
{
    rt_buf body = {0};
    enum MHD_Result done = MHD_NO;
    if (api_error_to_json(why, &body, NULL) == RT_OK)
        done = answer_json(x, api_error_status(why), &body);
    rt_log_debug("serve.refuse", "route=%s code=%s", routes[x->route].path, api_error_code(why));
    rt_buf_free(&body);
    return done;
}

/* ---- waiting for the engine ---- */

static void go_to_sleep(void *context)
{
    MHD_suspend_connection(((exchange *)context)->connection);
}

static void wake_up(void *context)
{
    MHD_resume_connection(((exchange *)context)->connection);
}

/* Its fd stays as it is while the connection sleeps. */
static bool is_gone(void *context)
{
    struct pollfd p = {.fd = ((const exchange *)context)->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* The end of a stream that cannot be finished: an event that says why. */
static ssize_t read_tail(exchange *x, char *out, size_t n_max)
{
    if (x->tail.n == 0) {
        api_error why;
        rt_buf body = {0};
        job_problem(x->job, &why);
        rt_status st = api_error_to_json(&why, &body, NULL);
        if (st == RT_OK) st = sse_add(&x->tail, body.data, NULL);
        rt_buf_free(&body);
        if (st != RT_OK) return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t n = RT_MIN(n_max, x->tail.n - x->n_tail);
    if (n == 0) return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(out, x->tail.data + x->n_tail, n);
    x->n_tail += n;
    return (ssize_t)n;
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t n_max)
{
    exchange *x = context;
    size_t n = 0;
    (void)position;
    switch (job_read(x->job, out, n_max, &n)) {
    case JOB_OUTPUT: return (ssize_t)n;
    case JOB_RUNNING: return 0; /* asleep */
    case JOB_DONE: return MHD_CONTENT_READER_END_OF_STREAM;
    case JOB_FAILED: break;
    }
    return read_tail(x, out, n_max);
}

static enum MHD_Result start_stream(exchange *x)
{
    return queue(x, 200, event_stream_response(read_stream, x, NULL));
}

static enum MHD_Result continue_job(exchange *x)
{
    rt_buf body = {0};
    api_error why;
    enum MHD_Result done = MHD_NO;
    switch (job_read_all(x->job, &body)) {
    case JOB_RUNNING: return MHD_YES; /* asleep */
    case JOB_OUTPUT:
    case JOB_DONE: done = answer_json(x, 200, &body); break;
    case JOB_FAILED: job_problem(x->job, &why); done = refuse(x, &why);
    }
    rt_buf_free(&body);
    return done;
}

/* ---- requests ---- */

static bool begin_job(exchange *x, bool *stream, api_error *why)
{
    const http_context *with = &x->h->with;
    serve_request ask = {0};
    completion *c = NULL;
    uint64_t numbers[2] = {0};
    char id[40];
    job_waiter waiter = {.sleep = go_to_sleep, .wake = wake_up, .context = x};
    bool ok = false;
    if (getrandom(numbers, sizeof numbers, 0) != sizeof numbers)
        return api_refuse(why, API_INTERNAL, NULL, "no random numbers");
    snprintf(id, sizeof id, "%016llx", (unsigned long long)numbers[0]);
    if (!serve_request_parse(x->route == ROUTE_CHAT ? SERVE_CHAT : SERVE_COMPLETIONS,
                             x->body.data != NULL ? x->body.data : "", x->body.n, &with->limits,
                             &ask, why))
        goto out;
    rt_buf_free(&x->body);
    if (!completion_new(with->model, &ask, id, (int64_t)time(NULL), numbers[1], &c, why)) goto out;
    *stream = completion_is_stream(c);
    ok = engine_submit(with->engine, &c, &waiter, &x->job, why);
out:
    completion_free(c);
    serve_request_free(&ask);
    return ok;
}

static enum MHD_Result post(exchange *x)
{
    bool stream = false;
    api_error why;
    if (!begin_job(x, &stream, &why)) return refuse(x, &why);
    return stream ? start_stream(x) : continue_job(x);
}

static enum MHD_Result answer_health(exchange *x)
{
    bool draining = atomic_load(&x->h->draining);
    const char *text = draining ? "{\"status\":\"draining\"}" : "{\"status\":\"ok\"}";
    rt_buf body = {0};
    enum MHD_Result done = MHD_NO;
    if (rt_buf_add_text(&body, text, NULL) == RT_OK)
        done = answer_json(x, draining ? 503 : 200, &body);
    rt_buf_free(&body);
    return done;
}

static enum MHD_Result answer_metrics(exchange *x)
{
    rt_buf body = {0};
    enum MHD_Result done = MHD_NO;
    if (stats_to_prometheus(x->h->with.stats->all, &body, NULL) == RT_OK)
        done = answer(x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
    rt_buf_free(&body);
    return done;
}

static enum MHD_Result answer_models(exchange *x)
{
    const http_context *with = &x->h->with;
    rt_buf body = {0};
    enum MHD_Result done = MHD_NO;
    if (response_models(with->model->id, with->started_s,
                        model_get_config(with->model->model)->seq_len_max, x->route == ROUTE_MODELS,
                        &body, NULL) == RT_OK)
        done = answer_json(x, 200, &body);
    rt_buf_free(&body);
    return done;
}

static enum MHD_Result dispatch(exchange *x)
{
    if (x->refused) return refuse(x, &x->why);
    switch (x->route) {
    case ROUTE_CHAT:
    case ROUTE_COMPLETIONS: return post(x);
    case ROUTE_MODELS:
    case ROUTE_MODEL: return answer_models(x);
    case ROUTE_HEALTH: return answer_health(x);
    case ROUTE_METRICS: return answer_metrics(x);
    case ROUTE_NONE: break;
    }
    return MHD_NO;
}

static route_id find_route(const http_side *h, const char *url)
{
    size_t n = strlen(routes[ROUTE_MODEL].path);
    if (strncmp(url, routes[ROUTE_MODEL].path, n) == 0)
        return strcmp(url + n, h->with.model->id) == 0 ? ROUTE_MODEL : ROUTE_NONE;
    for (route_id i = 0; i < ROUTE_NONE; i++)
        if (strcmp(url, routes[i].path) == 0) return i;
    return ROUTE_NONE;
}

static const char *header(const exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* What the headers alone decide. */
static bool check_headers(exchange *x, const char *url, const char *method)
{
    const http_context *with = &x->h->with;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *length = header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t n_body = 0;
    if (with->gate != NULL && strncmp(url, "/v1", 3) == 0 &&
        !api_gate_allows(with->gate, header(x, MHD_HTTP_HEADER_AUTHORIZATION)))
        return api_refuse(&x->why, API_NO_KEY, NULL,
                          "expected `Authorization: Bearer KEY` with a key of this server");
    if (x->route == ROUTE_NONE)
        return api_refuse(&x->why, API_NO_ROUTE, NULL, "nothing at '%.200s'", url);
    if (routes[x->route].posts ? strcmp(method, "POST") != 0 : !reads)
        return api_refuse(&x->why, API_BAD_METHOD, NULL, "%s: found %.20s, expected %s",
                          routes[x->route].path, method, routes[x->route].posts ? "POST" : "GET");
    if (length != NULL && rt_parse_u64(length, &n_body) && n_body > with->n_body_bytes_max)
        return api_refuse(&x->why, API_BODY_TOO_LARGE, NULL,
                          "the body has %llu bytes, at most %zu are taken",
                          (unsigned long long)n_body, with->n_body_bytes_max);
    return true;
}

/* A client that asks first, or means to send very much, is told at once. */
static bool must_tell_now(const exchange *x)
{
    const char *length = header(x, MHD_HTTP_HEADER_CONTENT_LENGTH);
    uint64_t n_body = 0;
    if (!x->refused) return false;
    if (header(x, MHD_HTTP_HEADER_EXPECT) != NULL) return true;
    return length != NULL && (!rt_parse_u64(length, &n_body) || n_body > DROP_BYTES_MAX);
}

static enum MHD_Result begin(http_side *h, struct MHD_Connection *connection, const char *url,
                             const char *method, void **state)
{
    exchange *x = rt_calloc(1, sizeof *x);
    if (x == NULL) return MHD_NO;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    x->h = h;
    x->connection = connection;
    x->fd = info != NULL ? info->connect_fd : -1;
    x->route = find_route(h, url);
    x->code = GONE_CODE;
    x->refused = !check_headers(x, url, method);
    *state = x;
    return must_tell_now(x) ? refuse(x, &x->why) : MHD_YES;
}

static enum MHD_Result take_body(exchange *x, const char *bytes, size_t n)
{
    size_t n_max = x->h->with.n_body_bytes_max;
    if (!x->refused && n > n_max - x->body.n) {
        x->refused = true;
        api_refuse(&x->why, API_BODY_TOO_LARGE, NULL, "at most %zu bytes of body are taken", n_max);
    }
    if (x->refused) {
        rt_buf_free(&x->body);
        x->n_dropped += n;
        return x->n_dropped <= DROP_BYTES_MAX ? MHD_YES : MHD_NO;
    }
    if (!routes[x->route].posts) return MHD_YES;
    return rt_buf_add(&x->body, bytes, n, NULL) == RT_OK ? MHD_YES : MHD_NO;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *n_upload, void **state)
{
    exchange *x = *state;
    (void)version;
    if (x == NULL) return begin(context, connection, url, method, state);
    if (x->answered) return MHD_YES;
    if (*n_upload > 0) {
        enum MHD_Result done = take_body(x, upload, *n_upload);
        *n_upload = 0;
        return done;
    }
    return x->job != NULL ? continue_job(x) : dispatch(x);
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode reason)
{
    http_side *h = context;
    exchange *x = *state;
    (void)connection, (void)reason;
    if (x == NULL) return;
    serve_stats_answered(h->with.stats, routes[x->route].path, x->code);
    if (x->job != NULL) job_release(x->job);
    rt_buf_free(&x->body);
    rt_buf_free(&x->tail);
    free(x);
    *state = NULL;
}

/* ---- life ---- */

static rt_status start(http_side *h, const listen_address *a, rt_error *err)
{
    char address[HTTP_ADDRESS_SIZE];
    http_daemon_settings how = {.socket = (const struct sockaddr *)&a->socket,
                                .flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
                                .handle = handle,
                                .completed = completed,
                                .context = h,
                                .connections_max = SERVER_CONNECTIONS_MAX,
                                .timeout_s = (unsigned)((h->with.timeout_ms + 999) / 1000),
                                .backlog = BACKLOG};
    rt_status st = http_daemon_start(&how, &h->daemon, address, err);
    if (st == RT_OK) snprintf(h->address, sizeof h->address, "http://%s", address);
    return st;
}

rt_status http_open(const http_context *context, const char *address, uint64_t port,
                    http_side **out, rt_error *err)
{
    listen_address a;
    rt_status st = listen_address_parse(address, port, &a, err);
    if (st != RT_OK) return st;
    if (!a.is_loopback && context->gate == NULL)
        return rt_fail(err, RT_INVALID,
                       "--bind %s: others than this machine could ask; needs --api-key-file",
                       address);
    http_side *h = rt_calloc(1, sizeof *h);
    if (h == NULL) return rt_fail(err, RT_NOMEM, "HTTP server");
    h->with = *context;
    if ((st = start(h, &a, err)) != RT_OK) {
        http_close(h);
        return rt_wrap(err, st, "%s port %llu", address, (unsigned long long)port);
    }
    *out = h;
    return RT_OK;
}

void http_close(http_side *h)
{
    if (h == NULL) return;
    if (h->daemon != NULL) MHD_stop_daemon(h->daemon);
    free(h);
}

const char *http_address(const http_side *h)
{
    return h->address;
}

void http_drain(http_side *h)
{
    atomic_store(&h->draining, true);
}

void http_sweep(http_side *h)
{
    engine_sweep(h->with.engine, is_gone);
}
