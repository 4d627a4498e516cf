#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "worker/serve/engine_state.h"

/* ---- jobs, mutex held ---- */

void job_wake(job *j)
{
    if (!j->asleep) return;
    j->asleep = false;
    j->waiter.wake(j->waiter.context);
}

void job_drop_if_done(job *j)
{
    engine *e = j->e;
    if (!j->ended || !j->released || j->n_held > 0) return;
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
    pthread_mutex_destroy(&j->answering);
    free(j);
}

static bool is_waiting(const job *j)
{
    return !j->ended && j->n_begun == 0;
}

void engine_show_line(engine *e)
{
    size_t n_used = 0;
    for (size_t i = 0; i < e->n_lanes; i++) n_used += e->lanes[i].n_used;
    stats_set(e->stats->waiting, (double)e->n_waiting);
    stats_set(e->stats->slots_used, (double)n_used);
}

void job_end(job *j)
{
    if (is_waiting(j)) j->e->n_waiting--;
    j->ended = true;
    job_wake(j);
    job_drop_if_done(j);
}

void job_fail(job *j, api_problem problem, const char *text)
{
    j->failed = true;
    api_refuse(&j->problem, problem, NULL, "%s", text);
    job_end(j);
}

void engine_reap(engine *e, uint64_t now_ms)
{
    for (job *j = e->first, *next; j != NULL; j = next) {
        next = j->next;
        if (j->ended) continue;
        bool unwanted = j->released || j->gone;
        if (!unwanted && !e->aborting && now_ms < j->deadline_ms) continue;
        if (unwanted) {
            stats_add(e->stats->cancelled, 1);
            job_end(j);
        } else if (e->aborting) {
            job_fail(j, API_DRAINING, "the server is shutting down");
        } else {
            stats_add(e->stats->timeouts, 1);
            job_fail(j, API_TIMEOUT, "the request took longer than this server allows");
        }
    }
}

/* ---- from outside ---- */

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
    RT_ASSERT(how->n_threads > 0 && how->n_slots > 0);
    e->m = m;
    e->how = *how;
    e->stats = counters;
    init_lock(e);
    e->n_lanes = RT_MIN(how->n_threads, how->n_slots);
    e->lanes = rt_calloc(e->n_lanes, sizeof *e->lanes);
    if (e->lanes == NULL) {
        e->n_lanes = 0;
        st = rt_fail(err, RT_NOMEM, "engine of %zu threads", how->n_threads);
    }
    for (size_t i = 0; st == RT_OK && i < e->n_lanes; i++) st = lane_open(e, i, err);
    stats_set(counters->slots, (double)how->n_slots);
    for (size_t i = 0; st == RT_OK && i < e->n_lanes; i++) st = lane_start(&e->lanes[i], err);
    if (st == RT_OK) {
        *out = e;
        e = NULL;
    }
    engine_close(e);
    return st;
}

/* The lanes have ended: what a slot still holds was released and not vacated yet. */
static void drop_all(engine *e)
{
    for (job *j = e->first, *next; j != NULL; j = next) {
        next = j->next;
        RT_ASSERT(j->released);
        j->ended = true;
        j->n_held = 0;
        job_drop_if_done(j);
    }
}

void engine_close(engine *e)
{
    if (e == NULL) return;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    e->closing = true;
    pthread_cond_broadcast(&e->work);
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    for (size_t i = 0; i < e->n_lanes; i++) lane_join(&e->lanes[i]);
    drop_all(e);
    for (size_t i = 0; i < e->n_lanes; i++) lane_close(&e->lanes[i]);
    free(e->lanes);
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
    pthread_mutex_init(&j->answering, NULL);
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
        pthread_mutex_destroy(&j->answering);
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
    pthread_cond_broadcast(&e->work);
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
        job_wake(j);
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
    job_drop_if_done(j);
    pthread_cond_signal(&e->work);
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    stats_observe(e->stats->request_s, (double)took_ms / 1000.0);
}
