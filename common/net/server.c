#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/heap.h"
#include "common/base/log.h"
#include "common/net/keyring.h"
#include "common/net/transport.h"
#include "common/net/zap.h"

#define LINGER_MS       500  /* for the last answers */
#define TRIM_AFTER_MANY 4096 /* connections that were not let in */

struct net_server {
    void *context;
    net_socket socket;
    net_zap *zap;        /* NULL without keys */
    net_lock lock;       /* its ring is NULL without keys */
    uint64_t generation; /* of the ring when the own key was looked at */
    char own_public[41];
    bool unbound; /* between two own keys */
    net_self self;
    char endpoint[NET_ENDPOINT_SIZE];
    net_counts counts;
    uint64_t n_trimmed; /* strangers when memory was given back */
    net_drop_log drop_log;
};

static rt_status bind_socket(net_server *s, const char *endpoint, rt_error *err)
{
    size_t n = sizeof s->endpoint;
    bool is_ipc = net_address_is_ipc(endpoint);
    bool in_use = is_ipc && net_ipc_in_use(endpoint);
    if (in_use || zmq_bind(s->socket.zmq, endpoint) != 0) {
        if (in_use || errno == EADDRINUSE)
            return rt_fail(err, RT_EXISTS, "bind %s: another process listens there", endpoint);
        if (errno == ENODEV || errno == EADDRNOTAVAIL)
            return rt_fail(err, RT_INVALID,
                           "bind %s: no interface of this machine has that address; use an IP "
                           "address, or * for all of them",
                           endpoint);
        return rt_fail(err, errno == EINVAL ? RT_INVALID : RT_IO, "bind %s: %s", endpoint,
                       zmq_strerror(errno));
    }
    /* Without keys the file system is the only guard of an ipc endpoint. */
    if (is_ipc && endpoint[6] != '@' && chmod(endpoint + 6, 0600) != 0)
        return rt_fail(err, RT_IO, "chmod 600 %s: %s", endpoint + 6, strerror(errno));
    if (zmq_getsockopt(s->socket.zmq, ZMQ_LAST_ENDPOINT, s->endpoint, &n) != 0)
        return rt_fail(err, RT_IO, "bind %s: %s", endpoint, zmq_strerror(errno));
    return RT_OK;
}

rt_status net_server_open(const net_identity *identity, const char *bind, const net_lock *lock,
                          net_server **out, rt_error *err)
{
    rt_status st = RT_OK;
    net_server *s = NULL;
    net_keys own = {{0}, {0}};
    char endpoint[NET_ENDPOINT_SIZE];
    bool ipv6 = false;
    bool locked = lock != NULL && lock->ring != NULL;
    if ((st = net_address_parse(bind, endpoint, &ipv6, err)) != RT_OK) goto out;
    if (!locked && !net_is_local(endpoint)) {
        st = rt_fail(err, RT_INVALID,
                     "bind %s: beyond loopback keys are needed; run retort keys and set net.keys, "
                     "or bind to 127.0.0.1",
                     bind);
        goto out;
    }
    if (net_address_is_ipc(endpoint)) locked = false;
    if ((s = rt_calloc(1, sizeof *s)) == NULL || (s->context = zmq_ctx_new()) == NULL) {
        st = rt_fail(err, RT_NOMEM, "server at %s", bind);
        goto out;
    }
    if ((st = net_self_copy(identity, &s->self, err)) != RT_OK) goto out;
    if (locked) {
        s->lock = *lock;
        s->generation = net_keyring_generation(lock->ring);
        net_keyring_own(lock->ring, &own);
        memcpy(s->own_public, own.public_key, sizeof s->own_public);
        if ((st = net_zap_open(s->context, lock, &s->zap, err)) != RT_OK) goto out;
    }
    st = net_socket_open(s->context, ZMQ_ROUTER, ipv6, locked ? &own : NULL, NULL, 0, &s->socket,
                         err);
    if (st != RT_OK) goto out;
    if ((st = bind_socket(s, endpoint, err)) != RT_OK) goto out;
    *out = s;
    s = NULL;
out:
    explicit_bzero(&own, sizeof own);
    net_server_close(s);
    return st;
}

void net_server_close(net_server *s)
{
    if (s == NULL) return;
    net_socket_close(&s->socket, LINGER_MS);
    if (s->zap != NULL) {
        zmq_ctx_shutdown(s->context);
        net_zap_close(s->zap);
    }
    net_context_close(s->context);
    net_self_free(&s->self);
    free(s);
}

const char *net_server_endpoint(const net_server *s)
{
    return s->endpoint;
}

/* A key of our own that was replaced is used from the next connection on: the listening socket is
 * closed and opened again, and those who are connected find the new key in their list. */
static void renew_own_key(net_server *s)
{
    net_keys own;
    uint64_t generation = s->lock.ring == NULL ? 0 : net_keyring_generation(s->lock.ring);
    if (generation == s->generation && !s->unbound) return;
    s->generation = generation;
    net_keyring_own(s->lock.ring, &own);
    if (strcmp(own.public_key, s->own_public) != 0) {
        memcpy(s->own_public, own.public_key, sizeof s->own_public);
        (void)zmq_setsockopt(s->socket.zmq, ZMQ_CURVE_SECRETKEY, own.secret_key, 41);
        if (!s->unbound && zmq_unbind(s->socket.zmq, s->endpoint) == 0) s->unbound = true;
    }
    explicit_bzero(&own, sizeof own);
    /* ZeroMQ's own thread closes the old one: until then the address is in use, and the next turn
     * tries again. */
    if (!s->unbound || zmq_bind(s->socket.zmq, s->endpoint) != 0) return;
    s->unbound = false;
    rt_log_info("net.rekeyed", "endpoint=%s key=%.8s...", s->endpoint, s->own_public);
}

/* Each connection of a stranger has buffers of some 16 KB and what it promises to send, on the heap of
 * ZeroMQ's thread. They are freed, and leave holes between what is in use: tens of MB after a million. */
static void forget_strangers(net_server *s)
{
    uint64_t n = s->counts.n_foreign + s->counts.n_denied;
    if (n - s->n_trimmed < TRIM_AFTER_MANY) return;
    s->n_trimmed = n;
    rt_heap_trim();
}

static void look_at_connections(net_server *s)
{
    renew_own_key(s);
    while (net_socket_event(&s->socket) != 0) s->counts.n_foreign++;
    s->counts.n_denied = net_zap_denied(s->zap);
    forget_strangers(s);
}

rt_status net_server_receive(net_server *s, uint64_t timeout_ms, net_incoming *out, rt_error *err)
{
    uint64_t deadline_ms = net_deadline(timeout_ms);
    look_at_connections(s);
    for (;;) {
        size_t n_bytes = 0;
        rt_error why = {0};
        net_taken taken = net_take(s->socket.zmq, true, s->zap != NULL ? &s->lock : NULL,
                                   s->self.run_id, out, &n_bytes, &why);
        s->counts.bytes_in += n_bytes;
        if (taken == NET_MESSAGE) {
            s->counts.n_received++;
            return RT_OK;
        }
        if (taken == NET_DROPPED) {
            s->counts.n_dropped++;
            net_drop_log_add(&s->drop_log, s->endpoint, why.text);
        }
        if (rt_clock_mono_ms() >= deadline_ms)
            return rt_fail(err, RT_TIMEOUT, "%s: nothing came", s->endpoint);
        if (taken == NET_NOTHING &&
            net_wait(s->socket.zmq, deadline_ms, UINT32_MAX) == RT_CANCELLED)
            return rt_fail(err, RT_CANCELLED, "%s: stopped by a signal", s->endpoint);
    }
}

rt_status net_server_send(net_server *s, const net_peer *to, wire_message *m,
                          const net_frame *frames, size_t n_frames, rt_error *err)
{
    net_outgoing o = {0};
    rt_status st = net_outgoing_make(&s->self, m, m->message_id, frames, n_frames, &o, err);
    if (st != RT_OK) return st;
    if (net_outgoing_send(&o, s->socket.zmq, to)) {
        s->counts.n_sent++;
        s->counts.bytes_out += o.n_bytes;
    } else {
        char why[128];
        snprintf(why, sizeof why, "%s for a peer that is %s", wire_type_name(m->type),
                 errno == EAGAIN ? "too slow" : "gone");
        s->counts.n_dropped++;
        net_drop_log_add(&s->drop_log, s->endpoint, why);
    }
    net_outgoing_free(&o);
    return RT_OK;
}

const net_counts *net_server_counts(net_server *s)
{
    look_at_connections(s);
    return &s->counts;
}

int net_server_fd(const net_server *s)
{
    int fd = -1;
    size_t n = sizeof fd;
    return zmq_getsockopt(s->socket.zmq, ZMQ_FD, &fd, &n) == 0 ? fd : -1;
}

bool net_server_ready(net_server *s)
{
    int events = 0;
    size_t n = sizeof events;
    look_at_connections(s);
    return zmq_getsockopt(s->socket.zmq, ZMQ_EVENTS, &events, &n) == 0 &&
           (events & ZMQ_POLLIN) != 0;
}

void *net_server_zmq(net_server *s)
{
    return s->socket.zmq;
}
