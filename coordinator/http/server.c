#include "coordinator/http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/http_server/api_gate.h"
#include "common/http_server/http_daemon.h"

#define CONNECTIONS_MAX 64
#define PER_ADDRESS_MAX 48 /* of one client: the rest is for the probes of others */
#define TIMEOUT_S       10
#define STALE_MS        30000 /* a loop that has not turned for so long is not healthy */

struct http_server {
    struct MHD_Daemon *daemon;
    char address[HTTP_ADDRESS_SIZE];
    api_gate *gate;        /* NULL: no key is needed */
    pthread_mutex_t mutex; /* guards pages and beat_ms */
    rt_buf pages[HTTP_PAGE_COUNT];
    uint64_t beat_ms;
};

static const char front_page[] = "retort coordinator\n\n/api/stats  state of the run, JSON\n"
                                 "/metrics    the same for Prometheus\n/healthz    is it alive\n";

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *type,
                              const void *bytes, size_t n)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(n, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result done = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return done;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code,
                                   const char *text)
{
    return answer(connection, code, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer_page(http_server *h, struct MHD_Connection *connection,
                                   http_page page, const char *type)
{
    pthread_mutex_lock(&h->mutex);
    const rt_buf *text = &h->pages[page];
    enum MHD_Result done = text->n == 0
                               ? answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "starting\n")
                               : answer(connection, MHD_HTTP_OK, type, text->data, text->n);
    pthread_mutex_unlock(&h->mutex);
    return done;
}

static enum MHD_Result answer_health(http_server *h, struct MHD_Connection *connection)
{
    pthread_mutex_lock(&h->mutex);
    uint64_t silent_ms = rt_clock_mono_ms() - h->beat_ms;
    pthread_mutex_unlock(&h->mutex);
    if (silent_ms > STALE_MS)
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the loop stands still\n");
    return answer_text(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result answer_no_key(struct MHD_Connection *connection)
{
    static const char text[] = "expected `Authorization: Bearer KEY` with a key of "
                               "net.http_key_file\n";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof text - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    enum MHD_Result done = MHD_queue_response(connection, MHD_HTTP_UNAUTHORIZED, response);
    MHD_destroy_response(response);
    return done;
}

static bool may_ask(http_server *h, struct MHD_Connection *connection)
{
    return h->gate == NULL ||
           api_gate_allows(h->gate, MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                                MHD_HTTP_HEADER_AUTHORIZATION));
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                       MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *n_upload, void **state)
{
    http_server *h = context;
    static int seen;
    (void)version, (void)upload;
    if (*state == NULL && has_body(connection)) /* nothing here takes one: not a byte is read */
        return answer_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, "no body is expected\n");
    if (*state == NULL) { /* headers only: wait for the end of the request */
        *state = &seen;
        return MHD_YES;
    }
    if (*n_upload > 0) { /* a body is read and dropped */
        *n_upload = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    if (strcmp(url, "/healthz") == 0) return answer_health(h, connection);
    if (!may_ask(h, connection)) return answer_no_key(connection);
    if (strcmp(url, "/api/stats") == 0)
        return answer_page(h, connection, HTTP_STATS, "application/json");
    if (strcmp(url, "/metrics") == 0)
        return answer_page(h, connection, HTTP_METRICS, "text/plain; version=0.0.4; charset=utf-8");
    if (strcmp(url, "/") == 0) return answer_text(connection, MHD_HTTP_OK, front_page);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found; see /\n");
}

/* "host:port" or "[host]:port". */
static rt_status split_address(const char *address, char *host, size_t n_host, char *port,
                               size_t n_port, rt_error *err)
{
    const char *colon = strrchr(address, ':');
    uint64_t number;
    size_t n = colon == NULL ? 0 : (size_t)(colon - address);
    if (n > 1 && address[0] == '[' && address[n - 1] == ']') {
        address++;
        n -= 2;
    }
    if (colon == NULL || n == 0 || n >= n_host || !rt_parse_u64(colon + 1, &number) ||
        number > 65535)
        return rt_fail(err, RT_INVALID, "net.http: found '%.100s', expected ADDRESS:PORT or off",
                       address);
    memcpy(host, address, n);
    host[n] = '\0';
    snprintf(port, n_port, "%s", colon + 1);
    return RT_OK;
}

static rt_status resolve(const char *address, struct addrinfo **out, rt_error *err)
{
    char host[96], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    rt_status st = split_address(address, host, sizeof host, port, sizeof port, err);
    if (st != RT_OK) return st;
    int code = getaddrinfo(host, port, &hints, out);
    return code == 0 ? RT_OK
                     : rt_fail(err, RT_INVALID, "net.http: %s: %s", address, gai_strerror(code));
}

static bool is_loopback(const struct sockaddr *a)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;
    if (a->sa_family == AF_INET) return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

rt_status http_server_open(const char *address, const char *key_file, http_server **out,
                           rt_error *err)
{
    struct addrinfo *wanted = NULL;
    rt_status st = resolve(address, &wanted, err);
    if (st != RT_OK) return st;
    if (key_file[0] == '\0' && !is_loopback(wanted->ai_addr)) {
        freeaddrinfo(wanted);
        return rt_fail(err, RT_INVALID,
                       "net.http: '%.100s' is beyond loopback, which needs keys: set "
                       "net.http_key_file to a file with one key a line",
                       address);
    }
    http_server *h = rt_calloc(1, sizeof *h);
    if (h == NULL) {
        freeaddrinfo(wanted);
        return rt_fail(err, RT_NOMEM, "HTTP server");
    }
    pthread_mutex_init(&h->mutex, NULL);
    h->beat_ms = rt_clock_mono_ms();
    if (key_file[0] != '\0' && (st = api_gate_open(key_file, &h->gate, err)) != RT_OK) {
        st = rt_wrap(err, st, "net.http_key_file");
        freeaddrinfo(wanted);
        http_server_close(h);
        return st;
    }
    http_daemon_settings how = {.socket = wanted->ai_addr,
                                .flags = MHD_USE_INTERNAL_POLLING_THREAD,
                                .handle = handle,
                                .context = h,
                                .connections_max = CONNECTIONS_MAX,
                                .per_address_max = PER_ADDRESS_MAX,
                                .timeout_s = TIMEOUT_S};
    st = http_daemon_start(&how, &h->daemon, h->address, err);
    if (st != RT_OK) st = rt_wrap(err, st, "net.http: %s", address);
    freeaddrinfo(wanted);
    if (st != RT_OK) {
        http_server_close(h);
        return st;
    }
    *out = h;
    return RT_OK;
}

void http_server_close(http_server *h)
{
    if (h == NULL) return;
    if (h->daemon != NULL) MHD_stop_daemon(h->daemon);
    api_gate_close(h->gate);
    for (int i = 0; i < HTTP_PAGE_COUNT; i++) rt_buf_free(&h->pages[i]);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

const char *http_server_address(const http_server *h)
{
    return h->address;
}

uint64_t http_server_refused(const http_server *h)
{
    return h->gate == NULL ? 0 : api_gate_refused(h->gate);
}

void http_server_publish(http_server *h, http_page page, rt_buf *text)
{
    pthread_mutex_lock(&h->mutex);
    rt_buf old = h->pages[page];
    h->pages[page] = *text;
    pthread_mutex_unlock(&h->mutex);
    *text = (rt_buf){0};
    rt_buf_free(&old);
}

void http_server_beat(http_server *h, uint64_t now_ms)
{
    pthread_mutex_lock(&h->mutex);
    h->beat_ms = now_ms;
    pthread_mutex_unlock(&h->mutex);
}
