/* An answer that goes on: server-sent events (sse.h), made as libmicrohttpd asks for them.
 *
 *     static ssize_t read(void *context, uint64_t position, char *out, size_t n_max)
 *     {
 *         if (nothing is there) { MHD_suspend_connection(connection); return 0; }
 *         ...
 *     }
 *     MHD_queue_response(connection, 200, event_stream_response(read, context, done));
 *
 * A connection that has nothing to send is suspended by its reader and resumed by whoever has something
 * (MHD_ALLOW_SUSPEND_RESUME): no thread waits for a reader. A suspended connection does not notice that
 * its client is gone.
 */
#ifndef RT_HTTP_SERVER_EVENT_STREAM_H
#define RT_HTTP_SERVER_EVENT_STREAM_H

#include <microhttpd.h>

/* `done` (or NULL) is called once, after the last read. NULL when there is no memory; `done` is not called
 * then. Returns new; MHD_destroy_response(). */
struct MHD_Response *event_stream_response(MHD_ContentReaderCallback read, void *context,
                                           MHD_ContentReaderFreeCallback done);

#endif
