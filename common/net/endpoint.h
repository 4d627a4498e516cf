/* ZeroMQ endpoints: one ROUTER that serves, many DEALERs that ask.
 *
 * Every request has an answer, a deadline and a retry with the same message id (a send that libzmq
 * accepted may still be lost). Payload frames travel after the envelope, without a copy on sending.
 * Limits: frame bytes, frames per message, queue lengths; beyond them a message is dropped and
 * counted. Loopback and ipc are open; anything else needs CURVE keys (keyring.h). Keys that are given
 * are used on every tcp endpoint, loopback too, so that both ends agree; ipc never uses them. One
 * endpoint belongs to one thread; inproc is not offered (each endpoint has a ZeroMQ context of its
 * own).
 *
 * Client:
 *     net_client *c = NULL;
 *     net_client_open(&identity, "tcp://127.0.0.1:7100", NULL, &c, err);
 *     st = net_client_request(c, &ask, NULL, 0, 5000, &answer, err);
 *
 * Server (single-threaded):
 *     net_server_open(&identity, "tcp://127.0.0.1:*", NULL, &s, err);
 *     while (net_server_receive(s, 100, &in, err) == RT_OK) {
 *         net_server_send(s, &in.peer, &answer, NULL, 0, err);
 *         net_incoming_free(&in);
 *     }
 */
#ifndef RT_NET_ENDPOINT_H
#define RT_NET_ENDPOINT_H

#include "common/wire/messages.h"

/* Who we are; enters every envelope. Borrowed by _open (copied). */
typedef struct net_identity {
    const char *run_id;
    const char *sender;
    uint64_t incarnation;
} net_identity;

/* A CURVE key pair, Z85 text. */
typedef struct net_keys {
    char public_key[41];
    char secret_key[41];
} net_keys;

/* Whose key is at the other end. */
typedef enum net_role {
    NET_ROLE_NONE,    /* no key: a socket on loopback or in the file system */
    NET_ROLE_CLUSTER, /* the one key that a whole cluster shares: may be anything */
    NET_ROLE_COORDINATOR,
    NET_ROLE_SERVER,
    NET_ROLE_TEACHER,
    NET_ROLE_STUDENT,
    NET_ROLE_COUNT,
} net_role;
#define NET_BIT(role) (1u << (role))
const char *net_role_name(net_role role); /* "teacher" ... */
/* NET_ROLE_NONE for a word that names no role. */
net_role net_role_parse(const char *word, size_t n);

/* What an endpoint needs to be closed to strangers. Borrowed by _open (copied); the ring is kept
 * until the endpoint is closed. The shared key of a cluster is a key of any role. */
typedef struct net_keyring net_keyring;
typedef struct net_lock {
    net_keyring *ring; /* NULL: open */
    unsigned peers;    /* NET_BIT() of the roles that may be at the other end */
} net_lock;

#define NET_FRAME_BYTES_MAX (4u << 20)  /* bytes of one payload frame */
#define NET_FRAMES_MAX      (64u << 10) /* payload frames of one message */

/* Key file: two lines, "public <z85>" and "secret <z85>". Refuses a file that everybody may read or
 * its group may write (a group may read: that is how Kubernetes mounts secrets). */
RT_MUST_USE rt_status net_keys_read(const char *path, net_keys *out, rt_error *err);
RT_MUST_USE rt_status net_keys_generate(net_keys *out, rt_error *err);
/* Write a key file, mode 0600. RT_EXISTS when there is one: a cluster's key is never overwritten. */
RT_MUST_USE rt_status net_keys_write(const char *path, const net_keys *keys, rt_error *err);
/* The same in the place of an older one, all at once. */
RT_MUST_USE rt_status net_keys_replace(const char *path, const net_keys *keys, rt_error *err);
/* True for ipc://, inproc://, and tcp on 127.0.0.0/8, ::1 or localhost. */
bool net_is_local(const char *endpoint);

/* One payload frame. For sending: borrowed until the call returns when `release` is NULL, else
 * taken and released by release(data, hint) from any thread, once, also when the call fails. */
typedef struct net_frame {
    const void *data;
    size_t n_bytes;
    void (*release)(void *data, void *hint);
    void *hint;
} net_frame;

/* Where an answer goes: ROUTER identity. */
typedef struct net_peer {
    unsigned char bytes[255];
    size_t n;
} net_peer;

/* A received message: decoded envelope and its payload frames. */
typedef struct net_incoming {
    net_peer peer;     /* servers only */
    net_role key_role; /* servers only: what the sender's key allows it to be */
    wire_message message;
    void *frames; /* opaque; read through net_frame_data() */
    size_t n_frames;
} net_incoming;
const void *net_frame_data(const net_incoming *in, size_t i, size_t *n_bytes);
void net_incoming_free(net_incoming *in);

typedef struct net_counts {
    uint64_t n_received, n_sent, n_dropped, n_retries, bytes_in, bytes_out;
    uint64_t n_denied;  /* servers: connections with a CURVE key that may not come in */
    uint64_t n_foreign; /* connections that did not get through the handshake, for any reason */
} net_counts;

typedef struct net_server net_server;
/* Binds. A non-local endpoint without a lock is RT_INVALID. RT_EXISTS when the address is in use. */
RT_MUST_USE rt_status net_server_open(const net_identity *identity, const char *bind,
                                      const net_lock *lock, net_server **out, rt_error *err);
void net_server_close(net_server *s);
/* The endpoint really bound ("tcp://127.0.0.1:41233"). */
const char *net_server_endpoint(const net_server *s);
/* Next good message: RT_OK, or RT_TIMEOUT, or RT_CANCELLED when a signal arrived. Anything that
 * does not decode, or belongs to another run, is dropped and counted (with a log line at most once
 * a second). */
RT_MUST_USE rt_status net_server_receive(net_server *s, uint64_t timeout_ms, net_incoming *out,
                                         rt_error *err);
/* Never blocks; an unreachable peer's message is dropped and counted. message_id is the request's
 * for an answer, 0 for an order sent unasked. Sender fields are filled in. */
RT_MUST_USE rt_status net_server_send(net_server *s, const net_peer *to, wire_message *m,
                                      const net_frame *frames, size_t n_frames, rt_error *err);
const net_counts *net_server_counts(net_server *s);
/* File descriptor and readiness for a poll() with other sources: level-triggered through
 * net_server_ready(). */
int net_server_fd(const net_server *s);
bool net_server_ready(net_server *s);

typedef struct net_client net_client;
RT_MUST_USE rt_status net_client_open(const net_identity *identity, const char *connect,
                                      const net_lock *lock, net_client **out, rt_error *err);
void net_client_close(net_client *c);
/* Send and wait for the answer with the same message id; sends again (same id) every second until
 * the deadline, and at once after a lost connection came back; with more than 1 MiB of payload the
 * interval doubles up to 8 s; nothing is sent again while there is no connection. Late answers to
 * other requests are dropped and counted, everything else is kept for net_client_receive().
 * RT_TIMEOUT; RT_REFUSED with the peer's text (then *answer holds the refusal); RT_CANCELLED when
 * rt_stop_requested() became RT_STOP_NOW. After a silent deadline, and a second after a key was
 * denied or a connection was lost and did not come back, the socket is made anew, with the keys as they
 * are then: ZeroMQ itself never tries again after a denial, or after a frame that cannot be. */
RT_MUST_USE rt_status net_client_request(net_client *c, wire_message *ask, const net_frame *frames,
                                         size_t n_frames, uint64_t timeout_ms, net_incoming *answer,
                                         rt_error *err);
/* Send without waiting; later answers and orders come through net_client_receive(). Returns the
 * message id used (NULL: not wanted). RT_UNAVAILABLE when as many messages as may wait are waiting
 * for the peer. */
RT_MUST_USE rt_status net_client_send(net_client *c, wire_message *ask, const net_frame *frames,
                                      size_t n_frames, uint64_t *message_id, rt_error *err);
/* For a client whose every net_client_send() is answered: when nothing at all came for so long after
 * one, the socket is made anew. A bit that was turned in the length of a frame makes a connection deaf
 * that is alive to all appearance. What was sent and not answered has to be sent again by the caller,
 * as ever. 0, the default: never. */
void net_client_set_patience(net_client *c, uint64_t patience_ms);
/* Next message of any kind, RT_TIMEOUT when none came, RT_CANCELLED when a signal asked to stop. */
RT_MUST_USE rt_status net_client_receive(net_client *c, uint64_t timeout_ms, net_incoming *out,
                                         rt_error *err);
/* Ask each time: a socket made anew has another file descriptor. */
int net_client_fd(const net_client *c);
bool net_client_ready(net_client *c);
const net_counts *net_client_counts(const net_client *c);

/* Wait until one of several endpoints has something to read. `ready` is set for each. For the first
 * spin_us it looks again and again, giving the processor to whoever else wants it in between, because
 * to block and be woken takes some tens of microseconds; 0: it blocks at once. RT_TIMEOUT when none has,
 * RT_CANCELLED when a signal asked to stop. */
typedef struct net_poll_item {
    net_server *server; /* one of these two */
    net_client *client;
    bool ready;
} net_poll_item;
RT_MUST_USE rt_status net_poll(net_poll_item *items, size_t n, uint64_t spin_us,
                               uint64_t timeout_ms, rt_error *err);

#endif
