/* When to start a child again: pure decisions, no processes and no clock in here.
 *
 * A child that dies is started again after a back-off that doubles from 100 ms to 5 s; one that
 * dies more than `restarts_max` times within the window, or without any progress of the run in
 * between, ends the run. Exit codes for wrong usage and bad data end it at once: starting again
 * would not help.
 */
#ifndef RT_CLI_LAUNCH_SUPERVISOR_H
#define RT_CLI_LAUNCH_SUPERVISOR_H

#include "common/base/status.h"

#define SUPERVISOR_DEATHS_KEPT 64

typedef struct supervisor_policy {
    uint64_t restarts_max; /* at most SUPERVISOR_DEATHS_KEPT - 1 */
    uint64_t window_ms;
} supervisor_policy;

/* History of one child. Zero-initialise. */
typedef struct supervised {
    uint64_t deaths_ms[SUPERVISOR_DEATHS_KEPT]; /* ring of the latest */
    uint64_t n_deaths;
    uint64_t n_restarts;
    uint64_t n_deaths_stuck; /* since `progress` grew */
    uint64_t progress;       /* the most so far: a rewind is none */
    uint64_t restart_at_ms;
} supervised;

typedef enum supervisor_verdict {
    SUPERVISOR_RESTART, /* at child->restart_at_ms */
    SUPERVISOR_DONE,    /* it left because its work is done */
    SUPERVISOR_GIVE_UP, /* it dies too often */
    SUPERVISOR_FATAL,   /* it says that starting again will not help */
} supervisor_verdict;

/* A child left with `code`.
 * @param work_done  the run has nothing more for its role.
 * @param progress   a number that grows whenever the run gets on: rows and steps. */
supervisor_verdict supervisor_on_exit(supervised *child, const supervisor_policy *policy, int code,
                                      bool work_done, uint64_t progress, uint64_t now_ms);

#endif
