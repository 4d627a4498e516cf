/* Where to listen: a numeric address and a port, and whether others than this machine can reach it.
 * Inside worker/serve only. */
#ifndef RT_WORKER_SERVE_LISTEN_ADDRESS_H
#define RT_WORKER_SERVE_LISTEN_ADDRESS_H

#include <sys/socket.h>

#include "common/base/status.h"

typedef struct listen_address {
    struct sockaddr_storage socket;
    bool is_loopback;
    bool is_ipv6;
} listen_address;

/* "127.0.0.1", "localhost" (the same), "::1", "[::1]", "0.0.0.0". RT_INVALID for another form. */
RT_MUST_USE rt_status listen_address_parse(const char *address, uint64_t port, listen_address *out,
                                           rt_error *err);

#endif
