/* <run>/metrics.jsonl: one line per applied step and per evaluation, in order, each once.
 *
 *   {"kind":"step","step":12,"loss":1.9,"tasks":{"predict":{"sum":..,"count":..}},"grad_norm":..,
 *    "epoch":0,"records":40,"tokens":3900,"total_tokens":46800,"seconds":3.2,"tokens_per_s":..}
 *   {"kind":"evaluation","version":100,"records":60,"loss":..,"exact":..,"tasks":{..}}
 *
 * Each line ends with its check (common/base/line_check.h). A line that does not fit it is refused.
 * "step" counts applied updates: step 12 led to version 12. After a rewind a step is computed again
 * with the same bits; its second line is not written. "seconds" is the time trained so far,
 * restarts included.
 */
#ifndef RT_COORDINATOR_METRICS_LOG_H
#define RT_COORDINATOR_METRICS_LOG_H

#include "common/wire/messages.h"
#include "coordinator/eval_board.h"

typedef struct metrics_log metrics_log;

typedef struct metrics_step {
    uint64_t step; /* version that the update leads to */
    double loss;   /* weighted over tasks */
    wire_sums sums;
    double grad_norm;
    uint64_t epoch, n_records, n_tokens;
    double seconds;
    double tokens_per_s;
    const uint64_t *staleness; /* [WIRE_STALE_MAX]; NULL: mode sync has none */
} metrics_step;

/* Opens or makes the file, cuts a torn tail, and puts the evaluations it holds on the board.
 * Returns new; metrics_log_close(). */
RT_MUST_USE rt_status metrics_log_open(const char *path, eval_board *board, metrics_log **out,
                                       rt_error *err);
void metrics_log_close(metrics_log *log);
/* [WIRE_STALE_MAX] as a list that ends with the last that is not 0; NULL for NULL. Returns new. */
struct json_t *staleness_to_json(const uint64_t *staleness);
/* A step that is in the file already is passed over. */
RT_MUST_USE rt_status metrics_log_step(metrics_log *log, const metrics_step *step, rt_error *err);
/* Durable when it returns. */
RT_MUST_USE rt_status metrics_log_evaluation(metrics_log *log, const eval_score *score,
                                             rt_error *err);
uint64_t metrics_log_last_step(const metrics_log *log);
uint64_t metrics_log_n_tokens(const metrics_log *log);
double metrics_log_seconds(const metrics_log *log);
/* Micro-batches of all steps by versions behind them, [WIRE_STALE_MAX]. */
const uint64_t *metrics_log_staleness(const metrics_log *log);
/* Loss of the newest step; NaN before the first. */
double metrics_log_loss(const metrics_log *log);
/* The same by task, [TASK_COUNT]; NaN for one that was not in it. */
const double *metrics_log_losses(const metrics_log *log);

#endif
