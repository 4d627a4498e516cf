#include "worker/serve/engine.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

/* How long the thread sleeps at most while it has nothing to do. */
#define IDLE_MS 1000

/* Two hold a job: the engine until it has ended, the waiter until job_release(). */
struct job {
    engine *e;
    job *next;        /* in the list of all jobs, guarded by e->mutex */
    completion *c;    /* the engine thread's alone once submitted */
    size_t n_begun;   /* decodings that have had a slot; engine thread */
    size_t n_running; /* decodings in slots; engine thread */
    uint64_t submitted_ms, deadline_ms;
    bool has_token; /* engine thread */
    /* guarded by e->mutex */
    job_waiter waiter;
    bool asleep;
    bool released; /* the waiter has let go */
    bool gone;     /* its client went away */
    bool ended;    /* the engine is done with it */
    bool failed;
    api_error problem;
    rt_buf output;
    size_t n_read;
};

/* Who decodes in a slot. */
typedef struct tenant {
    job *j; /* NULL: nobody */
    size_t i_decoding;
} tenant;

struct engine {
    served_model *m;
    engine_settings how;
    serve_stats *stats;
    decode_slots *slots;   /* engine thread */
    tenant *tenants;       /* [n_slots], engine thread */
    decoded_token *tokens; /* [n_slots], engine thread */
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t mutex; /* guards the rest, and parts of each job */
    pthread_cond_t work;
    job *first, *last; /* all jobs in the order they came */
    size_t n_jobs, n_waiting;
    bool draining, aborting, closing;
};

/* ---- jobs, mutex held ---- */

static void wake(job *j)
{
    if (!j->asleep) return;
    j->asleep = false;
    j->waiter.wake(j->waiter.context);
}

/* When neither side needs it: out of the list and gone. */
static void drop_if_done(job *j)
{
    engine *e = j->e;
    if (!j->ended || !j->released) return;
    job **at = &e->first, *before = NULL;
    while (*at != j) {
        before = *at;
        at = &(*at)->next;
    }
    *at = j->next;
    if (e->last == j) e->last = before;
    e->n_jobs--;
    completion_free(j->c);
    rt_buf_free(&j->output);
    free(j);
}

static bool is_waiting(const job *j)
{
    return !j->ended && j->n_begun == 0;
}

static void show_line(engine *e)
{
    stats_set(e->stats->waiting, (double)e->n_waiting);
    stats_set(e->stats->slots_used, (double)decode_slots_n_used(e->slots));
}

static void end_job(job *j)
{
    if (is_waiting(j)) j->e->n_waiting--;
    j->ended = true;
    wake(j);
    drop_if_done(j);
}

static void fail_job(job *j, api_problem problem, const char *text)
{
    j->failed = true;
    api_refuse(&j->problem, problem, NULL, "%s", text);
    end_job(j);
}

/* ---- the engine's thread ---- */

static void release_slots(engine *e, const job *j)
{
    for (size_t i = 0; i < e->how.n_slots; i++) {
        if (e->tenants[i].j != j) continue;
        decode_slots_release(e->slots, (uint32_t)i);
        e->tenants[i] = (tenant){0};
    }
}

/* End what nobody waits for, and what has waited too long. Mutex held. */
static void reap(engine *e, uint64_t now_ms)
{
    for (job *j = e->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->ended) continue;
        bool unwanted = j->released || j->gone;
        if (!unwanted && !e->aborting && now_ms < j->deadline_ms) continue;
        release_slots(e, j);
        if (unwanted) {
            stats_add(e->stats->cancelled, 1);
            end_job(j);
        } else if (e->aborting) {
            fail_job(j, API_DRAINING, "the server is shutting down");
        } else {
            stats_add(e->stats->timeouts, 1);
            fail_job(j, API_TIMEOUT, "the request took longer than this server allows");
        }
    }
}

/* Give free slots to decodings, in the order of the jobs. Mutex held. */
static void fill_slots(engine *e)
{
    for (job *j = e->first, *next; j != NULL && decode_slots_n_free(e->slots) > 0; j = next) {
        next = j->next;
        while (!j->ended && j->n_begun < completion_n_decodings(j->c) &&
               decode_slots_n_free(e->slots) > 0) {
            decoding_request ask;
            uint32_t i_slot;
            rt_error err = {0};
            completion_decoding(j->c, j->n_begun, &ask);
            if (decode_slots_add(e->slots, &ask.prompt, &ask.options, ask.n_top, &i_slot, &err) !=
                RT_OK) {
                rt_log_error("serve.add", "%s", err.text);
                release_slots(e, j);
                fail_job(j, API_INTERNAL, "the request cannot be decoded");
                break;
            }
            if (j->n_begun == 0) e->n_waiting--;
            e->tenants[i_slot] = (tenant){.j = j, .i_decoding = j->n_begun++};
            j->n_running++;
        }
    }
}

/* Hand bytes to the waiter, and the end when it has come. */
static void deliver(job *j, rt_buf *out, bool done)
{
    engine *e = j->e;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    bool kept = rt_buf_add(&j->output, out->data != NULL ? out->data : "", out->n, NULL) == RT_OK;
    if (!kept) {
        release_slots(e, j);
        fail_job(j, API_INTERNAL, "no memory for the answer");
    } else if (done) {
        end_job(j);
    } else if (out->n > 0) {
        wake(j);
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

static void fail_outside(job *j, const rt_error *err)
{
    engine *e = j->e;
    rt_log_error("serve.answer", "%s", err->text);
    release_slots(e, j);
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    fail_job(j, API_INTERNAL, "no memory for the answer");
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

static void note_first_token(job *j)
{
    engine *e = j->e;
    if (j->has_token) return;
    j->has_token = true;
    stats_observe(e->stats->first_token_s, (double)(rt_clock_mono_ms() - j->submitted_ms) / 1000.0);
    stats_add(e->stats->prompt_tokens, (double)completion_usage(j->c).n_prompt);
}

/* The job cannot go away meanwhile: only its end, which this thread decides, and the waiter's release
 * together free it. */
static void take_token(engine *e, const decoded_token *token)
{
    tenant *at = &e->tenants[token->i_slot];
    job *j = at->j;
    rt_buf out = {0};
    rt_error err = {0};
    bool ends = false;
    if (j == NULL) return; /* its job failed in this step */
    size_t i_decoding = at->i_decoding;
    note_first_token(j);
    rt_status st = completion_take(j->c, i_decoding, token, &ends, &out, &err);
    if (st == RT_OK && ends) {
        decode_slots_release(e->slots, token->i_slot);
        *at = (tenant){0};
        j->n_running--;
    }
    bool done = st == RT_OK && completion_is_done(j->c);
    if (done) st = completion_finish(j->c, &out, &err);
    if (st != RT_OK)
        fail_outside(j, &err);
    else if (done || out.n > 0)
        deliver(j, &out, done);
    rt_buf_free(&out);
}

static void fail_all(engine *e, const rt_error *err)
{
    rt_log_error("serve.step", "%s", err->text);
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    for (job *j = e->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->ended || j->n_running == 0) continue;
        release_slots(e, j);
        fail_job(j, API_INTERNAL, "no memory to decode");
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

static void step(engine *e)
{
    size_t n = 0;
    rt_error err = {0};
    if (decode_slots_step(e->slots, e->tokens, &n, &err) != RT_OK) {
        fail_all(e, &err);
        return;
    }
    stats_add(e->stats->steps, 1);
    stats_add(e->stats->completion_tokens, (double)n);
    for (size_t i = 0; i < n; i++) take_token(e, &e->tokens[i]);
}

/* Sleep until there is something to do, or the next deadline may have come. Mutex held. */
static void wait_for_work(engine *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_MS / 1000;
    pthread_cond_timedwait(&e->work, &e->mutex, &until);
}

static void *run(void *context)
{
    engine *e = context;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    while (!e->closing) {
        reap(e, rt_clock_mono_ms());
        fill_slots(e);
        show_line(e);
        if (decode_slots_n_used(e->slots) == 0) {
            wait_for_work(e);
            continue;
        }
        RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
        step(e);
        RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    return NULL;
}

/* ---- from outside ---- */

static rt_status start_thread(engine *e, rt_error *err)
{
    sigset_t blocked, before;
    sigfillset(&blocked); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = pthread_create(&e->thread, NULL, run, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return rt_fail(err, RT_NOMEM, "thread of the engine: %s", strerror(code));
    e->has_thread = true;
    return RT_OK;
}

static void init_lock(engine *e)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&e->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&e->work, &attributes);
    pthread_condattr_destroy(&attributes);
}

rt_status engine_open(served_model *m, const engine_settings *how, serve_stats *counters,
                      engine **out, rt_error *err)
{
    rt_status st = RT_OK;
    engine *e = rt_calloc(1, sizeof *e);
    if (e == NULL) return rt_fail(err, RT_NOMEM, "engine");
    e->m = m;
    e->how = *how;
    e->stats = counters;
    init_lock(e);
    e->tenants = rt_calloc(how->n_slots, sizeof *e->tenants);
    e->tokens = rt_calloc(how->n_slots, sizeof *e->tokens);
    if (e->tenants == NULL || e->tokens == NULL) {
        st = rt_fail(err, RT_NOMEM, "engine of %zu slots", how->n_slots);
        goto out;
    }
    if ((st = decode_slots_new(m->model, how->n_slots, &e->slots, err)) != RT_OK) goto out;
    stats_set(counters->slots, (double)how->n_slots);
    if ((st = start_thread(e, err)) != RT_OK) goto out;
    *out = e;
    e = NULL;
out:
    engine_close(e);
    return st;
}

void engine_close(engine *e)
{
    if (e == NULL) return;
    if (e->has_thread) {
        RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
        e->closing = true;
        pthread_cond_signal(&e->work);
        RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
        pthread_join(e->thread, NULL);
    }
    for (job *j = e->first, *next; j != NULL; j = next) { /* released, not reaped yet */
        next = j->next;
        RT_ASSERT(j->released);
        j->ended = true;
        drop_if_done(j);
    }
    decode_slots_free(e->slots);
    free(e->tenants);
    free(e->tokens);
    pthread_cond_destroy(&e->work);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

static void append(engine *e, job *j)
{
    if (e->last != NULL)
        e->last->next = j;
    else
        e->first = j;
    e->last = j;
    e->n_jobs++;
    e->n_waiting++;
    pthread_cond_signal(&e->work);
}

bool engine_submit(engine *e, completion **c, const job_waiter *waiter, job **out, api_error *why)
{
    job *j = rt_calloc(1, sizeof *j);
    if (j == NULL) return api_refuse(why, API_INTERNAL, NULL, "no memory for the request");
    uint64_t now_ms = rt_clock_mono_ms();
    *j = (job){.e = e,
               .c = *c,
               .waiter = *waiter,
               .submitted_ms = now_ms,
               .deadline_ms = now_ms + e->how.timeout_ms};
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    bool taken = !e->draining && e->n_waiting < e->how.n_waiting_max;
    if (e->draining)
        api_refuse(why, API_DRAINING, NULL, "the server finishes what it has and takes no more");
    else if (!taken)
        api_refuse(why, API_LINE_FULL, NULL, "%zu requests are waiting already, at most %zu may",
                   e->n_waiting, e->how.n_waiting_max);
    else
        append(e, j);
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    if (!taken) {
        free(j);
        return false;
    }
    *c = NULL;
    *out = j;
    return true;
}

void engine_drain(engine *e)
{
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    e->draining = true;
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    stats_set(e->stats->draining, 1);
}

void engine_abort(engine *e)
{
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    e->draining = e->aborting = true;
    pthread_cond_signal(&e->work);
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

size_t engine_n_jobs(engine *e)
{
    size_t n = 0;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    for (const job *j = e->first; j != NULL; j = j->next) n += !j->released;
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    return n;
}

size_t engine_n_running(engine *e)
{
    size_t n = 0;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    for (const job *j = e->first; j != NULL; j = j->next) n += !j->ended;
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    return n;
}

void engine_sweep(engine *e, bool (*is_gone)(void *context))
{
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    for (job *j = e->first, *next; j != NULL; j = next) {
        next = j->next;
        if (!j->asleep || j->ended || !is_gone(j->waiter.context)) continue;
        j->gone = j->failed = true;
        api_refuse(&j->problem, API_TIMEOUT, NULL, "the client went away");
        wake(j);
        pthread_cond_signal(&e->work);
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

/* ---- the waiter's side ---- */

static job_state look(job *j)
{
    if (j->output.n > j->n_read && (j->ended || completion_is_stream(j->c))) return JOB_OUTPUT;
    if (j->failed) return JOB_FAILED;
    if (j->ended) return JOB_DONE;
    j->asleep = true;
    j->waiter.sleep(j->waiter.context);
    return JOB_RUNNING;
}

job_state job_read(job *j, char *out, size_t n_max, size_t *n)
{
    RT_ASSERT(pthread_mutex_lock(&j->e->mutex) == 0);
    job_state state = look(j);
    *n = 0;
    if (state == JOB_OUTPUT) {
        *n = RT_MIN(n_max, j->output.n - j->n_read);
        memcpy(out, j->output.data + j->n_read, *n);
        j->n_read += *n;
        if (j->n_read == j->output.n) { /* a stream's memory does not grow */
            rt_buf_clear(&j->output);
            j->n_read = 0;
        }
    }
    RT_ASSERT(pthread_mutex_unlock(&j->e->mutex) == 0);
    return state;
}

job_state job_read_all(job *j, rt_buf *out)
{
    RT_ASSERT(pthread_mutex_lock(&j->e->mutex) == 0);
    job_state state = look(j);
    if (state == JOB_OUTPUT) {
        rt_buf_free(out);
        *out = j->output;
        j->output = (rt_buf){0};
        j->n_read = 0;
    }
    RT_ASSERT(pthread_mutex_unlock(&j->e->mutex) == 0);
    return state;
}

void job_problem(job *j, api_error *out)
{
    RT_ASSERT(pthread_mutex_lock(&j->e->mutex) == 0);
    *out = j->problem;
    RT_ASSERT(pthread_mutex_unlock(&j->e->mutex) == 0);
}

void job_release(job *j)
{
    engine *e = j->e;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    uint64_t took_ms = rt_clock_mono_ms() - j->submitted_ms;
    j->released = true;
    j->asleep = false;
    drop_if_done(j);
    pthread_cond_signal(&e->work);
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    stats_observe(e->stats->request_s, (double)took_ms / 1000.0);
}
