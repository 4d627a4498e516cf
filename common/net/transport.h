/* What server and client share: a socket with its context and monitor, and messages as parts.
 * Inside common/net only.
 *
 *     ROUTER  [routing id][envelope][frame]...     DEALER  [envelope][frame]...
 */
#ifndef RT_NET_TRANSPORT_H
#define RT_NET_TRANSPORT_H

#include <zmq.h>

#include "common/net/address.h"
#include "common/net/endpoint.h"

/* Own copies of a net_identity. */
typedef struct net_self {
    char *run_id;
    char *sender;
    uint64_t incarnation;
} net_self;
RT_MUST_USE rt_status net_self_copy(const net_identity *identity, net_self *out, rt_error *err);
void net_self_free(net_self *self);

/* A ZeroMQ socket and the PAIR socket that tells what happens to its connections. */
typedef struct net_socket {
    void *zmq;
    void *monitor;
} net_socket;

/* Socket of `type` with the options that all of ours have. `own` NULL: without CURVE. A ROUTER is a
 * CURVE server, a DEALER wants to find the holder of server_key. `serial` makes the monitor's name
 * unique within the context. */
RT_MUST_USE rt_status net_socket_open(void *context, int type, bool ipv6, const net_keys *own,
                                      const char *server_key, unsigned serial, net_socket *out,
                                      rt_error *err);
/* Waits nowhere; what is still to be sent has linger_ms, spent in net_context_close(). */
void net_socket_close(net_socket *s, int linger_ms);
void net_context_close(void *context);

/* Next event of the monitor, 0 when there is none. */
int net_socket_event(const net_socket *s);

/* A message ready for sending, as often as needed: frames are shared, not copied. */
typedef struct net_outgoing {
    zmq_msg_t *parts; /* [n_parts], envelope first */
    size_t n_parts;
    size_t n_bytes;
} net_outgoing;

/* Encode *m with the sender's fields and take `frames`. Frames with a release function are released
 * sooner or later, also when this fails. */
RT_MUST_USE rt_status net_outgoing_make(const net_self *self, const wire_message *m,
                                        uint64_t message_id, const net_frame *frames,
                                        size_t n_frames, net_outgoing *out, rt_error *err);
void net_outgoing_free(net_outgoing *o);
/* Never waits. False with errno when it was not accepted. `to` is NULL for a DEALER. */
bool net_outgoing_send(const net_outgoing *o, void *zmq, const net_peer *to);

typedef enum net_taken { NET_MESSAGE, NET_NOTHING, NET_DROPPED } net_taken;
/* Take the next message, never waiting. With NET_DROPPED, why->text says what was wrong. `lock` (NULL
 * for a DEALER, and without keys): whose messages are taken. */
net_taken net_take(void *zmq, bool is_router, const net_lock *lock, const char *run_id,
                   net_incoming *out, size_t *n_bytes, rt_error *why);

/* Wait for input on one socket at most until `deadline_ms` of the monotonic clock, and at most
 * slice_ms. RT_OK: something is there; RT_TIMEOUT: look again; RT_CANCELLED: a signal asks to
 * stop. */
rt_status net_wait(void *zmq, uint64_t deadline_ms, uint64_t slice_ms);

/* The sockets, for net_poll(). */
void *net_server_zmq(net_server *s);
void *net_client_zmq(net_client *c);

/* Log lines about dropped messages, at most one a second. */
typedef struct net_drop_log {
    uint64_t next_ms;
    uint64_t n_silent;
} net_drop_log;
void net_drop_log_add(net_drop_log *log, const char *endpoint, const char *why);

/* now + timeout without wrapping. */
uint64_t net_deadline(uint64_t timeout_ms);

#endif
