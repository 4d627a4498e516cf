/* The child processes of a run: which there are, how each is started, which are alive. */
#ifndef RT_CLI_LAUNCH_CHILDREN_H
#define RT_CLI_LAUNCH_CHILDREN_H

#include "cli/launch/launcher.h"
#include "cli/launch/local.h"
#include "cli/launch/supervisor.h"

typedef enum child_role {
    CHILD_REDIS,
    CHILD_COORDINATOR,
    CHILD_SERVER,
    CHILD_STUDENT,
    CHILD_TEACHER,
} child_role;

typedef struct child {
    child_role role;
    unsigned index; /* among its role */
    char name[32];  /* "teacher-0" */
    pid_t pid;      /* 0: not running */
    bool done;      /* left for good */
    supervised history;
} child;

typedef struct children {
    child *items; /* owns */
    size_t n;
    const config *config;
    const launch_options *how;
    char run_dir[4096];
    char http[64]; /* where the coordinator shows its stats */
    char *sets[8]; /* the launcher's own --set texts: ports, socket, run directory */
    size_t n_sets;
    local_redis redis;
    bool own_redis;
} children;

/* Decide what is started, choose ports and socket, make folders. children_free() undoes it. */
RT_MUST_USE rt_status children_plan(const config *c, const launch_options *how, children *out,
                                    rt_error *err);
void children_free(children *all);
RT_MUST_USE rt_status children_start(children *all, child *one, rt_error *err);
/* Ask every running child of a role (or all, with role -1) to leave. */
void children_signal(children *all, int role, int number);
size_t children_n_running(const children *all);
/* <run_dir>/launcher.json: {"pid", "http", "children": [{"name", "pid"}]}. */
RT_MUST_USE rt_status children_write_pids(const children *all, rt_error *err);
/* Last lines of a child's log, for the message when it fails. */
RT_MUST_USE rt_status children_log_tail(const children *all, const child *one, rt_buf *out,
                                        rt_error *err);

#endif
