#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "worker/serve/engine_state.h"

/* How long a lane sleeps at most while it has nothing to do. */
#define IDLE_MS 1000

/* ---- mutex held ---- */

static void leave(lane *l, size_t i_slot)
{
    job *j = l->tenants[i_slot].j;
    decode_slots_release(l->slots, (uint32_t)i_slot);
    l->tenants[i_slot] = (tenant){0};
    j->n_held--;
    job_drop_if_done(j);
}

/* Free the slots of jobs that have ended, here or in another lane. */
static void vacate(lane *l)
{
    for (size_t i = 0; i < l->n_slots; i++)
        if (l->tenants[i].j != NULL && l->tenants[i].j->ended) leave(l, i);
}

/* Begin the next decoding of a job. */
static bool begin(lane *l, job *j)
{
    decoding_request ask;
    uint32_t i_slot;
    rt_error err = {0};
    completion_decoding(j->c, j->n_begun, &ask);
    if (decode_slots_add(l->slots, &ask.prompt, &ask.options, ask.n_top, &i_slot, &err) != RT_OK) {
        rt_log_error("serve.add", "%s", err.text);
        return false;
    }
    if (j->n_begun == 0) l->e->n_waiting--;
    l->tenants[i_slot] = (tenant){.j = j, .i_decoding = j->n_begun++};
    j->n_held++;
    return true;
}

/* Give free slots to decodings, in the order of the jobs. What finds none is another lane's, should
 * one sleep. */
static void fill_slots(lane *l)
{
    for (job *j = l->e->first, *next; j != NULL; j = next) {
        next = j->next;
        while (!j->ended && j->n_begun < completion_n_decodings(j->c)) {
            if (decode_slots_n_free(l->slots) == 0) {
                pthread_cond_signal(&l->e->work);
                return;
            }
            if (begin(l, j)) continue;
            job_fail(j, API_INTERNAL, "the request cannot be decoded");
            break;
        }
    }
}

/* Sleep until there is something to do, or the next deadline may have come. */
static void wait_for_work(engine *e)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_MS / 1000;
    pthread_cond_timedwait(&e->work, &e->mutex, &until);
}

/* ---- no mutex held ---- */

/* Hand bytes to the waiter, and the end when it has come. The caller answers for the job. */
static void deliver(job *j, rt_buf *out, bool done)
{
    engine *e = j->e;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    if (!j->ended) {
        const char *bytes = out->data != NULL ? out->data : "";
        if (rt_buf_add(&j->output, bytes, out->n, NULL) != RT_OK)
            job_fail(j, API_INTERNAL, "no memory for the answer");
        else if (done)
            job_end(j);
        else if (out->n > 0)
            job_wake(j);
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
}

static void break_off(job *j, const rt_error *err)
{
    engine *e = j->e;
    rt_log_error("serve.answer", "%s", err->text);
    j->broken = true;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    if (!j->ended) job_fail(j, API_INTERNAL, "no memory for the answer");
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

/* Add a token to its answer; true when the decoding wants no more. */
static bool extend_answer(job *j, size_t i_decoding, const decoded_token *token)
{
    rt_buf out = {0};
    rt_error err = {0};
    bool ends = false;
    note_first_token(j);
    rt_status st = completion_take(j->c, i_decoding, token, &ends, &out, &err);
    bool done = st == RT_OK && completion_is_done(j->c);
    if (done) st = completion_finish(j->c, &out, &err);
    if (st != RT_OK)
        break_off(j, &err);
    else if (done || out.n > 0)
        deliver(j, &out, done);
    rt_buf_free(&out);
    return ends;
}

/* The job cannot go away meanwhile: the slot holds it. */
static void take_token(lane *l, const decoded_token *token)
{
    const tenant *at = &l->tenants[token->i_slot];
    job *j = at->j;
    bool ends = false;
    RT_ASSERT(pthread_mutex_lock(&j->answering) == 0);
    if (!j->broken) ends = extend_answer(j, at->i_decoding, token);
    RT_ASSERT(pthread_mutex_unlock(&j->answering) == 0);
    if (!ends) return;
    RT_ASSERT(pthread_mutex_lock(&l->e->mutex) == 0);
    leave(l, token->i_slot);
    RT_ASSERT(pthread_mutex_unlock(&l->e->mutex) == 0);
}

static void fail_all(lane *l, const rt_error *err)
{
    rt_log_error("serve.step", "%s", err->text);
    RT_ASSERT(pthread_mutex_lock(&l->e->mutex) == 0);
    for (size_t i = 0; i < l->n_slots; i++) {
        job *j = l->tenants[i].j;
        if (j != NULL && !j->ended) job_fail(j, API_INTERNAL, "no memory to decode");
    }
    RT_ASSERT(pthread_mutex_unlock(&l->e->mutex) == 0);
}

static void step(lane *l)
{
    size_t n = 0;
    rt_error err = {0};
    serve_stats *counters = l->e->stats;
    if (decode_slots_step(l->slots, l->tokens, &n, &err) != RT_OK) {
        fail_all(l, &err);
        return;
    }
    uint64_t n_read = decode_slots_n_tokens_read(l->slots);
    stats_add(counters->prompt_tokens_read, (double)(n_read - l->n_tokens_read));
    l->n_tokens_read = n_read;
    stats_add(counters->steps, 1);
    stats_add(counters->completion_tokens, (double)n);
    for (size_t i = 0; i < n; i++) take_token(l, &l->tokens[i]);
}

static void *run(void *context)
{
    lane *l = context;
    engine *e = l->e;
    RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    while (!e->closing) {
        engine_reap(e, rt_clock_mono_ms());
        vacate(l);
        fill_slots(l);
        l->n_used = decode_slots_n_used(l->slots);
        engine_show_line(e);
        if (l->n_used == 0) {
            wait_for_work(e);
            continue;
        }
        RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
        step(l);
        RT_ASSERT(pthread_mutex_lock(&e->mutex) == 0);
    }
    RT_ASSERT(pthread_mutex_unlock(&e->mutex) == 0);
    return NULL;
}

/* ---- from outside ---- */

rt_status lane_open(engine *e, size_t i_lane, rt_error *err)
{
    lane *l = &e->lanes[i_lane];
    model *m = e->m->model;
    rt_status st = RT_OK;
    l->e = e;
    l->n_slots = e->how.n_slots / e->n_lanes + (i_lane < e->how.n_slots % e->n_lanes);
    l->tenants = rt_calloc(l->n_slots, sizeof *l->tenants);
    l->tokens = rt_calloc(l->n_slots, sizeof *l->tokens);
    if (l->tenants == NULL || l->tokens == NULL)
        return rt_fail(err, RT_NOMEM, "engine of %zu slots", l->n_slots);
    if (i_lane > 0 && (st = model_new_view(m, &l->view, err)) != RT_OK) return st;
    return decode_slots_new(l->view != NULL ? l->view : m, l->n_slots, &l->slots, err);
}

void lane_join(lane *l)
{
    if (l->has_thread) pthread_join(l->thread, NULL);
    l->has_thread = false;
}

void lane_close(lane *l)
{
    decode_slots_free(l->slots);
    model_free(l->view);
    free(l->tenants);
    free(l->tokens);
}

rt_status lane_start(lane *l, rt_error *err)
{
    sigset_t blocked, before;
    sigfillset(&blocked); /* signals are the main thread's */
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int code = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) return rt_fail(err, RT_NOMEM, "thread of the engine: %s", strerror(code));
    l->has_thread = true;
    return RT_OK;
}
