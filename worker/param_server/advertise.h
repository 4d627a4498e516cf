/* The endpoint a shard tells students: net.server_bind and net.server_advertise, filled in. */
#ifndef RT_WORKER_PARAM_SERVER_ADVERTISE_H
#define RT_WORKER_PARAM_SERVER_ADVERTISE_H

#include "common/base/bytes.h"

/* "tcp://server-{shard}.servers:7200" with {shard} replaced, appended to *out. A port "*" becomes
 * that of `bound`, the endpoint really bound ("" while binding: then "*" stays). */
RT_MUST_USE rt_status endpoint_fill(const char *pattern, uint32_t shard, const char *bound,
                                    rt_buf *out, rt_error *err);

#endif
