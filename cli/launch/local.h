/* What a run on one machine needs from the machine: free ports, a Redis of its own. */
#ifndef RT_CLI_LAUNCH_LOCAL_H
#define RT_CLI_LAUNCH_LOCAL_H

#include "cli/launch/process.h"

/* A TCP port on 127.0.0.1 that nobody listens on now, and that the kernel gives to nobody by itself. */
RT_MUST_USE rt_status local_free_port(unsigned *out, rt_error *err);

/* A redis-server on a unix socket, in memory only: the run's pipe, which may be lost at any time. */
typedef struct local_redis {
    char socket[104]; /* sun_path holds 108 bytes */
    char folder[96];  /* made for the socket when the run's own path is too long; "" otherwise */
    char log_path[4096];
} local_redis;

/* Choose the socket's place for a run directory. */
RT_MUST_USE rt_status local_redis_place(const char *run_dir, local_redis *out, rt_error *err);
RT_MUST_USE rt_status local_redis_start(const local_redis *redis, pid_t *out, rt_error *err);
/* Remove the socket and the folder made for it. */
void local_redis_clean(const local_redis *redis);

#endif
