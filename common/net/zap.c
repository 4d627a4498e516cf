#include "common/net/zap.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/keyring.h"

#define DENIAL_LOG_MS 1000
#define ZAP_PARTS     7 /* version, request id, domain, address, identity, mechanism, credentials */

struct net_zap {
    pthread_t thread;
    void *socket; /* used by the thread only, once it runs */
    net_lock lock;
    uint64_t logged_ms; /* the thread's */
    atomic_uint_fast64_t n_denied;
};

typedef struct zap_request {
    unsigned char parts[ZAP_PARTS][256];
    size_t n_bytes[ZAP_PARTS];
    size_t n_parts;
} zap_request;

/* False when the context was shut down. */
static bool take_request(void *socket, zap_request *r)
{
    int more = 1;
    size_t n = sizeof more;
    r->n_parts = 0;
    while (more) {
        unsigned char part[256];
        int n_bytes = zmq_recv(socket, part, sizeof part, 0);
        if (n_bytes < 0 && errno == EINTR) continue;
        if (n_bytes < 0) return false;
        if (r->n_parts < ZAP_PARTS) {
            r->n_bytes[r->n_parts] = RT_MIN((size_t)n_bytes, sizeof part);
            memcpy(r->parts[r->n_parts], part, r->n_bytes[r->n_parts]);
        }
        r->n_parts++;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &n) != 0) return false;
    }
    return true;
}

static bool is_curve(const zap_request *r)
{
    return r->n_parts == ZAP_PARTS && r->n_bytes[5] == 5 && memcmp(r->parts[5], "CURVE", 5) == 0 &&
           r->n_bytes[6] == 32;
}

static net_role admit(const net_lock *lock, const unsigned char public_key[32])
{
    net_role role = net_keyring_role_of(lock->ring, public_key);
    unsigned admitted = lock->peers | NET_BIT(NET_ROLE_CLUSTER);
    return (NET_BIT(role) & admitted) != 0 ? role : NET_ROLE_NONE;
}

net_role net_zap_role(const net_lock *lock, const char *user_id)
{
    unsigned char key[32];
    if (user_id == NULL || strlen(user_id) != 40 || zmq_z85_decode(key, user_id) == NULL)
        return NET_ROLE_NONE;
    return admit(lock, key);
}

static void answer(void *socket, const zap_request *r, const char *user_id)
{
    const char *code = user_id != NULL ? "200" : "400",
               *text = user_id != NULL ? "OK" : "this key may not come in";
    size_t n_id = r->n_parts > 1 ? r->n_bytes[1] : 0;
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(socket, r->parts[1], n_id, ZMQ_SNDMORE);
    zmq_send(socket, code, 3, ZMQ_SNDMORE);
    zmq_send(socket, text, strlen(text), ZMQ_SNDMORE);
    zmq_send(socket, user_id != NULL ? user_id : "", user_id != NULL ? strlen(user_id) : 0,
             ZMQ_SNDMORE);
    zmq_send(socket, "", 0, 0);
}

/* A public key is no secret, and its first characters are what an operator looks for. */
static void note_denial(net_zap *z, const zap_request *r, const char *key)
{
    uint64_t now_ms = rt_clock_mono_ms();
    uint64_t n = atomic_fetch_add(&z->n_denied, 1) + 1;
    if (now_ms < z->logged_ms + DENIAL_LOG_MS && z->logged_ms != 0) return;
    z->logged_ms = now_ms;
    rt_log_warn("net.denied", "address=%.*s key=%.8s... denied=%" PRIu64,
                r->n_parts > 3 ? (int)r->n_bytes[3] : 0, (const char *)r->parts[3], key, n);
}

static void *keep_door(void *arg)
{
    net_zap *z = arg;
    zap_request *r = calloc(1, sizeof *r);
    while (r != NULL && take_request(z->socket, r)) {
        char key[41] = "?";
        bool welcome = is_curve(r) && zmq_z85_encode(key, r->parts[6], 32) != NULL &&
                       admit(&z->lock, r->parts[6]) != NET_ROLE_NONE;
        if (!welcome) note_denial(z, r, key);
        answer(z->socket, r, welcome ? key : NULL);
    }
    free(r);
    zmq_close(z->socket);
    return NULL;
}

rt_status net_zap_open(void *context, const net_lock *lock, net_zap **out, rt_error *err)
{
    rt_status st = RT_OK;
    int zero = 0, code = 0;
    sigset_t all, before;
    net_zap *z = rt_calloc(1, sizeof *z);
    if (z == NULL) {
        st = rt_fail(err, RT_NOMEM, "CURVE door");
        goto out;
    }
    z->lock = *lock;
    z->socket = zmq_socket(context, ZMQ_REP);
    if (z->socket == NULL || zmq_setsockopt(z->socket, ZMQ_LINGER, &zero, sizeof zero) != 0 ||
        zmq_bind(z->socket, "inproc://zeromq.zap.01") != 0) {
        st = rt_fail(err, RT_IO, "CURVE door: %s", zmq_strerror(errno));
        goto out;
    }
    sigfillset(&all); /* signals are for the threads that can act on them */
    pthread_sigmask(SIG_BLOCK, &all, &before);
    code = pthread_create(&z->thread, NULL, keep_door, z);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        st = rt_fail(err, RT_IO, "CURVE door: thread: %s", strerror(code));
        goto out;
    }
    *out = z;
    z = NULL;
out:
    if (z != NULL && z->socket != NULL) zmq_close(z->socket);
    free(z);
    return st;
}

void net_zap_close(net_zap *z)
{
    if (z == NULL) return;
    pthread_join(z->thread, NULL);
    free(z);
}

uint64_t net_zap_denied(const net_zap *z)
{
    return z == NULL ? 0 : atomic_load(&z->n_denied);
}
