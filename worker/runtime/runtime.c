/* One thread and one lock.
 *
 *     main thread                      heartbeat thread
 *     -----------                      ----------------
 *     requests through `coordinator`   every heartbeat_ms: Register (until answered), then
 *     reads view, phase      <--lock-- Heartbeat with a copy of busy text and numbers;
 *     busy text, numbers     --lock--> whatever comes back becomes the new view
 *
 * The thread never waits for one particular answer: state is level-triggered, so the next beat
 * repeats whatever was lost, and closing needs to wait for one short poll only. A refusal with
 * register_again makes the next beat a Register; one that time cannot mend (an older incarnation,
 * another configuration) stops the worker.
 *
 * Lock order: `mutex` is the only one, and is never held across I/O.
 */
#include "worker/runtime/runtime.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "worker/runtime/alive_sign.h"
#include "worker/runtime/runtime_view.h"
#include "worker/runtime/told_numbers.h"

#define POLL_MS        50    /* longest that closing waits for the thread */
#define AWAY_LOG_MS    10000 /* how often an absent peer is mentioned */
#define QUEUE_RETRY_MS 500
#define SIGN_MS        1000 /* between two signs of life (net.alive_file) */

struct runtime {
    const config *config;
    wire_role role;
    uint32_t shard;
    char name[64];
    char host[128];
    char fingerprint[33];
    char *endpoint;
    net_identity identity;
    net_keyring *ring;       /* NULL without keys */
    net_client *coordinator; /* main thread only */
    net_client *pulse;       /* heartbeat thread only, once it runs */
    pthread_t thread;
    bool thread_started;
    bool lock_made;

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t changed;
    bool closing;
    uint64_t turned_ms; /* when the main thread last looked at phase or signals */
    bool has_view;
    runtime_view view;
    bool refused;
    rt_error refusal;
    char busy[160];
    told_numbers told;
};

/* What the heartbeat thread remembers between beats. */
typedef struct pulse_state {
    bool registered;
    bool away_logged;
    uint64_t next_ms;
    uint64_t answered_ms;
    uint64_t away_logged_ms;
    uint64_t key_log_ms; /* a key of another role is mentioned again from then on */
    uint64_t heard_ms;   /* the last answer that was no refusal; 0: none yet */
    uint64_t sign_ms;    /* the next sign of life is due */
    bool sign_failed;    /* which was logged */
} pulse_state;

static bool is_closing(runtime *rt)
{
    pthread_mutex_lock(&rt->mutex);
    bool closing = rt->closing;
    pthread_mutex_unlock(&rt->mutex);
    return closing;
}

static rt_status send_register(runtime *rt, rt_error *err)
{
    uint64_t id = 0;
    wire_message m = {.type = WIRE_REGISTER,
                      .register_ = {.role = rt->role,
                                    .shard = rt->shard,
                                    .endpoint = rt->endpoint,
                                    .pid = (int64_t)getpid(),
                                    .host = rt->host,
                                    .fingerprint = rt->fingerprint}};
    return net_client_send(rt->pulse, &m, NULL, 0, &id, err);
}

static rt_status send_heartbeat(runtime *rt, rt_error *err)
{
    uint64_t id = 0;
    char busy[sizeof rt->busy];
    told_space space;
    pthread_mutex_lock(&rt->mutex);
    told_numbers told = rt->told;
    memcpy(busy, rt->busy, sizeof busy);
    pthread_mutex_unlock(&rt->mutex);
    wire_message m = {.type = WIRE_HEARTBEAT,
                      .heartbeat = {.role = rt->role, .shard = rt->shard, .busy_with = busy}};
    told_to_wire(&told, &space, &m.heartbeat);
    return net_client_send(rt->pulse, &m, NULL, 0, &id, err);
}

static void take_run_state(runtime *rt, const wire_run_state *state)
{
    rt_error err = {0};
    runtime_view fresh = {0};
    if (runtime_view_of(state, &fresh, &err) != RT_OK) {
        rt_log_error("runtime.state", "%s", err.text);
        return;
    }
    pthread_mutex_lock(&rt->mutex);
    bool differs = !rt->has_view || rt->view.phase != fresh.phase ||
                   rt->view.generation != fresh.generation || rt->view.version != fresh.version ||
                   rt->view.n_vocab != fresh.n_vocab ||
                   (rt->view.servers == NULL) != (fresh.servers == NULL);
    runtime_view old = rt->view;
    rt->view = fresh;
    rt->has_view = true;
    if (differs) pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->mutex);
    runtime_view_free(&old);
}

/* Refusals that pass by themselves; all others are for good. */
static bool refusal_is_temporary(const char *status)
{
    static const rt_status passing[] = {RT_UNAVAILABLE, RT_TIMEOUT, RT_FULL, RT_NOMEM, RT_IO};
    for (size_t i = 0; status != NULL && i < RT_COUNT(passing); i++)
        if (strcmp(status, rt_status_name(passing[i])) == 0) return true;
    return false;
}

static void take_refusal(runtime *rt, pulse_state *p, const wire_refused *refused)
{
    const char *text = refused->text != NULL ? refused->text : "";
    uint64_t now_ms = rt_clock_mono_ms();
    if (refused->register_again) {
        bool wrong_key =
            refused->status != NULL && strcmp(refused->status, rt_status_name(RT_REFUSED)) == 0;
        if (wrong_key && now_ms >= p->key_log_ms) {
            rt_log_error("runtime.wrong_key", "coordinator=%s text=\"%s\", trying again",
                         rt->config->net.coordinator, text);
            p->key_log_ms = now_ms + AWAY_LOG_MS;
        } else if (p->registered && !wrong_key) {
            rt_log_info("runtime.register_again", "coordinator=%s why=\"%s\"",
                        rt->config->net.coordinator, text);
            p->next_ms = 0;
        }
        p->registered = false;
        return;
    }
    if (refusal_is_temporary(refused->status)) {
        rt_log_warn("runtime.refused_now", "status=%s text=\"%s\"", refused->status, text);
        return;
    }
    pthread_mutex_lock(&rt->mutex);
    bool is_news = !rt->refused;
    if (is_news)
        rt_fail(&rt->refusal, RT_REFUSED, "the coordinator at %s refused %s: %s",
                rt->config->net.coordinator, rt->name, text);
    rt->refused = true;
    pthread_cond_broadcast(&rt->changed);
    pthread_mutex_unlock(&rt->mutex);
    if (is_news)
        rt_log_error("runtime.refused", "name=%s status=%s text=\"%s\"", rt->name,
                     refused->status != NULL ? refused->status : "", text);
}

static void note_answer(runtime *rt, pulse_state *p, uint64_t now_ms)
{
    if (p->away_logged) rt_log_info("coordinator.back", "endpoint=%s", rt->config->net.coordinator);
    p->away_logged = false;
    p->answered_ms = now_ms;
}

static net_lock to_coordinator(const runtime *rt)
{
    return (net_lock){rt->ring, NET_BIT(NET_ROLE_COORDINATOR)};
}

static net_role key_role_of(wire_role role)
{
    switch (role) {
    case ROLE_TEACHER: return NET_ROLE_TEACHER;
    case ROLE_STUDENT: return NET_ROLE_STUDENT;
    case ROLE_SERVER: return NET_ROLE_SERVER;
    case ROLE_UNKNOWN: break;
    }
    return NET_ROLE_NONE;
}

/* The coordinator answers everything: one that does not for so long is away, or not heard. */
static uint64_t patience_ms(const runtime *rt)
{
    return RT_MAX(3 * rt->config->net.heartbeat_ms, (uint64_t)2000);
}

/* ZeroMQ does not try again after a denied handshake; a socket made anew does. */
static void reopen_pulse(runtime *rt)
{
    rt_error err = {0};
    net_client *fresh = NULL;
    net_lock lock = to_coordinator(rt);
    rt_status st = net_client_open(&rt->identity, rt->config->net.coordinator, &lock, &fresh, &err);
    if (st != RT_OK) {
        rt_log_warn("runtime.reopen", "%s", err.text);
        return;
    }
    net_client_close(rt->pulse);
    rt->pulse = fresh;
}

static void note_silence(runtime *rt, pulse_state *p, uint64_t now_ms)
{
    if (now_ms - p->answered_ms < patience_ms(rt)) return;
    if (rt_stop_requested() != RT_STOP_NONE) return; /* receiving ends with the request to stop */
    if (p->away_logged && now_ms - p->away_logged_ms < AWAY_LOG_MS) return;
    rt_log_warn("coordinator.away", "endpoint=%s silent_ms=%llu, trying again",
                rt->config->net.coordinator, (unsigned long long)(now_ms - p->answered_ms));
    p->away_logged = true;
    p->away_logged_ms = now_ms;
    reopen_pulse(rt);
}

static void receive_one(runtime *rt, pulse_state *p, uint64_t wait_ms)
{
    net_incoming in = {0};
    rt_status st = net_client_receive(rt->pulse, wait_ms, &in, NULL);
    if (st == RT_TIMEOUT) return;
    if (st != RT_OK) { /* a signal, or a socket in trouble: no busy loop */
        rt_sleep_ms(POLL_MS / 5);
        return;
    }
    note_answer(rt, p, rt_clock_mono_ms());
    if (in.message.type == WIRE_RUN_STATE) {
        p->registered = true;
        p->heard_ms = rt_clock_mono_ms();
        take_run_state(rt, &in.message.run_state);
    } else if (in.message.type == WIRE_REFUSED) {
        take_refusal(rt, p, &in.message.refused);
    }
    net_incoming_free(&in);
}

/* For `retort probe`: the thread lives, the main thread turns, the coordinator is heard. */
static void give_sign(runtime *rt, pulse_state *p, uint64_t now_ms)
{
    rt_error err = {0};
    const char *path = rt->config->net.alive_file;
    if (path[0] == '\0' || now_ms < p->sign_ms) return;
    p->sign_ms = now_ms + SIGN_MS;
    pthread_mutex_lock(&rt->mutex);
    const alive_sign sign = {.beat_ms = now_ms, .turn_ms = rt->turned_ms, .heard_ms = p->heard_ms};
    pthread_mutex_unlock(&rt->mutex);
    bool failed = alive_sign_write(path, &sign, &err) != RT_OK;
    if (failed && !p->sign_failed) rt_log_warn("runtime.alive_file", "%s", err.text);
    p->sign_failed = failed;
}

static void *run_heartbeats(void *context)
{
    runtime *rt = context;
    rt_error err = {0};
    pulse_state p = {.answered_ms = rt_clock_mono_ms()};
    while (!is_closing(rt)) {
        uint64_t now_ms = rt_clock_mono_ms();
        give_sign(rt, &p, now_ms);
        if (now_ms >= p.next_ms) {
            rt_status st = p.registered ? send_heartbeat(rt, &err) : send_register(rt, &err);
            if (st != RT_OK) rt_log_warn("runtime.beat", "%s", err.text);
            p.next_ms = now_ms + rt->config->net.heartbeat_ms;
            note_silence(rt, &p, now_ms);
        }
        receive_one(rt, &p, RT_MIN(p.next_ms - now_ms, POLL_MS));
    }
    return NULL;
}

static rt_status start_thread(runtime *rt, rt_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    /* Signals go to the main thread, whose system calls they are meant to interrupt. */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&rt->thread, NULL, run_heartbeats, rt);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return rt_fail(err, RT_NOMEM, "heartbeat thread: %s", strerror(code));
    rt->thread_started = true;
    return RT_OK;
}

static rt_status make_locks(runtime *rt, rt_error *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0) return rt_fail(err, RT_NOMEM, "locks of the runtime");
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    int code = pthread_mutex_init(&rt->mutex, NULL);
    if (code == 0 && (code = pthread_cond_init(&rt->changed, &attr)) != 0)
        pthread_mutex_destroy(&rt->mutex);
    pthread_condattr_destroy(&attr);
    if (code != 0) return rt_fail(err, RT_NOMEM, "locks of the runtime: %s", strerror(code));
    rt->lock_made = true;
    return RT_OK;
}

/* Wait at most duration_ms for `changed`; the caller holds the mutex. */
static void wait_changed(runtime *rt, uint64_t duration_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + duration_ms % 1000 * 1000000;
    until.tv_sec += (time_t)(duration_ms / 1000 + ns / 1000000000);
    until.tv_nsec = (long)(ns % 1000000000);
    pthread_cond_timedwait(&rt->changed, &rt->mutex, &until);
}

static rt_status wait_registered(runtime *rt, rt_error *err)
{
    rt_status st = RT_OK;
    pthread_mutex_lock(&rt->mutex);
    while (!rt->has_view && !rt->refused && rt_stop_requested() == RT_STOP_NONE) {
        rt->turned_ms = rt_clock_mono_ms();
        wait_changed(rt, POLL_MS);
    }
    if (rt->refused) {
        st = RT_REFUSED;
        if (err != NULL) *err = rt->refusal;
    } else if (!rt->has_view) {
        st = rt_fail(err, RT_CANCELLED, "%s: stopped while waiting for the coordinator at %s",
                     rt->name, rt->config->net.coordinator);
    }
    pthread_mutex_unlock(&rt->mutex);
    return st;
}

rt_status runtime_open(const config *c, wire_role role, const char *name, uint32_t shard,
                       const char *endpoint, runtime **out, rt_error *err)
{
    rt_status st = RT_OK;
    runtime *rt = NULL;
    net_lock lock;
    if (c->net.coordinator[0] == '\0')
        return rt_fail(err, RT_INVALID,
                       "net.coordinator: is empty, expected the endpoint of the coordinator, such "
                       "as tcp://127.0.0.1:7100 (`retort run` sets it for its own workers)");
    rt = rt_calloc(1, sizeof *rt);
    if (rt == NULL) return rt_fail(err, RT_NOMEM, "runtime of %s", name);
    rt->config = c;
    rt->turned_ms = rt_clock_mono_ms();
    rt->role = role;
    rt->shard = shard;
    snprintf(rt->name, sizeof rt->name, "%s", name);
    if (gethostname(rt->host, sizeof rt->host - 1) != 0) snprintf(rt->host, sizeof rt->host, "?");
    rt->identity =
        (net_identity){.run_id = c->name, .sender = rt->name, .incarnation = rt_clock_wall_ms()};
    rt->endpoint = strdup(endpoint != NULL ? endpoint : "");
    if (rt->endpoint == NULL) {
        st = rt_fail(err, RT_NOMEM, "runtime of %s", name);
        goto out;
    }
    if ((st = make_locks(rt, err)) != RT_OK) goto out;
    if ((st = config_fingerprint(c, rt->fingerprint, err)) != RT_OK) goto out;
    st = net_keyring_open(c->net.keys, c->net.curve_key_file, key_role_of(role), &rt->ring, err);
    if (st != RT_OK) goto out;
    lock = to_coordinator(rt);
    st = net_client_open(&rt->identity, c->net.coordinator, &lock, &rt->coordinator, err);
    if (st == RT_OK)
        net_client_set_patience(rt->coordinator,
                                RT_MAX(patience_ms(rt), c->net.request_timeout_ms));
    if (st != RT_OK) goto out;
    st = net_client_open(&rt->identity, c->net.coordinator, &lock, &rt->pulse, err);
    if (st != RT_OK) goto out;
    if ((st = start_thread(rt, err)) != RT_OK) goto out;
    if ((st = wait_registered(rt, err)) != RT_OK) goto out;
    rt_log_info("runtime.registered", "name=%s role=%s coordinator=%s", rt->name,
                wire_role_name(role), c->net.coordinator);
    *out = rt;
    rt = NULL;
out:
    runtime_close(rt);
    return st;
}

void runtime_close(runtime *rt)
{
    if (rt == NULL) return;
    if (rt->thread_started) {
        pthread_mutex_lock(&rt->mutex);
        rt->closing = true;
        pthread_mutex_unlock(&rt->mutex);
        pthread_join(rt->thread, NULL);
    }
    net_client_close(rt->pulse);
    net_client_close(rt->coordinator);
    if (rt->lock_made) {
        pthread_cond_destroy(&rt->changed);
        pthread_mutex_destroy(&rt->mutex);
    }
    runtime_view_free(&rt->view);
    free(rt->endpoint);
    net_keyring_free(rt->ring);
    free(rt);
}

const config *runtime_config(const runtime *rt)
{
    return rt->config;
}

const net_identity *runtime_identity(const runtime *rt)
{
    return &rt->identity;
}

net_keyring *runtime_keyring(const runtime *rt)
{
    return rt->ring;
}

net_client *runtime_coordinator(runtime *rt)
{
    return rt->coordinator;
}

wire_phase runtime_phase(runtime *rt)
{
    pthread_mutex_lock(&rt->mutex);
    wire_phase phase = rt->view.phase;
    rt->turned_ms = rt_clock_mono_ms();
    pthread_mutex_unlock(&rt->mutex);
    return phase;
}

uint64_t runtime_generation(runtime *rt)
{
    pthread_mutex_lock(&rt->mutex);
    uint64_t generation = rt->view.generation;
    pthread_mutex_unlock(&rt->mutex);
    return generation;
}

rt_status runtime_get_view(runtime *rt, runtime_view *out, rt_error *err)
{
    pthread_mutex_lock(&rt->mutex);
    rt_status st = runtime_view_copy(&rt->view, out, err);
    pthread_mutex_unlock(&rt->mutex);
    return st;
}

rt_status runtime_refusal(runtime *rt, rt_error *err)
{
    rt_status st = RT_OK;
    pthread_mutex_lock(&rt->mutex);
    if (rt->refused) {
        st = RT_REFUSED;
        if (err != NULL) *err = rt->refusal;
    }
    pthread_mutex_unlock(&rt->mutex);
    return st;
}

bool runtime_stopping(runtime *rt)
{
    pthread_mutex_lock(&rt->mutex);
    rt->turned_ms = rt_clock_mono_ms();
    pthread_mutex_unlock(&rt->mutex);
    return rt_stop_requested() != RT_STOP_NONE || runtime_refusal(rt, NULL) != RT_OK;
}

void runtime_wait(runtime *rt, uint64_t duration_ms)
{
    uint64_t until_ms = rt_clock_mono_ms() + duration_ms;
    pthread_mutex_lock(&rt->mutex);
    wire_phase phase = rt->view.phase;
    uint64_t generation = rt->view.generation, version = rt->view.version;
    for (;;) {
        uint64_t now_ms = rt_clock_mono_ms();
        rt->turned_ms = now_ms;
        bool same = rt->view.phase == phase && rt->view.generation == generation &&
                    rt->view.version == version;
        if (now_ms >= until_ms || !same || rt->refused || rt_stop_requested() != RT_STOP_NONE)
            break;
        wait_changed(rt, RT_MIN(until_ms - now_ms, POLL_MS));
    }
    pthread_mutex_unlock(&rt->mutex);
}

void runtime_busy(runtime *rt, const char *fmt, ...)
{
    char text[sizeof rt->busy];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&rt->mutex);
    memcpy(rt->busy, text, sizeof text);
    pthread_mutex_unlock(&rt->mutex);
}

void runtime_count(runtime *rt, const char *name, double add)
{
    pthread_mutex_lock(&rt->mutex);
    told_count(&rt->told, name, add);
    pthread_mutex_unlock(&rt->mutex);
}

void runtime_gauge(runtime *rt, const char *name, double value)
{
    pthread_mutex_lock(&rt->mutex);
    told_gauge(&rt->told, name, value);
    pthread_mutex_unlock(&rt->mutex);
}

void runtime_observe(runtime *rt, const char *name, double seconds)
{
    pthread_mutex_lock(&rt->mutex);
    told_observe(&rt->told, name, seconds);
    pthread_mutex_unlock(&rt->mutex);
}

/* URL of the config, else the one the coordinator tells. */
static rt_status queue_url(runtime *rt, char **out, rt_error *err)
{
    const char *url = rt->config->queue.url;
    char *copy = NULL;
    pthread_mutex_lock(&rt->mutex);
    if (url[0] == '\0' && rt->view.queue_url != NULL) url = rt->view.queue_url;
    copy = strdup(url);
    pthread_mutex_unlock(&rt->mutex);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "URL of the queue");
    *out = copy;
    return RT_OK;
}

rt_status runtime_open_queue(runtime *rt, queue **out, rt_error *err)
{
    rt_status st = RT_OK;
    char *url = NULL;
    uint64_t logged_ms = 0;
    const queue_config *c = &rt->config->queue;
    const queue_login login = {.user = c->user,
                               .read_password =
                                   c->password[0] != '\0' ? config_queue_password : NULL,
                               .context = rt->config,
                               .ca_file = c->ca_file,
                               .cert_file = c->cert_file,
                               .key_file = c->key_file};
    for (;;) {
        rt_error why = {0};
        free(url);
        url = NULL;
        if ((st = queue_url(rt, &url, err)) != RT_OK) goto out;
        st = url[0] == '\0' ? rt_fail(&why, RT_UNAVAILABLE, "no queue.url is known yet")
                            : queue_open_redis_as(url, &login, out, &why);
        if (st == RT_OK || st == RT_NOMEM || st == RT_INVALID || st == RT_UNSUPPORTED) {
            if (st != RT_OK && err != NULL) *err = why;
            goto out;
        }
        if (runtime_stopping(rt)) {
            st = rt_fail(err, RT_CANCELLED, "stopped while waiting for Redis: %s", why.text);
            goto out;
        }
        uint64_t now_ms = rt_clock_mono_ms();
        if (logged_ms == 0 || now_ms - logged_ms >= AWAY_LOG_MS) {
            rt_log_warn("queue.away", "%s, trying again", why.text);
            logged_ms = now_ms;
        }
        runtime_wait(rt, QUEUE_RETRY_MS);
    }
out:
    free(url);
    return st;
}
