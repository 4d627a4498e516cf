/* The engine: the threads that decode, and the waiting line before them.
 *
 *     engine_open(model, &settings, &stats, &e, err);
 *     engine_submit(e, &completion, &waiter, &job, &why);       // takes the completion
 *     state = job_read(job, bytes, n_max, &n);                  // JOB_RUNNING: the waiter sleeps
 *     job_release(job);                                         // also when the client went away
 *
 *     submit ─► line ──► lane: slots, one for each decoding ──► output of the job ──► waiter
 *             (bounded)    lane:   step, step, step ...
 *
 * A lane is a thread with slots of its own; all read the same weights. Lanes never wait for each
 * other: threads that share each product would, hundreds of times for one token, and on a machine
 * with other work each of these waits is a time slice of the scheduler (docs/serve.md has numbers).
 *
 * A job is begun when a slot is free and no earlier job has decodings left to begin; each lane fills
 * its slots after every step of its own. One mutex, in the engine, guards the line and what jobs
 * share with their waiters; each job has another for the answer that its decodings make together,
 * always locked first. Decoding happens outside both. Knows no socket.
 */
#ifndef RT_WORKER_SERVE_ENGINE_H
#define RT_WORKER_SERVE_ENGINE_H

#include "worker/serve/completion.h"
#include "worker/serve/serve_stats.h"

typedef struct engine engine;
typedef struct job job;

typedef struct engine_settings {
    size_t n_slots;   /* of all lanes */
    size_t n_threads; /* lanes, at least 1; more than slots are not used */
    size_t n_waiting_max;
    uint64_t timeout_ms; /* from submit to the end of the answer */
} engine_settings;

/* Whoever waits for output. Both are called with the engine's mutex held and must not call the
 * engine; sleep() when a read found nothing, wake() once there is something. */
typedef struct job_waiter {
    void (*sleep)(void *context);
    void (*wake)(void *context);
    void *context;
} job_waiter;

/* Keeps model and counters. Returns new; engine_close(). */
RT_MUST_USE rt_status engine_open(served_model *m, const engine_settings *how,
                                  serve_stats *counters, engine **out, rt_error *err);
/* Every job must have been released. */
void engine_close(engine *e);

/* Takes *c on success. False with *why: API_LINE_FULL, API_DRAINING, API_INTERNAL. */
bool engine_submit(engine *e, completion **c, const job_waiter *waiter, job **out, api_error *why);
/* Refuse what comes from now on; what was taken is finished. */
void engine_drain(engine *e);
/* End every job with an error, soon: none sleeps once engine_n_running() is 0. */
void engine_abort(engine *e);
/* Jobs that were not released yet, and of these the ones that have not ended. */
size_t engine_n_jobs(engine *e);
size_t engine_n_running(engine *e);
/* Ask of every sleeping waiter whether its client is still there; wake and cancel where not. */
void engine_sweep(engine *e, bool (*is_gone)(void *context));

typedef enum job_state {
    JOB_RUNNING, /* nothing to read now: the waiter was put to sleep */
    JOB_OUTPUT,  /* bytes were read */
    JOB_DONE,    /* everything was read */
    JOB_FAILED,  /* ended early, see job_problem() */
} job_state;

/* Read what is there, up to n_max bytes. What is not a stream has output only when it is done. */
job_state job_read(job *j, char *out, size_t n_max, size_t *n);
/* The same, all at once: appends to *out. */
job_state job_read_all(job *j, rt_buf *out);
/* Why it failed. */
void job_problem(job *j, api_error *out);
/* The waiter is done with the job; what was not decoded yet will not be. */
void job_release(job *j);

#endif
