/* Server-sent events as text; event_stream.h has the answer that carries them.
 *
 *     data: {"id":"chatcmpl-1", ...}\n\n              sse_add()
 *     event: stats\ndata: {"run": ...}\n\n            sse_add_event()
 *     : still here\n\n                                sse_add_comment()
 *     data: [DONE]\n\n                                sse_add_done()
 */
#ifndef RT_HTTP_SERVER_SSE_H
#define RT_HTTP_SERVER_SSE_H

#include "common/base/bytes.h"

/* Append an event. A newline in `text` would end it: it is sent as more than one data line. */
RT_MUST_USE rt_status sse_add(rt_buf *out, const char *text, rt_error *err);
/* The same with a name; `name` holds no newline. */
RT_MUST_USE rt_status sse_add_event(rt_buf *out, const char *name, const char *text, rt_error *err);
/* What readers pass over; `text` holds no newline. */
RT_MUST_USE rt_status sse_add_comment(rt_buf *out, const char *text, rt_error *err);
RT_MUST_USE rt_status sse_add_done(rt_buf *out, rt_error *err);

#endif
