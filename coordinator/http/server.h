/* A small HTTP server for pictures of the run: the loop draws them, any thread of the server hands
 * out the newest. Never looks into the coordinator.
 *
 *     http_server_open("127.0.0.1:0", "", &h, err);
 *     http_server_publish(h, HTTP_STATS, &json);      // takes the bytes
 */
#ifndef RT_COORDINATOR_HTTP_SERVER_H
#define RT_COORDINATOR_HTTP_SERVER_H

#include "common/base/bytes.h"

typedef enum http_page { HTTP_STATS, HTTP_METRICS, HTTP_PAGE_COUNT } http_page;

typedef struct http_server http_server;

/* "ADDRESS:PORT", port 0 for any free one; "[::1]:8080" for IPv6. RT_INVALID for another form,
 * RT_EXISTS when the port is taken. With key_file ("" = none) all but /healthz wants one of its keys
 * (api_gate.h); an address beyond loopback needs it: RT_INVALID. Returns new; http_server_close(). */
RT_MUST_USE rt_status http_server_open(const char *address, const char *key_file, http_server **out,
                                       rt_error *err);
void http_server_close(http_server *h);
/* "127.0.0.1:41000", as bound. */
const char *http_server_address(const http_server *h);
/* Requests without a good key so far. */
uint64_t http_server_refused(const http_server *h);
/* Takes the bytes; *text is empty afterwards. */
void http_server_publish(http_server *h, http_page page, rt_buf *text);
/* The loop is alive: /healthz answers 503 when this was not said for stale_ms. */
void http_server_beat(http_server *h, uint64_t now_ms);

#endif
