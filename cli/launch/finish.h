/* What follows a complete run: export the student, score it (and its teacher), train and score the
 * control, write summary.json, show the result. Each step is a process of its own, so that a crash
 * in one names itself, and its output is kept in the run directory:
 *
 *     <run_dir>/student/        exported model          <run_dir>/eval.json    scores
 *     <run_dir>/control/...     the same for the control
 *     <run_dir>/summary.json    all of it in figures
 *     <run_dir>/report.html     ... as a page
 */
#ifndef RT_CLI_LAUNCH_FINISH_H
#define RT_CLI_LAUNCH_FINISH_H

#include "cli/launch/launcher.h"

/* Everything after launch_run() returned EXIT_CODE_OK. `started_s` is rt_clock_mono_s() at the
 * start of the command. */
exit_code finish_run(const config *c, const launch_options *how, double started_s, rt_error *err);

#endif
