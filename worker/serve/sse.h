/* Server-sent events: one JSON text, one event.
 *
 *     data: {"id":"chatcmpl-1", ...}\n\n
 *     data: [DONE]\n\n
 */
#ifndef RT_WORKER_SERVE_SSE_H
#define RT_WORKER_SERVE_SSE_H

#include "common/base/bytes.h"

/* Append an event. A newline in `text` would end it: it is sent as more than one data line. */
RT_MUST_USE rt_status sse_add(rt_buf *out, const char *text, rt_error *err);
RT_MUST_USE rt_status sse_add_done(rt_buf *out, rt_error *err);

#endif
