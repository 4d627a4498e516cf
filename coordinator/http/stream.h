/* The readers of /api/stream: connections that are sent what is new and sleep in between.
 *
 *     streams *all = NULL;
 *     if ((st = streams_new(pictures, gate, &all, err)) != RT_OK) goto out;
 *     response = streams_response(all, connection);     // NULL: there are too many
 *     streams_wake(all);                                // the loop: there may be something new
 *     streams_end(all); MHD_stop_daemon(daemon); streams_free(all);
 *
 * What a reader is sent is made when it has taken what it was sent before, from what there is then: a
 * slow one gets fewer pictures, never a longer queue, and is cut off by the server's time limit when it
 * takes nothing at all. One whose key may have been taken away is cut off too: it may come again.
 */
#ifndef RT_COORDINATOR_HTTP_STREAM_H
#define RT_COORDINATOR_HTTP_STREAM_H

#include <microhttpd.h>

#include "common/http_server/api_gate.h"
#include "coordinator/http/pictures.h"

#define STREAMS_MAX 16

typedef struct streams streams;

/* Keeps both; gate may be NULL. Returns new; streams_free(). */
RT_MUST_USE rt_status streams_new(pictures *p, api_gate *gate, streams **out, rt_error *err);
/* Wake all and let none sleep again; before the daemon is stopped. */
void streams_end(streams *all);
void streams_free(streams *all);
/* The answer for one more reader. NULL when STREAMS_MAX are there, or no memory is. */
struct MHD_Response *streams_response(streams *all, struct MHD_Connection *connection);
/* Safe from any thread. */
void streams_wake(streams *all);
size_t streams_n(streams *all);

#endif
