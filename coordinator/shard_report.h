/* A shard's report, kept beyond the message that it came in. */
#ifndef RT_COORDINATOR_SHARD_REPORT_H
#define RT_COORDINATOR_SHARD_REPORT_H

#include "common/wire/messages.h"

/* *out owns copies of all it points to; wire_server_report_free(). RT_NOMEM: *out is untouched. */
RT_MUST_USE rt_status shard_report_copy(const wire_server_report *from, wire_server_report *out,
                                        rt_error *err);

#endif
