/* Child processes: start, signal, reap. The only file of the launcher that forks.
 *
 *     process_spec spec = {.argv = argv, .log_path = "runs/x/logs/teacher-0.log"};
 *     pid_t pid = 0;
 *     if ((st = process_start(&spec, &pid, err)) != RT_OK) goto out;
 *     process_exit e;
 *     if (process_reap(pid, &e)) printf("%d\n", e.code);
 */
#ifndef RT_CLI_LAUNCH_PROCESS_H
#define RT_CLI_LAUNCH_PROCESS_H

#include <sys/types.h>

#include "common/base/status.h"

/* The running program itself, even when its file was replaced meanwhile: all processes of a run are
 * of one build, or their results would not be. */
#define PROCESS_SELF "/proc/self/exe"

typedef struct process_spec {
    const char *path;        /* file to run; NULL: argv[0], looked up in PATH */
    char *const *argv;       /* ends with NULL */
    const char *log_path;    /* stderr is appended here; NULL: inherited */
    const char *output_path; /* stdout replaces this file; NULL: goes where stderr goes */
} process_spec;

typedef struct process_exit {
    int code;   /* exit code, or 128 + signal */
    int signal; /* 0: left by itself */
} process_exit;

/* The child has a process group of its own (Ctrl-C reaches only the launcher) and gets SIGTERM when
 * the launcher dies. RT_NOTFOUND when the program does not exist. */
RT_MUST_USE rt_status process_start(const process_spec *spec, pid_t *out, rt_error *err);
/* True once the child is gone; never waits. */
bool process_reap(pid_t pid, process_exit *out);
/* Wait at most timeout_ms, then give up. */
bool process_wait(pid_t pid, uint64_t timeout_ms, process_exit *out);
void process_signal(pid_t pid, int signal);

#endif
