/* The process `retort server --shard I`: holds a slice of the parameters.
 *
 *     students  --Pull, Push-->   ROUTER   this process   DEALER  --ServerReport-->  coordinator
 *               <-frames, Pushed-                                 <--ServerOrder---
 *
 * All decisions are shard_state's; this is the loop around it. It may be killed at any time: the
 * shards then go back to the last committed checkpoint together.
 */
#ifndef RT_WORKER_PARAM_SERVER_RUN_H
#define RT_WORKER_PARAM_SERVER_RUN_H

#include "common/conf/config.h"

/* Returns when the run is finished or a stop was asked for (RT_OK both), or with the failure. */
RT_MUST_USE rt_status param_server_run(const config *c, uint32_t shard, rt_error *err);

#endif
