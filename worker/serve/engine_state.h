/* The inside of the engine, shared by engine.c (the line, and what is seen from outside) and lane.c (the
 * threads that decode). */
#ifndef RT_WORKER_SERVE_ENGINE_STATE_H
#define RT_WORKER_SERVE_ENGINE_STATE_H

#include <pthread.h>

#include "worker/serve/engine.h"

/* Held by the engine until it has ended, by each slot that decodes it, and by the waiter until
 * job_release(). */
struct job {
    engine *e;
    uint64_t submitted_ms, deadline_ms;
    pthread_mutex_t answering; /* guards the next three; locked before e->mutex */
    completion *c;
    bool has_token;
    bool broken; /* c is not to be used any more */
    /* guarded by e->mutex */
    job *next;      /* in the list of all jobs */
    size_t n_begun; /* decodings that have had a slot */
    size_t n_held;  /* slots that decode it */
    job_waiter waiter;
    bool asleep;
    bool released; /* the waiter has let go */
    bool gone;     /* its client went away */
    bool ended;    /* nothing more will come */
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

/* A thread and what is its alone, but for n_used. */
typedef struct lane {
    engine *e;
    pthread_t thread;
    bool has_thread;
    size_t n_slots;
    model *view; /* NULL: the served model itself */
    decode_slots *slots;
    tenant *tenants;        /* [n_slots] */
    decoded_token *tokens;  /* [n_slots] */
    uint64_t n_tokens_read; /* of them, counted already */
    size_t n_used;          /* guarded by e->mutex */
} lane;

struct engine {
    served_model *m;
    engine_settings how;
    serve_stats *stats;
    lane *lanes;
    size_t n_lanes;
    pthread_mutex_t mutex; /* guards the rest, and parts of each job */
    pthread_cond_t work;   /* what lanes without a decoding wait for */
    job *first, *last;     /* all jobs in the order they came */
    size_t n_jobs, n_waiting;
    bool draining, aborting, closing;
};

/* With e->mutex held. */

/* Let the waiter read, if it sleeps. */
void job_wake(job *j);
/* Free the job when nobody holds it. */
void job_drop_if_done(job *j);
/* Nothing more will come. May free the job, unless a slot holds it. */
void job_end(job *j);
/* The same, and this is why. */
void job_fail(job *j, api_problem problem, const char *text);
/* End what nobody waits for, and what has waited too long. */
void engine_reap(engine *e, uint64_t now_ms);
/* Bring the gauges up to date. */
void engine_show_line(engine *e);

/* With no mutex held. */

/* Give lane i_lane its share of the slots. The first one reads the model itself. lane_close(). */
RT_MUST_USE rt_status lane_open(engine *e, size_t i_lane, rt_error *err);
RT_MUST_USE rt_status lane_start(lane *l, rt_error *err);
/* Once e->closing is set. */
void lane_join(lane *l);
void lane_close(lane *l);

#endif
