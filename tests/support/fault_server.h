/* An HTTP server on loopback for tests of clients: it answers as a script says, badly if so asked.
 *
 *     static void answer(void *context, const fault_request *request, fault_reply *reply)
 *     {
 *         reply->status = request->i % 3 == 0 ? 503 : 200;
 *         rt_buf_add_text(&reply->body, "{}", NULL);
 *     }
 *     fault_server *s = fault_server_start(answer, NULL);
 *     ... ask fault_server_url(s) ...
 *     fault_server_stop(s);
 *
 * One thread of its own, which also calls the script; connections are kept unless the reply breaks
 * them. A server that cannot start ends the test.
 */
#ifndef RT_TESTS_FAULT_SERVER_H
#define RT_TESTS_FAULT_SERVER_H

#include "common/base/bytes.h"

typedef struct fault_request {
    size_t i;         /* how many came before */
    const char *head; /* request line and headers */
    const char *body; /* a C string */
    size_t n_body;
    uint64_t now_ms;
} fault_request;

/* Set to a plain 200 without a body before the script is called. */
typedef struct fault_reply {
    int status;
    char headers[512];        /* more of them, each ended by "\r\n" */
    rt_buf body;              /* freed by the server */
    int64_t content_length;   /* -1: the true one */
    int64_t cut_at;           /* close the connection behind so many bytes of all; -1: never */
    uint64_t delay_ms;        /* before the first byte */
    size_t slow_bytes;        /* so many bytes at a time, 0: all at once ... */
    uint64_t slow_ms;         /* ... with this pause between them */
    bool without_status_line; /* the body is all that is sent */
} fault_reply;

typedef void (*fault_script)(void *context, const fault_request *request, fault_reply *reply);

typedef struct fault_server fault_server;

fault_server *fault_server_start(fault_script script, void *context);
void fault_server_stop(fault_server *s);
const char *fault_server_url(const fault_server *s); /* "http://127.0.0.1:PORT" */

typedef struct fault_counts {
    size_t n_connections, n_requests;
    size_t n_waiting_max; /* requests in hand at one time */
} fault_counts;
fault_counts fault_server_counts(fault_server *s);

#endif
