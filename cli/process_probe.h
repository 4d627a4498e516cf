/* Is a process of a run well? For the probes of containers, `retort probe`.
 *
 *     alive_limits limits = {.beat_max_ms = 30000, .work_max_ms = 900000};
 *     if ((st = process_probe(1, &limits, err)) != RT_OK) ...      // *err says what ails it
 *
 * The answer tells of the process alone, never of what it depends on: a Redis that restarts must not
 * restart everybody. With limits.heard_max_ms > 0 readiness is asked instead.
 */
#ifndef RT_CLI_PROCESS_PROBE_H
#define RT_CLI_PROCESS_PROBE_H

#include "worker/runtime/alive_sign.h"

/* Process `pid` is there and not stopped; a coordinator and `retort serve` answer at the address, a
 * teacher, student or shard has given the signs of life (net.alive_file), that their own command line
 * and configuration name. */
RT_MUST_USE rt_status process_probe(uint64_t pid, const alive_limits *limits, rt_error *err);
/* The signs of life in a file are fresh. */
RT_MUST_USE rt_status file_probe(const char *alive_file, const alive_limits *limits, rt_error *err);
/* GET http://<address><path> is answered with 200; no key is shown. */
RT_MUST_USE rt_status address_probe(const char *address, const char *path, rt_error *err);

#endif
