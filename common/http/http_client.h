/* A client of one HTTP server: many requests in flight on one thread.
 *
 *     http_settings settings = {.transfers_max = 32, .headers = headers, .n_headers = 2, ...};
 *     if ((st = http_client_new(&settings, &client, err)) != RT_OK) goto out;
 *     http_request request = {.url = url, .body = json, .n_body = n, .timeout_ms = 60000, .tag = 7};
 *     if ((st = http_client_submit(client, &request, &ticket, err)) != RT_OK) goto out;
 *     while (http_client_n_flying(client) > 0) {
 *         if ((st = http_client_turn(client, 50, err)) != RT_OK) goto out;
 *         while (http_client_take(client, &response)) { ...; http_response_free(&response); }
 *     }
 *     http_client_free(client);
 *
 * Connections are kept and used again (HTTP/1.1), one for each transfer. Redirects are not
 * followed, and no variable of the environment is read: a key never travels to where it was not
 * sent. A request goes out once: one whose connection breaks off is never sent again behind the
 * caller's back. What a response may hold is limited; a transport that fails is a response too. One
 * thread.
 */
#ifndef RT_HTTP_HTTP_CLIENT_H
#define RT_HTTP_HTTP_CLIENT_H

#include "common/base/bytes.h"

#define HTTP_TRANSFERS_MAX    4096
#define HTTP_HEADER_BYTES_MAX ((size_t)64 << 10) /* of one response; what is beyond is left out */

/* Where a response did not come whole; with HTTP_OK there is a status. */
#define HTTP_FAILURE_LIST(X)                                                             \
    X(HTTP_OK, "ok")                                                                     \
    X(HTTP_NO_CONNECTION, "no_connection") /* nobody there, no such name */              \
    X(HTTP_TIMED_OUT, "timed_out")         /* connected, not done in time */             \
    X(HTTP_DROPPED, "dropped")             /* closed or broken off in the middle */      \
    X(HTTP_TOO_LARGE, "too_large")         /* more body than body_bytes_max */           \
    X(HTTP_BAD_TLS, "bad_tls")             /* the server's certificate is no good */     \
    X(HTTP_BAD_PROXY, "bad_proxy")         /* the proxy says no: its login, its rules */ \
    X(HTTP_BAD_REQUEST, "bad_request")     /* not a URL that can be asked */

typedef enum http_failure {
#define X(code, name) code,
    HTTP_FAILURE_LIST(X)
#undef X
} http_failure;
const char *http_failure_name(http_failure failure);

/* All borrowed during http_client_new(). */
typedef struct http_settings {
    size_t transfers_max;
    const char *const *headers; /* "Name: value", sent with each request */
    size_t n_headers;
    uint64_t connect_timeout_ms;
    size_t body_bytes_max;
    const char *proxy;       /* URL; "" = none */
    const char *proxy_login; /* USER:PASSWORD; "" = none */
    const char *ca_file;     /* PEM; "" = the system's */
    bool no_verify;          /* believe any certificate */
} http_settings;

typedef struct http_request {
    const char *url;
    const void *body; /* NULL: GET, else POST; copied */
    size_t n_body;
    uint64_t timeout_ms; /* for all of it */
    uint64_t tag;        /* the caller's, comes back with the response */
} http_request;

/* Names a transfer until its response was taken or it was cancelled. */
typedef struct http_ticket {
    uint64_t n;
} http_ticket;

/* Owns its bytes; http_response_free(). */
typedef struct http_response {
    uint64_t tag;
    http_failure failure;
    char problem[256]; /* of a failure, for people */
    bool was_sent;     /* the request left: the server may have worked on it */
    long status;
    rt_buf headers; /* "name: value\n" each, names in small letters */
    rt_buf body;
} http_response;
void http_response_free(http_response *r);
/* Value of the first header of that name (small letters) into out[0..n_out), cut where it is
 * longer; false when there is none. */
bool http_response_header(const http_response *r, const char *name, char *out, size_t n_out);

typedef struct http_client http_client;

/* Returns new; http_client_free(), which ends what is in flight. */
RT_MUST_USE rt_status http_client_new(const http_settings *settings, http_client **out,
                                      rt_error *err);
void http_client_free(http_client *c);

/* RT_FULL when transfers_max are in flight (or finished and not taken). */
RT_MUST_USE rt_status http_client_submit(http_client *c, const http_request *request,
                                         http_ticket *ticket, rt_error *err);
/* Move bytes; wait up to wait_ms when no response has come. */
RT_MUST_USE rt_status http_client_turn(http_client *c, uint64_t wait_ms, rt_error *err);
/* The next response that has come; false when there is none. Fills *out. */
bool http_client_take(http_client *c, http_response *out);
/* Give a transfer up. False when its response was there already: it is dropped too. *was_sent
 * (may be NULL) says whether the server may have worked on it. */
bool http_client_cancel(http_client *c, http_ticket ticket, bool *was_sent);
/* Submitted and not taken. */
size_t http_client_n_flying(const http_client *c);

#endif
