/* Answers of the coordinator's HTTP server, and what a request may ask for. */
#ifndef RT_COORDINATOR_HTTP_ANSWER_H
#define RT_COORDINATOR_HTTP_ANSWER_H

#include <microhttpd.h>

#include "common/base/bytes.h"
#include "common/base/embedded_file.h"

/* Queue a response and let go of it; NULL (no memory) ends the connection. */
enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned code,
                            struct MHD_Response *response);
enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code, const char *text);
/* Takes the bytes; *body is empty afterwards. */
enum MHD_Result answer_body(struct MHD_Connection *connection, const char *type, rt_buf *body);
/* With an ETag, compressed for who takes that, 304 for who has it; scripts and styles from here only. */
enum MHD_Result answer_file(struct MHD_Connection *connection, const rt_embedded_file *file);

/* "?since=17": 0 when it is not given (NULL). False for anything but a decimal number. */
bool query_since(const char *text, uint64_t *out);

#endif
