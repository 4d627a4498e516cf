/* The curves of a run: a point every so often, never more than HISTORY_POINTS_MAX. Pure: time is an
 * argument.
 *
 *     if (history_is_due(h, t_s)) history_add(h, &point);
 *     st = history_to_json(h, since, &out, err);      // {"seq":..,"points":[..],"evaluations":[..]}
 *
 * When it is full, every second point goes and the interval doubles: a run of a minute has a point
 * each second, one of a month each half hour, and both fit on a screen. Evaluations are kept beside
 * them in the same way. Points and evaluations share one count of numbers, which outlives a restart:
 *
 *     {"kind":"history","interval_s":4}          a line of the file: how far apart points are
 *     {"kind":"point","seq":17,"time":..,..}     as /api/history shows it, with its kind
 *     {"kind":"evaluation","seq":18,..}
 */
#ifndef RT_COORDINATOR_HISTORY_H
#define RT_COORDINATOR_HISTORY_H

#include "common/base/bytes.h"
#include "common/dataset/task_text.h"

#define HISTORY_POINTS_MAX      2048
#define HISTORY_EVALUATIONS_MAX 2048
#define HISTORY_INTERVAL_S      1.0 /* at first */

/* NaN is a number that is not known yet. */
typedef struct history_point {
    uint64_t seq;
    double time_s; /* since 1970 */
    double t_s;    /* the run's own seconds: those of all its coordinators */
    uint64_t n_labelled, n_rejected;
    double labelled_per_s;
    uint64_t step;
    double loss, losses[TASK_COUNT]; /* nats per token; of the step, weighted, and by task */
    double tokens_per_s, mflops_per_s, grad_norm;
    uint64_t n_labels_queue, n_batches_queue;
    double cost;
    uint64_t n_teachers, n_students, n_servers; /* alive */
} history_point;

typedef struct history_evaluation {
    uint64_t seq, version;
    double time_s; /* NaN: nobody knows */
    double loss, exact, losses[TASK_COUNT];
} history_evaluation;

/* history_start() makes an empty one. */
typedef struct history {
    history_point points[HISTORY_POINTS_MAX];
    history_evaluation evaluations[HISTORY_EVALUATIONS_MAX];
    size_t n, n_evaluations;
    uint64_t seq; /* the newest number given; 0: none */
    double interval_s;
} history;

void history_start(history *h);
bool history_is_due(const history *h, double t_s);
/* Takes a copy under the next number, which it also writes into *p. */
void history_add(history *h, history_point *p);
/* The same version again is dropped: false. */
bool history_add_evaluation(history *h, history_evaluation *e);
/* The newest point's time, 0 without one. */
double history_t_s(const history *h);

/* Append one as a JSON object. */
RT_MUST_USE rt_status history_point_to_json(const history_point *p, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status history_evaluation_to_json(const history_evaluation *e, rt_buf *out,
                                                 rt_error *err);
/* Append all after number `since`; one that was never given counts as 0. */
RT_MUST_USE rt_status history_to_json(const history *h, uint64_t since, rt_buf *out, rt_error *err);

/* Append the lines of a file that holds it all. */
RT_MUST_USE rt_status history_to_lines(const history *h, rt_buf *out, rt_error *err);
/* Append one line of the file. */
RT_MUST_USE rt_status history_point_line(const history_point *p, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status history_evaluation_line(const history_evaluation *e, rt_buf *out,
                                              rt_error *err);
/* Take a line of such a file, without its newline. False for one that is none, or does not follow what
 * is there: it is left out. */
bool history_take_line(history *h, const char *text, size_t n);

#endif
