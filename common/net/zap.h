/* The doorkeeper of a CURVE server: only connections with the cluster's public key come in.
 *
 * CURVE alone would let in anybody who knows the server's public key. ZeroMQ asks this handler
 * (ZAP, RFC 27) about each connection, over inproc within the server's context. */
#ifndef RT_NET_ZAP_H
#define RT_NET_ZAP_H

#include "common/net/endpoint.h"

typedef struct net_zap net_zap;

/* Start the handler's thread; before the server binds. */
RT_MUST_USE rt_status net_zap_open(void *context, const net_keys *keys, net_zap **out,
                                   rt_error *err);
/* Ends the thread; the context must have been shut down (zmq_ctx_shutdown) before. */
void net_zap_close(net_zap *z);
/* Connections denied so far. Safe from any thread. */
uint64_t net_zap_denied(const net_zap *z);

#endif
