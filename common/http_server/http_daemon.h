/* A listening HTTP server on libmicrohttpd, as every role starts it: a thread of the library that takes no
 * signal, log lines that are ours, and the address as it was bound.
 *
 *     http_daemon_settings how = {.socket = wanted->ai_addr, .handle = handle, .context = h,
 *                                 .flags = MHD_USE_INTERNAL_POLLING_THREAD,
 *                                 .connections_max = 64, .timeout_s = 10};
 *     if ((st = http_daemon_start(&how, &h->daemon, h->address, err)) != RT_OK) goto out;
 *     ...
 *     MHD_stop_daemon(h->daemon);
 *
 * What is asked and answered is the caller's affair.
 */
#ifndef RT_HTTP_SERVER_HTTP_DAEMON_H
#define RT_HTTP_SERVER_HTTP_DAEMON_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "common/base/status.h"

#define HTTP_ADDRESS_SIZE 80 /* "[address]:port", the longest there is */

/* Borrows everything until the daemon is stopped, but for `socket`. */
typedef struct http_daemon_settings {
    const struct sockaddr *socket; /* IPv4 or IPv6; port 0 takes any free one */
    unsigned flags; /* MHD_USE_..., how its thread waits; IPv6 and the log are added */
    MHD_AccessHandlerCallback handle;
    MHD_RequestCompletedCallback completed; /* NULL: nobody wants to know */
    void *context;                          /* of both */
    unsigned connections_max;
    unsigned per_address_max; /* connections of one client; 0: all */
    unsigned timeout_s;       /* of a connection on which nothing happens */
    unsigned backlog;         /* 0: the library's */
} http_daemon_settings;

/* RT_EXISTS for an address in use, RT_IO for any other that cannot be bound; the text says what the
 * system said. `address` receives "127.0.0.1:41000" or "[::1]:41000". Returns new; MHD_stop_daemon().
 * Log lines of the library go to the debug log, event `http`. */
RT_MUST_USE rt_status http_daemon_start(const http_daemon_settings *how, struct MHD_Daemon **out,
                                        char address[HTTP_ADDRESS_SIZE], rt_error *err);

#endif
