/* The run directory: one coordinator at a time, one configuration for ever. */
#ifndef RT_COORDINATOR_RUN_FOLDER_H
#define RT_COORDINATOR_RUN_FOLDER_H

#include "common/conf/config.h"

#define RUN_PATH_SIZE 1024

typedef struct run_folder {
    char path[RUN_PATH_SIZE];
    int lock_fd; /* -1: not held */
    char fingerprint[33];
    bool is_new; /* there was no run here before */
} run_folder;

/* Make the folder, take <run>/coordinator.lock (RT_EXISTS names its holder), compare with
 * <run>/config.yaml (RT_INVALID when what decides the student differs) and write it. */
RT_MUST_USE rt_status run_folder_open(const config *c, run_folder *out, rt_error *err);
/* Hold the lock alone, for a command that changes what a coordinator owns: nothing else is looked at
 * or written. RT_NOTFOUND when there is no such folder, RT_EXISTS names the coordinator. */
RT_MUST_USE rt_status run_folder_hold(const config *c, run_folder *out, rt_error *err);
/* Would run_folder_open() go? Takes no lock and writes nothing. Fills path and is_new, no lock_fd;
 * RT_EXISTS and RT_INVALID as there, after *out was filled as far as possible. */
RT_MUST_USE rt_status run_folder_look(const config *c, run_folder *out, rt_error *err);
void run_folder_close(run_folder *folder);
/* "<run>/<name>" into out[RUN_PATH_SIZE]. */
RT_MUST_USE rt_status run_folder_path(const run_folder *folder, const char *name,
                                      char out[RUN_PATH_SIZE], rt_error *err);
/* Write <run>/coordinator.json: where this coordinator is reached. */
RT_MUST_USE rt_status run_folder_announce(const run_folder *folder, const char *endpoint,
                                          const char *http, rt_error *err);

#endif
