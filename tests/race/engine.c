/* Clients of `retort serve` ask, read, go away and are swept while lanes decode; then all is aborted. */
#include <stdatomic.h>
#include <string.h>

#include "tests/race/threads.h"
#include "tests/unit/worker/serve/served_tiny.h"
#include "tests/unit/worker/serve/sleeping_client.h"

#define ASKED 12 /* by each thread */

static const char *const bodies[] = {
    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":12}",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"b\"}],\"max_tokens\":12,\"stream\":true}",
    "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":8,\"temperature\":2,\"seed\":3,"
    "\"n\":3}"};

typedef struct stage {
    tiny_server t;
    serve_stats counters;
    engine *e;
    atomic_uint n_done;
} stage;

static job_state read_all(job *j, sleeping_client *c)
{
    char bytes[37];
    size_t n;
    for (;;) {
        job_state state = job_read(j, bytes, sizeof bytes, &n);
        if (state == JOB_DONE || state == JOB_FAILED) return state;
        if (state != JOB_RUNNING) continue;
        sleeping_client_wait(c);
    }
}

static void ask(stage *s, size_t i)
{
    serve_limits limits = {.max_tokens = 40};
    serve_request request = {0};
    completion *work = NULL;
    api_error why = {0};
    job *j = NULL;
    sleeping_client c;
    job_waiter waiter = sleeping_client_waiter(&c);
    const char *body = bodies[i % RT_COUNT(bodies)];
    RT_ASSERT(serve_request_parse(SERVE_CHAT, body, strlen(body), &limits, &request, &why));
    RT_ASSERT(completion_new(s->t.m, &request, "1", 5, 9, &work, &why));
    if (!engine_submit(s->e, &work, &waiter, &j, &why)) {
        completion_free(work);
        return;
    }
    if (i % 4 == 3) { /* its client goes away at once */
        job_release(j);
        return;
    }
    if (read_all(j, &c) == JOB_DONE) atomic_fetch_add(&s->n_done, 1);
    job_release(j);
}

static void *be_a_client(void *context)
{
    stage *s = context;
    for (size_t i = 0; i < ASKED; i++) {
        ask(s, i);
        engine_sweep(s->e, sleeping_client_is_gone);
        (void)engine_n_running(s->e);
    }
    return NULL;
}

static void *abort_soon(void *context)
{
    stage *s = context;
    ask(s, 0);
    engine_abort(s->e);
    return NULL;
}

int main(void)
{
    stage s = {.t = served_tiny_open(true)};
    engine_settings how = {.n_slots = 5, .n_threads = 2, .n_waiting_max = 50, .timeout_ms = 60000};
    rt_error err = {0};
    RT_ASSERT(serve_stats_open(&s.counters, &err) == RT_OK);
    RT_ASSERT(engine_open(s.t.m, &how, &s.counters, &s.e, &err) == RT_OK);
    race_together(be_a_client, &s);
    RT_ASSERT(atomic_load(&s.n_done) == RACE_THREADS * ASKED * 3 / 4);
    race_together(abort_soon, &s);
    RT_ASSERT(engine_n_jobs(s.e) == 0);
    engine_close(s.e);
    serve_stats_close(&s.counters);
    served_tiny_close(&s.t);
    return 0;
}
