#include "tests/unit/worker/runtime/fake_coordinator.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PATIENCE_S 10

struct fake_coordinator {
    net_server *server;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t heard_more;
    bool stopping;
    bool knows_sender; /* it registered since register_again was set */
    fake_answer answer;
    fake_heard heard;
};

static void remember(fake_coordinator *f, const wire_message *m)
{
    fake_heard *h = &f->heard;
    snprintf(h->sender, sizeof h->sender, "%s", m->sender);
    h->incarnation = m->incarnation;
    if (m->type == WIRE_REGISTER) {
        h->n_registers++;
        h->role = m->register_.role;
        snprintf(h->fingerprint, sizeof h->fingerprint, "%s", m->register_.fingerprint);
        snprintf(h->endpoint, sizeof h->endpoint, "%s", m->register_.endpoint);
        f->knows_sender = true;
    } else if (m->type == WIRE_HEARTBEAT) {
        h->n_heartbeats++;
        snprintf(h->busy_with, sizeof h->busy_with, "%s", m->heartbeat.busy_with);
        if (m->heartbeat.n_counters > 0) {
            snprintf(h->counter_name, sizeof h->counter_name, "%s", m->heartbeat.counters[0].name);
            h->counter_value = m->heartbeat.counters[0].value;
        }
        h->n_durations = 0;
        for (size_t i = 0; i < m->heartbeat.n_histograms; i++)
            for (size_t k = 0; k < m->heartbeat.histograms[i].n_buckets; k++)
                h->n_durations += m->heartbeat.histograms[i].buckets[k];
        h->n_histograms = m->heartbeat.n_histograms;
    }
}

static void answer_message(fake_coordinator *f, const net_incoming *in, const fake_answer *a,
                           bool is_known)
{
    static wire_server_address addresses[] = {{0, "tcp://h:1"}, {1, "tcp://h:2"}};
    wire_message m = {.message_id = in->message.message_id};
    if (a->refusal != NULL || !is_known) {
        m.type = WIRE_REFUSED;
        m.refused = (wire_refused){.status = (char *)(a->refusal != NULL ? a->refusal : "refused"),
                                   .text = "because of the test",
                                   .register_again = a->refusal == NULL};
    } else {
        m.type = WIRE_RUN_STATE;
        m.run_state = (wire_run_state){.phase = a->phase,
                                       .version = a->version,
                                       .generation = a->generation,
                                       .tokenizer_path = "t.model",
                                       .tokenizer_sha256 = "",
                                       .queue_url = "unix:/nowhere",
                                       .n_servers = a->n_servers,
                                       .servers = addresses,
                                       .n_addresses = a->n_addresses};
    }
    rt_error err = {0};
    if (net_server_send(f->server, &in->peer, &m, NULL, 0, &err) != RT_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

static void *serve(void *context)
{
    fake_coordinator *f = context;
    for (;;) {
        net_incoming in = {0};
        pthread_mutex_lock(&f->mutex);
        bool stopping = f->stopping;
        pthread_mutex_unlock(&f->mutex);
        if (stopping) return NULL;
        if (net_server_receive(f->server, 20, &in, NULL) != RT_OK) continue;
        pthread_mutex_lock(&f->mutex);
        remember(f, &in.message);
        fake_answer answer = f->answer;
        bool is_known = !answer.register_again || f->knows_sender;
        pthread_cond_broadcast(&f->heard_more);
        pthread_mutex_unlock(&f->mutex);
        if (!answer.silent) answer_message(f, &in, &answer, is_known);
        net_incoming_free(&in);
    }
}

fake_coordinator *fake_coordinator_start(const char *endpoint)
{
    fake_coordinator *f = calloc(1, sizeof *f);
    net_identity who = {.run_id = "t", .sender = "coordinator", .incarnation = 1};
    rt_error err = {0};
    RT_ASSERT(f != NULL);
    pthread_mutex_init(&f->mutex, NULL);
    pthread_cond_init(&f->heard_more, NULL);
    if (net_server_open(&who, endpoint, NULL, &f->server, &err) != RT_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    RT_ASSERT(pthread_create(&f->thread, NULL, serve, f) == 0);
    return f;
}

void fake_coordinator_stop(fake_coordinator *f)
{
    pthread_mutex_lock(&f->mutex);
    f->stopping = true;
    pthread_mutex_unlock(&f->mutex);
    pthread_join(f->thread, NULL);
    net_server_close(f->server);
    pthread_cond_destroy(&f->heard_more);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

void fake_coordinator_set(fake_coordinator *f, fake_answer answer)
{
    pthread_mutex_lock(&f->mutex);
    f->answer = answer;
    f->knows_sender = false;
    pthread_mutex_unlock(&f->mutex);
}

fake_heard fake_coordinator_wait(fake_coordinator *f, unsigned n_registers, unsigned n_heartbeats)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&f->mutex);
    int code = 0;
    while (code == 0 &&
           (f->heard.n_registers < n_registers || f->heard.n_heartbeats < n_heartbeats))
        code = pthread_cond_timedwait(&f->heard_more, &f->mutex, &until);
    fake_heard heard = f->heard;
    pthread_mutex_unlock(&f->mutex);
    RT_ASSERT(code == 0);
    return heard;
}
