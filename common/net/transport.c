#include "common/net/transport.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/net/zap.h"
#include "common/wire/seal.h"

/* Queue lengths count messages, and a message may be a whole slice of the parameters. */
#define HIGH_WATER_MARK  16
#define HANDSHAKE_MS     5000
#define RECONNECT_MS     100
#define RECONNECT_MS_MAX 2000
#define BACKLOG          256
#define UNANSWERED_MS    60000 /* bytes that the other side does not take: longer than a frame takes */

rt_status net_self_copy(const net_identity *identity, net_self *out, rt_error *err)
{
    net_self self = {rt_strndup(identity->run_id, strlen(identity->run_id)),
                     rt_strndup(identity->sender, strlen(identity->sender)), identity->incarnation};
    if (self.run_id == NULL || self.sender == NULL) {
        net_self_free(&self);
        return rt_fail(err, RT_NOMEM, "identity");
    }
    *out = self;
    return RT_OK;
}

void net_self_free(net_self *self)
{
    free(self->run_id);
    free(self->sender);
    *self = (net_self){0};
}

static bool set_int(void *zmq, int option, int value)
{
    return zmq_setsockopt(zmq, option, &value, sizeof value) == 0;
}

/* A peer that is gone without a word is found by TCP, after 30 s when nothing is under way. Not by ZMQ_HEARTBEAT_IVL:
 * when a reader is busy elsewhere, its pipe is full and the peer leaves, the timer of libzmq 4.3.4 writes
 * to a connection that is closed, and an assertion ends the process. */
static bool set_common(void *zmq, bool ipv6)
{
    int64_t n_bytes_max = WIRE_ENVELOPE_MAX;
    return zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &n_bytes_max, sizeof n_bytes_max) == 0 &&
           set_int(zmq, ZMQ_SNDHWM, HIGH_WATER_MARK) && set_int(zmq, ZMQ_RCVHWM, HIGH_WATER_MARK) &&
           set_int(zmq, ZMQ_LINGER, 0) && set_int(zmq, ZMQ_IPV6, ipv6) &&
           set_int(zmq, ZMQ_BACKLOG, BACKLOG) && set_int(zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
           set_int(zmq, ZMQ_TCP_KEEPALIVE, 1) && set_int(zmq, ZMQ_TCP_KEEPALIVE_IDLE, 10) &&
           set_int(zmq, ZMQ_TCP_KEEPALIVE_INTVL, 5) && set_int(zmq, ZMQ_TCP_KEEPALIVE_CNT, 4) &&
           set_int(zmq, ZMQ_TCP_MAXRT, UNANSWERED_MS) &&
           set_int(zmq, ZMQ_RECONNECT_IVL, RECONNECT_MS) &&
           set_int(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX) &&
           set_int(zmq, ZMQ_CONNECT_TIMEOUT, HANDSHAKE_MS);
}

static bool set_keys(void *zmq, bool is_server, const net_keys *own, const char *server_key)
{
    if (is_server)
        return set_int(zmq, ZMQ_CURVE_SERVER, 1) &&
               zmq_setsockopt(zmq, ZMQ_ZAP_DOMAIN, "retort", 6) == 0 &&
               zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, own->secret_key, 41) == 0;
    return zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, server_key, 41) == 0 &&
           zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, own->public_key, 41) == 0 &&
           zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, own->secret_key, 41) == 0;
}

/* ZeroMQ passes over a connection that brings the routing id of another one, and keeps what it sent
 * for ever: HTTP at the port of an open ROUTER looks like ZMTP 1.0 with one id for all, and took 9 kB
 * each. So the newer one takes over; our own peers have ids that ZeroMQ makes. With keys the door
 * keeps strangers and ZMTP 1.0 out, and nobody shall take over the connection of another role. */
static bool set_router(void *zmq, bool has_keys)
{
    return set_int(zmq, ZMQ_ROUTER_MANDATORY, 1) && set_int(zmq, ZMQ_ROUTER_HANDOVER, !has_keys);
}

static bool open_monitor(void *context, unsigned serial, bool is_server, net_socket *s)
{
    char name[64];
    int events = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    /* A server has many connections and needs only the failures: its monitor is read only when
     * the server is, so it must not fill up with good news. */
    if (!is_server) events |= ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED;
    snprintf(name, sizeof name, "inproc://monitor-%u", serial);
    if (zmq_socket_monitor(s->zmq, name, events) != 0) return false;
    s->monitor = zmq_socket(context, ZMQ_PAIR);
    /* Without a limit: ZeroMQ's own thread would wait for us at the limit. */
    return s->monitor != NULL && set_int(s->monitor, ZMQ_RCVHWM, 0) &&
           set_int(s->monitor, ZMQ_LINGER, 0) && zmq_connect(s->monitor, name) == 0;
}

rt_status net_socket_open(void *context, int type, bool ipv6, const net_keys *own,
                          const char *server_key, unsigned serial, net_socket *out, rt_error *err)
{
    bool is_server = type == ZMQ_ROUTER;
    net_socket s = {zmq_socket(context, type), NULL};
    if (s.zmq == NULL || !set_common(s.zmq, ipv6) ||
        (is_server && !set_router(s.zmq, own != NULL)) ||
        (own != NULL && !set_keys(s.zmq, is_server, own, server_key)) ||
        !open_monitor(context, serial, is_server, &s)) {
        int code = errno;
        net_socket_close(&s, 0);
        return rt_fail(err, code == EMFILE ? RT_FULL : RT_IO, "socket: %s", zmq_strerror(code));
    }
    *out = s;
    return RT_OK;
}

void net_socket_close(net_socket *s, int linger_ms)
{
    if (s->zmq != NULL) {
        zmq_socket_monitor(s->zmq, NULL, 0);
        set_int(s->zmq, ZMQ_LINGER, linger_ms);
        zmq_close(s->zmq);
    }
    if (s->monitor != NULL) zmq_close(s->monitor);
    *s = (net_socket){0};
}

void net_context_close(void *context)
{
    if (context == NULL) return;
    while (zmq_ctx_term(context) != 0 && errno == EINTR) continue;
}

int net_socket_event(const net_socket *s)
{
    zmq_msg_t part;
    uint16_t event = 0;
    zmq_msg_init(&part);
    if (zmq_msg_recv(&part, s->monitor, ZMQ_DONTWAIT) >= 0) {
        if (zmq_msg_size(&part) >= sizeof event) memcpy(&event, zmq_msg_data(&part), sizeof event);
        while (zmq_msg_more(&part) && zmq_msg_recv(&part, s->monitor, ZMQ_DONTWAIT) >= 0) continue;
    }
    zmq_msg_close(&part);
    return event;
}

/* ---- sending ---------------------------------------------------------------------------- */

static void release_frame(const net_frame *frame)
{
    if (frame->release != NULL) frame->release((void *)(uintptr_t)frame->data, frame->hint);
}

static rt_status frame_to_part(const net_frame *frame, size_t i_frame, zmq_msg_t *part,
                               rt_error *err)
{
    if (frame->n_bytes > NET_FRAME_BYTES_MAX) {
        release_frame(frame);
        return rt_fail(err, RT_INVALID, "frame %zu: %zu bytes, the limit is %u", i_frame,
                       frame->n_bytes, NET_FRAME_BYTES_MAX);
    }
    if (frame->release != NULL) {
        void *data = (void *)(uintptr_t)frame->data;
        if (zmq_msg_init_data(part, data, frame->n_bytes, frame->release, frame->hint) == 0)
            return RT_OK;
        release_frame(frame);
        return rt_fail(err, RT_NOMEM, "frame %zu", i_frame);
    }
    if (zmq_msg_init_size(part, frame->n_bytes) != 0)
        return rt_fail(err, RT_NOMEM, "frame %zu of %zu bytes", i_frame, frame->n_bytes);
    if (frame->n_bytes > 0) memcpy(zmq_msg_data(part), frame->data, frame->n_bytes);
    return RT_OK;
}

static rt_status envelope_to_part(const net_self *self, const wire_message *m, uint64_t message_id,
                                  const net_frame *frames, size_t n_frames, zmq_msg_t *part,
                                  rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf bytes = {0};
    wire_message full = *m; /* a copy of pointers: the caller's message keeps what it owns */
    full.run_id = self->run_id;
    full.sender = self->sender;
    full.incarnation = self->incarnation;
    full.message_id = message_id;
    full.n_frames = (uint32_t)n_frames;
    if ((st = wire_encode(&full, &bytes, err)) != RT_OK) goto out;
    uint64_t check = wire_seal_mix(bytes.data, bytes.n, 0);
    for (size_t i = 0; i < n_frames; i++) {
        if (frames[i].n_bytes > NET_FRAME_BYTES_MAX) break; /* it is refused below */
        check = wire_seal_mix(frames[i].data, frames[i].n_bytes, check);
    }
    if ((st = wire_seal_add(&bytes, check, err)) != RT_OK) goto out;
    if (zmq_msg_init_size(part, bytes.n) != 0) {
        st = rt_fail(err, RT_NOMEM, "envelope of %zu bytes", bytes.n);
        goto out;
    }
    memcpy(zmq_msg_data(part), bytes.data, bytes.n);
out:
    rt_buf_free(&bytes);
    return st;
}

rt_status net_outgoing_make(const net_self *self, const wire_message *m, uint64_t message_id,
                            const net_frame *frames, size_t n_frames, net_outgoing *out,
                            rt_error *err)
{
    rt_status st = RT_OK;
    net_outgoing o = {0};
    size_t i = 0;
    if (n_frames > NET_FRAMES_MAX) {
        st = rt_fail(err, RT_INVALID, "%zu frames, the limit is %u", n_frames, NET_FRAMES_MAX);
        goto out;
    }
    if ((o.parts = rt_calloc(n_frames + 1, sizeof *o.parts)) == NULL) {
        st = rt_fail(err, RT_NOMEM, "%zu frames", n_frames);
        goto out;
    }
    if ((st = envelope_to_part(self, m, message_id, frames, n_frames, &o.parts[0], err)) != RT_OK)
        goto out;
    o.n_parts = 1;
    while (i < n_frames && st == RT_OK) {
        st = frame_to_part(&frames[i], i, &o.parts[o.n_parts], err);
        if (st == RT_OK) o.n_parts++;
        i++; /* taken, whatever came of it */
    }
    if (st != RT_OK) goto out;
    for (size_t j = 0; j < o.n_parts; j++) o.n_bytes += zmq_msg_size(&o.parts[j]);
    *out = o;
    o = (net_outgoing){0};
out:
    for (; i < n_frames; i++) release_frame(&frames[i]);
    net_outgoing_free(&o);
    return st;
}

void net_outgoing_free(net_outgoing *o)
{
    for (size_t i = 0; i < o->n_parts; i++) zmq_msg_close(&o->parts[i]);
    free(o->parts);
    *o = (net_outgoing){0};
}

bool net_outgoing_send(const net_outgoing *o, void *zmq, const net_peer *to)
{
    int code = 0;
    if (to != NULL && zmq_send(zmq, to->bytes, to->n, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) return false;
    for (size_t i = 0; i < o->n_parts; i++) {
        zmq_msg_t copy;
        int flags = ZMQ_DONTWAIT | (i + 1 < o->n_parts ? ZMQ_SNDMORE : 0);
        zmq_msg_init(&copy);
        if (zmq_msg_copy(&copy, &o->parts[i]) != 0 || zmq_msg_send(&copy, zmq, flags) < 0) {
            if (code == 0) code = errno;
            zmq_msg_close(&copy);
            if (i == 0 && to == NULL) break;
            /* The connection died between two parts. ZeroMQ drops the rest of the message, and
             * must be given that rest, or the next message would be taken for it. */
        }
    }
    errno = code;
    return code == 0;
}

/* ---- receiving -------------------------------------------------------------------------- */

/* Read the rest of the message that `part` begins; nothing when `part` is its last. */
static void drain(void *zmq, zmq_msg_t *part)
{
    while (zmq_msg_more(part) && zmq_msg_recv(part, zmq, ZMQ_DONTWAIT) >= 0) continue;
}

/* ZeroMQ hands out small messages inside its read buffer, at any address; floats need a better
 * one. */
static bool align_part(zmq_msg_t *part)
{
    zmq_msg_t aligned;
    size_t n = zmq_msg_size(part);
    if ((uintptr_t)zmq_msg_data(part) % _Alignof(double) == 0) return true;
    if (zmq_msg_init_size(&aligned, n) != 0) return false;
    memcpy(zmq_msg_data(&aligned), zmq_msg_data(part), n);
    zmq_msg_move(part, &aligned);
    return true;
}

/* Payload frames behind the envelope `part`; false when there are more or fewer than announced. */
static bool take_frames(void *zmq, zmq_msg_t *part, net_incoming *in, size_t *n_bytes,
                        rt_error *why)
{
    size_t n = in->message.n_frames;
    if (n > NET_FRAMES_MAX) {
        (void)rt_fail(why, RT_CORRUPT, "%zu frames announced, the limit is %u", n, NET_FRAMES_MAX);
        drain(zmq, part);
        return false;
    }
    zmq_msg_t *frames = rt_calloc(n, sizeof *frames);
    if (frames == NULL) {
        (void)rt_fail(why, RT_NOMEM, "%zu frames", n);
        drain(zmq, part);
        return false;
    }
    in->frames = frames;
    bool more = zmq_msg_more(part), good = true;
    while (good && more && in->n_frames < n) {
        zmq_msg_t *frame = &frames[in->n_frames];
        zmq_msg_init(frame);
        in->n_frames++;
        if (zmq_msg_recv(frame, zmq, ZMQ_DONTWAIT) < 0) break;
        more = zmq_msg_more(frame);
        *n_bytes += zmq_msg_size(frame);
        good = zmq_msg_size(frame) <= NET_FRAME_BYTES_MAX && align_part(frame);
    }
    if (good && !more && in->n_frames == n) return true;
    if (more) drain(zmq, part);
    if (!good)
        (void)rt_fail(why, RT_CORRUPT, "frame %zu is beyond %u bytes", in->n_frames - 1,
                      NET_FRAME_BYTES_MAX);
    else
        (void)rt_fail(why, RT_CORRUPT, "%zu frames announced, %s%zu found", n,
                      more ? "at least " : "", in->n_frames + (more ? 1 : 0));
    return false;
}

/* Whether envelope and frames are what was sent; `check` is that of the envelope's bytes. */
static bool is_whole(const net_incoming *in, uint64_t check, uint64_t sealed, rt_error *why)
{
    for (size_t i = 0; i < in->n_frames; i++) {
        size_t n = 0;
        const void *data = net_frame_data(in, i, &n);
        check = wire_seal_mix(data, n, check);
    }
    if (check == sealed) return true;
    (void)rt_fail(why, RT_CORRUPT, "%s with %zu frames: its bytes changed on the way",
                  wire_type_name(in->message.type), in->n_frames);
    return false;
}

static bool take_parts(void *zmq, zmq_msg_t *part, const char *run_id, net_incoming *in,
                       size_t *n_bytes, rt_error *why)
{
    uint64_t sealed = 0, check = 0;
    size_t n = zmq_msg_size(part);
    *n_bytes += n;
    bool has_seal = wire_seal_take(zmq_msg_data(part), &n, &sealed);
    if (has_seal) check = wire_seal_mix(zmq_msg_data(part), n, 0);
    if (wire_decode(zmq_msg_data(part), n, &in->message, why) != RT_OK) {
        drain(zmq, part);
        return false;
    }
    if (strcmp(in->message.run_id, run_id) != 0) {
        (void)rt_fail(why, RT_CORRUPT, "from '%.64s': it belongs to run '%.64s', this is '%s'",
                      in->message.sender, in->message.run_id, run_id);
        drain(zmq, part);
        return false;
    }
    if (!take_frames(zmq, part, in, n_bytes, why)) return false;
    return !has_seal || is_whole(in, check, sealed, why);
}

/* A key may have been taken out of the list while its connection stayed. */
static bool key_is_good(zmq_msg_t *part, const net_lock *lock, net_incoming *in, rt_error *why)
{
    if (lock == NULL) return true;
    in->key_role = net_zap_role(lock, zmq_msg_gets(part, "User-Id"));
    if (in->key_role != NET_ROLE_NONE) return true;
    (void)rt_fail(why, RT_REFUSED, "a message of a key that is no longer allowed");
    return false;
}

net_taken net_take(void *zmq, bool is_router, const net_lock *lock, const char *run_id,
                   net_incoming *out, size_t *n_bytes, rt_error *why)
{
    net_incoming in = {0};
    net_taken taken = NET_DROPPED;
    zmq_msg_t part;
    zmq_msg_init(&part);
    *n_bytes = 0;
    if (zmq_msg_recv(&part, zmq, ZMQ_DONTWAIT) < 0) {
        taken = NET_NOTHING;
        goto out;
    }
    if (is_router) {
        in.peer.n = RT_MIN(zmq_msg_size(&part), sizeof in.peer.bytes);
        memcpy(in.peer.bytes, zmq_msg_data(&part), in.peer.n);
        if (!zmq_msg_more(&part) || zmq_msg_recv(&part, zmq, ZMQ_DONTWAIT) < 0) {
            (void)rt_fail(why, RT_CORRUPT, "a message without an envelope");
            goto out;
        }
    }
    if (!key_is_good(&part, lock, &in, why)) {
        drain(zmq, &part);
        goto out;
    }
    if (!take_parts(zmq, &part, run_id, &in, n_bytes, why)) goto out;
    *out = in;
    in = (net_incoming){0};
    taken = NET_MESSAGE;
out:
    zmq_msg_close(&part);
    net_incoming_free(&in);
    return taken;
}

const void *net_frame_data(const net_incoming *in, size_t i, size_t *n_bytes)
{
    RT_ASSERT(i < in->n_frames);
    zmq_msg_t *frames = in->frames;
    if (n_bytes != NULL) *n_bytes = zmq_msg_size(&frames[i]);
    return zmq_msg_data(&frames[i]);
}

void net_incoming_free(net_incoming *in)
{
    if (in == NULL) return;
    zmq_msg_t *frames = in->frames;
    for (size_t i = 0; i < in->n_frames; i++) zmq_msg_close(&frames[i]);
    free(frames);
    wire_message_free(&in->message);
    *in = (net_incoming){0};
}

/* ---- waiting ---------------------------------------------------------------------------- */

uint64_t net_deadline(uint64_t timeout_ms)
{
    uint64_t now = rt_clock_mono_ms();
    return timeout_ms > UINT64_MAX - now ? UINT64_MAX : now + timeout_ms;
}

rt_status net_wait(void *zmq, uint64_t deadline_ms, uint64_t slice_ms)
{
    uint64_t now = rt_clock_mono_ms();
    uint64_t left = deadline_ms > now ? RT_MIN(deadline_ms - now, slice_ms) : 0;
    zmq_pollitem_t item = {.socket = zmq, .events = ZMQ_POLLIN};
    int n = zmq_poll(&item, 1, (long)left);
    if (n < 0 && errno == EINTR && rt_stop_requested() != RT_STOP_NONE) return RT_CANCELLED;
    return n > 0 ? RT_OK : RT_TIMEOUT;
}

void net_drop_log_add(net_drop_log *log, const char *endpoint, const char *why)
{
    uint64_t now = rt_clock_mono_ms();
    if (now < log->next_ms) {
        log->n_silent++;
        return;
    }
    rt_log_warn("net.drop", "endpoint=%s more=%" PRIu64 " reason=\"%s\"", endpoint, log->n_silent,
                why);
    log->next_ms = now + 1000;
    log->n_silent = 0;
}
