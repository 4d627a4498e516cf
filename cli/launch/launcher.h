/* The local launcher: a whole run as processes on this machine.
 *
 *     launch_options how = {.stage = LAUNCH_ALL, .config_path = "retort.yaml", .sets = sets};
 *     int code = launch_run(config, &how, &err);
 *
 * Starts Redis (unless queue.url is set), the coordinator, the shards, students and teachers;
 * starts again what dies; draws progress; on the first Ctrl-C drains so that the same command goes
 * on later, on the second stops at once. Pids are in <run_dir>/launcher.json, logs in
 * <run_dir>/logs/.
 */
#ifndef RT_CLI_LAUNCH_LAUNCHER_H
#define RT_CLI_LAUNCH_LAUNCHER_H

#include "cli/exit_codes.h"
#include "common/conf/config.h"

typedef enum launch_stage { LAUNCH_ALL, LAUNCH_LABEL, LAUNCH_TRAIN } launch_stage;

/* Borrows everything. */
typedef struct launch_options {
    launch_stage stage;
    const char *config_path;
    const char *const *sets; /* the user's --set texts, ended by NULL */
    const char *dataset;     /* LAUNCH_TRAIN: an existing dataset folder */
    const char *log_level;   /* for the children; NULL: info */
    bool quiet;              /* no progress */
} launch_options;

/* Run to the end of the stage. EXIT_CODE_OK with <run_dir>/result.json written, or why not (*err
 * says it). EXIT_CODE_INTERRUPTED after Ctrl-C. */
exit_code launch_run(const config *c, const launch_options *how, rt_error *err);

/* The resolved run directory of a config ("runs/<name>" by default). */
RT_MUST_USE rt_status launch_run_dir(const config *c, char *out, size_t n_out, rt_error *err);

#endif
