/* The coordinator's HTTP server: docs/stats.md says what is where. Threads of it hand out what the loop
 * put among the pictures; it never looks into the coordinator.
 *
 *     http_server_open("127.0.0.1:0", "", pictures, &h, err);
 *     http_server_beat(h, now_ms);       // each turn of the loop
 *     http_server_wake(h);               // when pictures are new
 */
#ifndef RT_COORDINATOR_HTTP_SERVER_H
#define RT_COORDINATOR_HTTP_SERVER_H

#include "coordinator/http/pictures.h"

typedef struct http_server http_server;

/* "ADDRESS:PORT", port 0 for any free one; "[::1]:8080" for IPv6. RT_INVALID for another form,
 * RT_EXISTS when the port is taken. With key_file ("" = none) all but the page itself, /healthz and
 * /readyz wants one of its keys (api_gate.h); an address beyond loopback needs it: RT_INVALID. Keeps the
 * pictures. Returns new; http_server_close(). */
RT_MUST_USE rt_status http_server_open(const char *address, const char *key_file, pictures *p,
                                       http_server **out, rt_error *err);
/* Streams that are still open are ended. */
void http_server_close(http_server *h);
/* "127.0.0.1:41000", as bound. */
const char *http_server_address(const http_server *h);
/* Requests without a good key so far. */
uint64_t http_server_refused(const http_server *h);
/* Readers of /api/stream now. */
size_t http_server_n_streams(const http_server *h);
/* The loop is alive: /healthz answers 503 when this was not said for 30 s. */
void http_server_beat(http_server *h, uint64_t now_ms);
/* Streams look whether there is something new for them. */
void http_server_wake(http_server *h);

#endif
