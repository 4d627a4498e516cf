/* The doorkeeper of a CURVE server: only connections with a key of the allow-list come in.
 *
 * CURVE alone would let in anybody who knows the server's public key. ZeroMQ asks this handler
 * (ZAP, RFC 27) about each connection, over inproc within the server's context. The key that was let
 * in stays with the connection as its user id, so that each message can be asked whose it is. */
#ifndef RT_NET_ZAP_H
#define RT_NET_ZAP_H

#include "common/net/endpoint.h"

typedef struct net_zap net_zap;

/* Start the handler's thread; before the server binds. */
RT_MUST_USE rt_status net_zap_open(void *context, const net_lock *lock, net_zap **out,
                                   rt_error *err);
/* Ends the thread; the context must have been shut down (zmq_ctx_shutdown) before. */
void net_zap_close(net_zap *z);
/* Connections denied so far. Safe from any thread. */
uint64_t net_zap_denied(const net_zap *z);

/* The role of the sender's key as it is now: NET_ROLE_NONE when it was taken out of the list since
 * the connection was made, or may not talk to this endpoint. `user_id` may be NULL. */
net_role net_zap_role(const net_lock *lock, const char *user_id);

#endif
