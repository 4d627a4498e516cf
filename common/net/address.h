/* Endpoint texts: which are local, and what ZeroMQ is told. Inside common/net only. */
#ifndef RT_NET_ADDRESS_H
#define RT_NET_ADDRESS_H

#include "common/net/endpoint.h"

#define NET_ENDPOINT_SIZE 512

/* A copy that ZeroMQ understands: "localhost" becomes 127.0.0.1, since binding takes no names and
 * both ends must agree on the address family. *ipv6 tells whether the socket should speak IPv6.
 * RT_INVALID when the endpoint is neither tcp://HOST:PORT nor ipc://PATH. */
RT_MUST_USE rt_status net_address_parse(const char *endpoint, char out[NET_ENDPOINT_SIZE],
                                        bool *ipv6, rt_error *err);
bool net_address_is_ipc(const char *endpoint);
/* True when a process listens at this ipc endpoint; ZeroMQ would take its path away. */
bool net_ipc_in_use(const char *endpoint);

#endif
