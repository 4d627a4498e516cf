/* `retort stats --watch`: looks at a run until told to stop; on a terminal as a full screen, elsewhere
 * as a line for each look. */
#ifndef RT_CLI_WATCH_WATCH_H
#define RT_CLI_WATCH_WATCH_H

#include "cli/exit_codes.h"
#include "common/base/status.h"

typedef struct watch_settings {
    const char *run_dir; /* where the coordinator's address is; "": it is given */
    const char *address; /* "": see run_dir */
    const char *key_file;
    unsigned interval_ms;
    bool as_json; /* lines of /api/stats, whatever standard output is */
} watch_settings;

/* Returns an exit code; err is set for all but EXIT_CODE_OK and EXIT_CODE_INTERRUPTED. */
exit_code watch_run(const watch_settings *settings, rt_error *err);

#endif
