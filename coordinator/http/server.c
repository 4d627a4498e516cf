#include "coordinator/http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/http_server/api_gate.h"
#include "common/http_server/http_daemon.h"
#include "coordinator/dashboard_files.h"
#include "coordinator/http/answer.h"
#include "coordinator/http/stream.h"

#define CONNECTIONS_MAX 64
#define PER_ADDRESS_MAX 48 /* of one client: the rest is for the probes of others */
#define TIMEOUT_S       10
#define STALE_MS        30000 /* a loop that has not turned for so long is not healthy */
#define FAREWELL_MS     500   /* for streams to take their last bytes */

struct http_server {
    struct MHD_Daemon *daemon;
    char address[HTTP_ADDRESS_SIZE];
    api_gate *gate;     /* NULL: no key is needed */
    pictures *pictures; /* the caller's */
    streams *streams;
    atomic_ullong beat_ms;
};

/* ---- what is asked ---- */

static bool stands_still(http_server *h)
{
    return rt_clock_mono_ms() > atomic_load(&h->beat_ms) + STALE_MS;
}

static enum MHD_Result answer_health(http_server *h, struct MHD_Connection *connection)
{
    if (stands_still(h))
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the loop stands still\n");
    return answer_text(connection, MHD_HTTP_OK, "ok\n");
}

static enum MHD_Result answer_ready(http_server *h, struct MHD_Connection *connection)
{
    char why_not[256], line[sizeof why_not + 1];
    if (stands_still(h)) return answer_health(h, connection);
    pictures_get_ready(h->pictures, why_not, sizeof why_not);
    if (why_not[0] == '\0') return answer_text(connection, MHD_HTTP_OK, "ready\n");
    snprintf(line, sizeof line, "%s\n", why_not);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, line);
}

static enum MHD_Result answer_made(struct MHD_Connection *connection, const char *type,
                                   rt_status st, rt_buf *body)
{
    if (st == RT_OK) return answer_body(connection, type, body);
    rt_buf_free(body);
    return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                       st == RT_NOTFOUND ? "starting\n" : "no memory\n");
}

static enum MHD_Result answer_picture(http_server *h, struct MHD_Connection *connection,
                                      picture which, const char *type)
{
    rt_buf body = {0};
    rt_status st = pictures_copy(h->pictures, which, &body, NULL);
    return answer_made(connection, type, st, &body);
}

typedef rt_status (*since_maker)(pictures *p, uint64_t since, rt_buf *out, rt_error *err);

static enum MHD_Result answer_since(http_server *h, struct MHD_Connection *connection,
                                    since_maker make)
{
    uint64_t since;
    rt_buf body = {0};
    if (!query_since(MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "since"),
                     &since))
        return answer_text(connection, MHD_HTTP_BAD_REQUEST, "since: expected a decimal number\n");
    rt_status st = make(h->pictures, since, &body, NULL);
    return answer_made(connection, "application/json", st, &body);
}

static enum MHD_Result answer_stream(http_server *h, struct MHD_Connection *connection)
{
    struct MHD_Response *response = streams_response(h->streams, connection);
    if (response == NULL)
        return answer_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many streams\n");
    return answer_with(connection, MHD_HTTP_OK, response);
}

static enum MHD_Result answer_asset(struct MHD_Connection *connection, const char *name)
{
    const rt_embedded_file *file = rt_embedded_find(dashboard_files, name);
    return file == NULL ? answer_text(connection, MHD_HTTP_NOT_FOUND, "not found; see /\n")
                        : answer_file(connection, file);
}

static bool may_ask(http_server *h, struct MHD_Connection *connection)
{
    return h->gate == NULL ||
           api_gate_allows(h->gate, MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                                MHD_HTTP_HEADER_AUTHORIZATION));
}

/* What shows numbers, words or money of the run. */
static enum MHD_Result answer_guarded(http_server *h, struct MHD_Connection *connection,
                                      const char *url)
{
    if (!may_ask(h, connection))
        return answer_text(connection, MHD_HTTP_UNAUTHORIZED,
                           "expected `Authorization: Bearer KEY` with a key of "
                           "net.http_key_file\n");
    if (strcmp(url, "/api/stats") == 0)
        return answer_picture(h, connection, PICTURE_STATS, "application/json");
    if (strcmp(url, "/api/rows") == 0)
        return answer_picture(h, connection, PICTURE_ROWS, "application/json");
    if (strcmp(url, "/metrics") == 0)
        return answer_picture(h, connection, PICTURE_METRICS,
                              "text/plain; version=0.0.4; charset=utf-8");
    if (strcmp(url, "/api/history") == 0) return answer_since(h, connection, pictures_history_json);
    if (strcmp(url, "/api/events") == 0) return answer_since(h, connection, pictures_events_json);
    if (strcmp(url, "/api/stream") == 0) return answer_stream(h, connection);
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "not found; see /\n");
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
    static const char assets[] = "/assets/";
    static int seen;
    http_server *h = context;
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
    if (strcmp(url, "/readyz") == 0) return answer_ready(h, connection);
    if (strcmp(url, "/") == 0) return answer_asset(connection, "index.html");
    if (strncmp(url, assets, sizeof assets - 1) == 0)
        return answer_asset(connection, url + sizeof assets - 1);
    return answer_guarded(h, connection, url);
}

/* ---- life ---- */

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

static rt_status start(http_server *h, const struct addrinfo *wanted, const char *address,
                       const char *key_file, rt_error *err)
{
    rt_status st = RT_OK;
    http_daemon_settings how = {.socket = wanted->ai_addr,
                                .flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME,
                                .handle = handle,
                                .context = h,
                                .connections_max = CONNECTIONS_MAX,
                                .per_address_max = PER_ADDRESS_MAX,
                                .timeout_s = TIMEOUT_S};
    if (key_file[0] != '\0' && (st = api_gate_open(key_file, &h->gate, err)) != RT_OK)
        return rt_wrap(err, st, "net.http_key_file");
    if ((st = streams_new(h->pictures, h->gate, &h->streams, err)) != RT_OK) return st;
    st = http_daemon_start(&how, &h->daemon, h->address, err);
    return st == RT_OK ? RT_OK : rt_wrap(err, st, "net.http: %s", address);
}

rt_status http_server_open(const char *address, const char *key_file, pictures *p,
                           http_server **out, rt_error *err)
{
    struct addrinfo *wanted = NULL;
    rt_status st = resolve(address, &wanted, err);
    if (st != RT_OK) return st;
    http_server *h = NULL;
    if (key_file[0] == '\0' && !is_loopback(wanted->ai_addr))
        st = rt_fail(err, RT_INVALID,
                     "net.http: '%.100s' is beyond loopback, which needs keys: set "
                     "net.http_key_file to a file with one key a line",
                     address);
    else if ((h = rt_calloc(1, sizeof *h)) == NULL)
        st = rt_fail(err, RT_NOMEM, "HTTP server");
    if (st == RT_OK) {
        h->pictures = p;
        atomic_init(&h->beat_ms, rt_clock_mono_ms());
        st = start(h, wanted, address, key_file, err);
    }
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
    if (h->daemon != NULL) {
        streams_end(h->streams);
        for (int ms = 0; streams_n(h->streams) > 0 && ms < FAREWELL_MS; ms += 10) rt_sleep_ms(10);
        MHD_stop_daemon(h->daemon);
    }
    streams_free(h->streams);
    api_gate_close(h->gate);
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

size_t http_server_n_streams(const http_server *h)
{
    return streams_n(h->streams);
}

void http_server_beat(http_server *h, uint64_t now_ms)
{
    atomic_store(&h->beat_ms, now_ms);
}

void http_server_wake(http_server *h)
{
    streams_wake(h->streams);
}
