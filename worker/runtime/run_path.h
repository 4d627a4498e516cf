/* Where a run keeps its files: "<run_dir>/<name>", run_dir being "runs/<name of the run>" unless
 * the config says otherwise. Target rt::worker_task; needs no socket. */
#ifndef RT_WORKER_RUNTIME_RUN_PATH_H
#define RT_WORKER_RUNTIME_RUN_PATH_H

#include "common/conf/config.h"

/* RT_FULL when it does not fit into out[0..n_out). An empty name gives the folder itself. */
RT_MUST_USE rt_status run_path(const config *c, const char *name, char *out, size_t n_out,
                               rt_error *err);
/* Folder of the answer cache (cache.dir): ".answers" in the folder that holds the run's unless the
 * config says otherwise. "" when it is off. */
RT_MUST_USE rt_status cache_path(const config *c, char *out, size_t n_out, rt_error *err);

#endif
