/* A client: one DEALER, its socket made anew when it may have become deaf.
 *
 *      denied key or no new connection (1 s later), silent deadline, patience at its end, changed keys
 *        ┌──────────────────────────────────────────────┐
 *        ▼                                              │
 *   socket made ──handshake──► connected ──lost──► ZeroMQ connects again
 *
 * Messages that come while a request waits for its answer are kept in `stash`, except for late
 * answers to older requests: `asked` remembers the ids of the last few.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/net/keyring.h"
#include "common/net/transport.h"

#define LINGER_MS        200 /* for the last message sent */
#define STASH_MAX        256
#define ASKED_MAX        64
#define RETRY_MS         1000
#define RETRY_MS_MAX     8000
#define RETRY_FULL_MS    50 /* the queue to the peer was full */
#define LARGE_BYTES      (1u << 20)
#define REMAKE_DENIED_MS 1000
#define REMAKE_LOST_MS   1000
#define SLICE_MS         200 /* a stop request or a denial is seen within this */

struct net_client {
    void *context;
    net_socket socket;
    unsigned serial; /* of the socket */
    net_self self;
    char endpoint[NET_ENDPOINT_SIZE];
    bool ipv6;
    net_lock lock;       /* its ring is NULL without keys */
    uint64_t generation; /* of the ring when this socket was made */
    unsigned turn;       /* which of the other side's keys this socket expects */
    char own_public[41], server_key[41];
    uint64_t next_id;
    bool connected;
    uint64_t n_connects;  /* handshakes on this socket and those before */
    uint64_t remake_ms;   /* 0: nothing to heal */
    uint64_t lost_ms;     /* when the connection was lost that ZeroMQ makes again; 0: it is there */
    uint64_t n_heard;     /* messages on this socket */
    uint64_t patience_ms; /* 0: without end */
    uint64_t asked_ms; /* when the first message was sent that nothing was heard after; 0: none */
    uint64_t asked[ASKED_MAX];
    size_t i_asked;
    net_incoming stash[STASH_MAX]; /* ring */
    size_t i_stash, n_stash;
    net_counts counts;
    net_drop_log drop_log;
};

/* The keys of now, for the next socket. */
static rt_status choose_keys(net_client *c, net_keys *own, rt_error *err)
{
    if (c->lock.ring == NULL) return RT_OK;
    c->generation = net_keyring_generation(c->lock.ring);
    net_keyring_own(c->lock.ring, own);
    memcpy(c->own_public, own->public_key, sizeof c->own_public);
    if (net_keyring_peer(c->lock.ring, c->lock.peers, c->turn, c->server_key)) return RT_OK;
    return rt_fail(err, RT_NOTFOUND, "connect %s: the allow-list holds no key for the other side",
                   c->endpoint);
}

static rt_status connect_socket(net_client *c, rt_error *err)
{
    net_socket s = {0};
    net_keys own = {{0}, {0}};
    rt_status st = choose_keys(c, &own, err);
    if (st == RT_OK)
        st = net_socket_open(c->context, ZMQ_DEALER, c->ipv6, c->lock.ring != NULL ? &own : NULL,
                             c->server_key, c->serial + 1, &s, err);
    explicit_bzero(&own, sizeof own);
    if (st != RT_OK) return st;
    if (zmq_connect(s.zmq, c->endpoint) != 0) {
        st = rt_fail(err, errno == EINVAL ? RT_INVALID : RT_IO, "connect %s: %s", c->endpoint,
                     zmq_strerror(errno));
        net_socket_close(&s, 0);
        return st;
    }
    net_socket_close(&c->socket, 0);
    c->socket = s;
    c->serial++;
    c->connected = false;
    c->remake_ms = 0;
    c->lost_ms = 0;
    c->n_heard = 0;
    c->asked_ms = 0;
    return RT_OK;
}

rt_status net_client_open(const net_identity *identity, const char *connect, const net_lock *lock,
                          net_client **out, rt_error *err)
{
    rt_status st = RT_OK;
    net_client *c = NULL;
    if ((c = rt_calloc(1, sizeof *c)) == NULL || (c->context = zmq_ctx_new()) == NULL) {
        st = rt_fail(err, RT_NOMEM, "client of %s", connect);
        goto out;
    }
    if ((st = net_address_parse(connect, c->endpoint, &c->ipv6, err)) != RT_OK) goto out;
    bool locked = lock != NULL && lock->ring != NULL;
    if (!locked && !net_is_local(c->endpoint)) {
        st = rt_fail(err, RT_INVALID,
                     "connect %s: beyond loopback keys are needed; set net.keys to the folder that "
                     "retort keys made",
                     connect);
        goto out;
    }
    if (locked && !net_address_is_ipc(c->endpoint)) c->lock = *lock;
    if ((st = net_self_copy(identity, &c->self, err)) != RT_OK) goto out;
    /* Anywhere within 48 bits: two clients of one process must not share ids. */
    uint64_t where[4] = {rt_clock_wall_ms(), rt_clock_mono_ms(), (uint64_t)getpid(),
                         (uint64_t)(uintptr_t)c};
    c->next_id = (rt_hash64(where, sizeof where, identity->incarnation) >> 16) + 1;
    if ((st = connect_socket(c, err)) != RT_OK) goto out;
    *out = c;
    c = NULL;
out:
    net_client_close(c);
    return st;
}

void net_client_close(net_client *c)
{
    if (c == NULL) return;
    for (; c->n_stash > 0; c->n_stash--) {
        net_incoming_free(&c->stash[c->i_stash]);
        c->i_stash = (c->i_stash + 1) % STASH_MAX;
    }
    net_socket_close(&c->socket, LINGER_MS);
    net_context_close(c->context);
    net_self_free(&c->self);
    free(c);
}

/* ---- health ----------------------------------------------------------------------------- */

static void remake(net_client *c, const char *why)
{
    rt_error err = {0};
    rt_log_info("net.remake", "endpoint=%s reason=\"%s\"", c->endpoint, why);
    if (connect_socket(c, &err) != RT_OK) {
        rt_log_warn("net.remake", "endpoint=%s error=\"%s\"", c->endpoint, err.text);
        c->remake_ms = rt_clock_mono_ms() + REMAKE_DENIED_MS;
    }
}

/* The socket's own key was replaced, or the key that it expects was taken out of the list. */
static bool keys_are_old(net_client *c)
{
    net_keys own;
    unsigned char expected[32];
    if (c->lock.ring == NULL || net_keyring_generation(c->lock.ring) == c->generation) return false;
    c->generation = net_keyring_generation(c->lock.ring);
    net_keyring_own(c->lock.ring, &own);
    bool replaced = strcmp(own.public_key, c->own_public) != 0;
    explicit_bzero(&own, sizeof own);
    (void)zmq_z85_decode(expected, c->server_key);
    net_role role = net_keyring_role_of(c->lock.ring, expected);
    unsigned wanted = c->lock.peers | NET_BIT(NET_ROLE_CLUSTER);
    return replaced || (NET_BIT(role) & wanted) == 0;
}

/* Take in what the monitor tells; make the socket anew when that is due. */
static void heal(net_client *c)
{
    for (int event; (event = net_socket_event(&c->socket)) != 0;) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            c->connected = true;
            c->n_connects++;
            c->lost_ms = 0;
            continue;
        }
        c->connected = false;
        if (event == ZMQ_EVENT_DISCONNECTED) {
            if (c->lost_ms == 0) c->lost_ms = rt_clock_mono_ms();
            continue;
        }
        c->counts.n_foreign++;
        if (c->remake_ms == 0) c->remake_ms = rt_clock_mono_ms() + REMAKE_DENIED_MS;
    }
    if (keys_are_old(c)) {
        c->turn = 0;
        remake(c, "keys changed");
    } else if (c->remake_ms != 0 && rt_clock_mono_ms() >= c->remake_ms) {
        c->turn++; /* the other side may have another one of its keys */
        remake(c, "handshake failed");
    } else if (c->lost_ms != 0 && rt_clock_mono_ms() - c->lost_ms >= REMAKE_LOST_MS) {
        /* Not for a peer that is away, which ZeroMQ goes on asking for, but because it gives up for
         * good after a frame that cannot be. From outside both are the same. */
        remake(c, "the connection was lost");
    } else if (c->patience_ms != 0 && c->asked_ms != 0 &&
               rt_clock_mono_ms() - c->asked_ms >= c->patience_ms) {
        remake(c, "nothing is answered");
    }
}

void net_client_set_patience(net_client *c, uint64_t patience_ms)
{
    c->patience_ms = patience_ms;
}

/* ---- receiving -------------------------------------------------------------------------- */

static bool was_asked(const net_client *c, uint64_t id)
{
    for (size_t i = 0; i < ASKED_MAX; i++)
        if (c->asked[i] == id) return true;
    return false;
}

/* Next message from the socket that is not a late answer; `expected` (0: none) is never late. */
static net_taken take(net_client *c, uint64_t expected, net_incoming *out)
{
    size_t n_bytes = 0;
    rt_error why = {0};
    net_incoming in = {0};
    net_taken taken = net_take(c->socket.zmq, false, NULL, c->self.run_id, &in, &n_bytes, &why);
    c->counts.bytes_in += n_bytes;
    if (taken == NET_NOTHING) return taken;
    if (taken == NET_DROPPED) {
        c->counts.n_dropped++;
        net_drop_log_add(&c->drop_log, c->endpoint, why.text);
        return taken;
    }
    c->n_heard++;
    c->asked_ms = 0;
    uint64_t id = in.message.message_id;
    if (id != 0 && id != expected && was_asked(c, id)) {
        c->counts.n_dropped++; /* a late answer, or the second one to a repeated request */
        net_incoming_free(&in);
        return NET_DROPPED;
    }
    c->counts.n_received++;
    *out = in;
    return NET_MESSAGE;
}

static void stash_add(net_client *c, net_incoming *in)
{
    if (c->n_stash == STASH_MAX) {
        c->counts.n_dropped++;
        net_drop_log_add(&c->drop_log, c->endpoint, "more messages than may be kept");
        net_incoming_free(in);
        return;
    }
    c->stash[(c->i_stash + c->n_stash) % STASH_MAX] = *in;
    c->n_stash++;
}

rt_status net_client_receive(net_client *c, uint64_t timeout_ms, net_incoming *out, rt_error *err)
{
    uint64_t deadline_ms = net_deadline(timeout_ms);
    if (c->n_stash > 0) {
        *out = c->stash[c->i_stash];
        c->i_stash = (c->i_stash + 1) % STASH_MAX;
        c->n_stash--;
        return RT_OK;
    }
    for (;;) {
        heal(c);
        net_taken taken = take(c, 0, out);
        if (taken == NET_MESSAGE) return RT_OK;
        if (rt_clock_mono_ms() >= deadline_ms)
            return rt_fail(err, RT_TIMEOUT, "%s: nothing came", c->endpoint);
        if (taken == NET_NOTHING && net_wait(c->socket.zmq, deadline_ms, SLICE_MS) == RT_CANCELLED)
            return rt_fail(err, RT_CANCELLED, "%s: stopped by a signal", c->endpoint);
    }
}

/* ---- sending ---------------------------------------------------------------------------- */

static bool send_once(net_client *c, const net_outgoing *o)
{
    if (!net_outgoing_send(o, c->socket.zmq, NULL)) return false;
    c->counts.n_sent++;
    c->counts.bytes_out += o->n_bytes;
    return true;
}

rt_status net_client_send(net_client *c, wire_message *ask, const net_frame *frames,
                          size_t n_frames, uint64_t *message_id, rt_error *err)
{
    net_outgoing o = {0};
    uint64_t id = c->next_id++;
    heal(c);
    rt_status st = net_outgoing_make(&c->self, ask, id, frames, n_frames, &o, err);
    if (st != RT_OK) return st;
    if (send_once(c, &o)) {
        if (c->asked_ms == 0) c->asked_ms = rt_clock_mono_ms();
        if (message_id != NULL) *message_id = id;
    } else {
        c->counts.n_dropped++;
        st = rt_fail(err, RT_UNAVAILABLE, "%s: %s", c->endpoint,
                     errno == EAGAIN ? "it does not take messages now" : zmq_strerror(errno));
    }
    net_outgoing_free(&o);
    return st;
}

/* One request under way. */
typedef struct asking {
    uint64_t id;
    uint64_t deadline_ms;
    uint64_t due_ms; /* when to send (again) */
    uint64_t interval_ms;
    unsigned n_sent;
    bool sent_connected; /* the last one went into a connection, ... */
    uint64_t n_connects; /* ... this one */
} asking;

/* Send when it is time. A message sent while there was no connection lies in ZeroMQ's queue and
 * goes out with the next one, so only what went into a connection that was lost is sent at once. */
static void send_when_due(net_client *c, asking *a, const net_outgoing *o)
{
    uint64_t now = rt_clock_mono_ms();
    bool lost = a->sent_connected && c->connected && c->n_connects != a->n_connects;
    bool again = c->connected && now >= a->due_ms;
    if (a->n_sent > 0 && !lost && !again) return;
    if (a->n_sent == 0 && now < a->due_ms) return;
    if (!send_once(c, o)) {
        a->due_ms = now + RETRY_FULL_MS;
        return;
    }
    if (a->n_sent++ > 0) c->counts.n_retries++;
    a->sent_connected = c->connected;
    a->n_connects = c->n_connects;
    a->due_ms = now + a->interval_ms;
    if (o->n_bytes > LARGE_BYTES) a->interval_ms = RT_MIN(2 * a->interval_ms, RETRY_MS_MAX);
}

static rt_status no_answer(net_client *c, const asking *a, const wire_message *ask,
                           uint64_t timeout_ms, bool heard, rt_error *err)
{
    rt_status st = rt_fail(err, RT_TIMEOUT,
                           "%s: no answer to %s within %" PRIu64 " ms (sent %u "
                           "times, %s%s)",
                           c->endpoint, wire_type_name(ask->type), timeout_ms, a->n_sent,
                           c->connected ? "connected" : "not connected",
                           c->remake_ms != 0 ? ", the handshake failed: does each side know the "
                                               "other's key?"
                                             : "");
    if (!heard) {
        c->turn++;
        remake(c, "silent deadline");
    }
    return st;
}

static rt_status take_answer(net_incoming *in, net_incoming *answer, rt_error *err)
{
    *answer = *in;
    if (in->message.type != WIRE_REFUSED) return RT_OK;
    return rt_fail(err, RT_REFUSED, "%s", in->message.refused.text);
}

rt_status net_client_request(net_client *c, wire_message *ask, const net_frame *frames,
                             size_t n_frames, uint64_t timeout_ms, net_incoming *answer,
                             rt_error *err)
{
    net_outgoing o = {0};
    asking a = {.id = c->next_id++, .interval_ms = RETRY_MS};
    a.deadline_ms = net_deadline(timeout_ms);
    ask->message_id = a.id;
    rt_status st = net_outgoing_make(&c->self, ask, a.id, frames, n_frames, &o, err);
    if (st != RT_OK) return st;
    c->asked[c->i_asked] = a.id;
    c->i_asked = (c->i_asked + 1) % ASKED_MAX;
    uint64_t n_heard = c->n_heard;
    unsigned serial = c->serial;
    for (;;) {
        heal(c);
        if (c->serial != serial) { /* what the old socket had queued is gone */
            serial = c->serial;
            n_heard = 0;
            a.n_sent = 0;
            a.due_ms = 0;
        }
        send_when_due(c, &a, &o);
        net_incoming in = {0};
        net_taken taken = take(c, a.id, &in);
        if (taken == NET_MESSAGE && in.message.message_id == a.id) {
            st = take_answer(&in, answer, err);
            break;
        }
        if (taken == NET_MESSAGE) stash_add(c, &in);
        if (rt_stop_requested() == RT_STOP_NOW) {
            st = rt_fail(err, RT_CANCELLED, "%s: stopped while waiting", c->endpoint);
            break;
        }
        if (rt_clock_mono_ms() >= a.deadline_ms) {
            st = no_answer(c, &a, ask, timeout_ms, c->n_heard != n_heard, err);
            break;
        }
        /* Overdue and not sent means that there is no connection: look again soon. */
        uint64_t now = rt_clock_mono_ms();
        uint64_t wake_ms = RT_MIN(a.deadline_ms, a.due_ms > now ? a.due_ms : now + RETRY_FULL_MS);
        if (taken == NET_NOTHING) (void)net_wait(c->socket.zmq, wake_ms, SLICE_MS);
    }
    net_outgoing_free(&o);
    return st;
}

/* ---- readiness -------------------------------------------------------------------------- */

int net_client_fd(const net_client *c)
{
    int fd = -1;
    size_t n = sizeof fd;
    return zmq_getsockopt(c->socket.zmq, ZMQ_FD, &fd, &n) == 0 ? fd : -1;
}

bool net_client_ready(net_client *c)
{
    int events = 0;
    size_t n = sizeof events;
    heal(c);
    return c->n_stash > 0 || (zmq_getsockopt(c->socket.zmq, ZMQ_EVENTS, &events, &n) == 0 &&
                              (events & ZMQ_POLLIN) != 0);
}

void *net_client_zmq(net_client *c)
{
    return c->socket.zmq;
}

const net_counts *net_client_counts(const net_client *c)
{
    return &c->counts;
}
