/* The steps that a shard gathers at once: its version, and as many behind it as its mode allows.
 *
 *     version 7, two ahead      step 7 ▮▮▮▯    step 8 ▮▯▯▯    step 9 ▯▯▯▯
 *                               applied next    arrived early; step 10 is AHEAD, step 6 STALE
 *
 *     gather_window_begin(w, version, false);          // restored: everything is forgotten
 *     g = gather_window_at(w, push->step);             // NULL outside of the window
 *     gather_window_begin(w, version + 1, true);       // applied: the window moves by one
 *
 * With nothing ahead this is one gather: mode sync.
 */
#ifndef RT_WORKER_PARAM_SERVER_GATHER_WINDOW_H
#define RT_WORKER_PARAM_SERVER_GATHER_WINDOW_H

#include "worker/param_server/gather.h"

/* What else a shard keeps of a step. */
typedef struct step_record {
    uint64_t staleness[WIRE_STALE_MAX]; /* micro-batches by versions behind the step */
    double *sum_squares;                /* [n_params] */
} step_record;

typedef struct gather_window gather_window;

/* Holds 1 + n_ahead gathers. Returns new; gather_window_free(). */
RT_MUST_USE rt_status gather_window_new(size_t n_floats, size_t n_params,
                                        uint32_t micro_batches_max, uint64_t n_ahead,
                                        gather_window **out, rt_error *err);
void gather_window_free(gather_window *w);
/* The window begins with `version`. `moves`: by one; what arrived for later steps stays. */
void gather_window_begin(gather_window *w, uint64_t version, bool moves);
uint64_t gather_window_version(const gather_window *w);
/* NULL outside of the window. */
gather *gather_window_at(gather_window *w, uint64_t step);
step_record *gather_window_record(gather_window *w, uint64_t step);

#endif
