/* Lines of the batch files that providers take and give back. Pure.
 *
 *   in    {"custom_id":"<id>-<sample>-<key>","method":"POST","url":"/v1/chat/completions","body":{…}}
 *   out   {"custom_id":"…","response":{"status_code":200,"body":{…}},"error":null}
 *
 * What comes back is in any order, in a file of results and one of errors; each line says by its
 * custom_id what it belongs to. The last part of the custom_id is of the answer's key, so that an
 * answer is never taken for one to a question that has changed since.
 */
#ifndef RT_WORKER_TEACHER_BATCH_BATCH_LINE_H
#define RT_WORKER_TEACHER_BATCH_BATCH_LINE_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

#define BATCH_CUSTOM_ID_SIZE 64 /* its end included; providers allow 64 characters */

/* Whose request it was. */
typedef struct batch_ticket {
    rt_id record_id;
    uint32_t sample;
    uint64_t key_high; /* first half of the answer's key in the cache */
} batch_ticket;

void batch_ticket_print(const batch_ticket *ticket, char out[BATCH_CUSTOM_ID_SIZE]);
/* False when it is not one of ours; *out is then untouched. */
bool batch_ticket_parse(const char *custom_id, batch_ticket *out);

/* One line with its end; body is a JSON object as text. Adds to *out. */
RT_MUST_USE rt_status batch_line_write(const batch_ticket *ticket, const char *url,
                                       const char *body, size_t n_body, rt_buf *out, rt_error *err);

/* What came back. Zero-initialise; batch_result_free(). */
typedef struct batch_result {
    char *custom_id;
    rt_buf body;       /* a JSON object: the answer, as a server would have sent it; empty: none */
    char code[64];     /* "" = answered, else why not: "batch_expired", "status_429", ... */
    char message[256]; /* for people; may be "" */
} batch_result;

/* RT_CORRUPT when the line is none of a batch's output. Replaces *out. */
RT_MUST_USE rt_status batch_line_read(const char *line, size_t n, batch_result *out, rt_error *err);
void batch_result_free(batch_result *r);
/* Of a line that goes in (or comes out): only whose it is. RT_CORRUPT when it has no custom_id. */
RT_MUST_USE rt_status batch_line_custom_id(const char *line, size_t n,
                                           char out[BATCH_CUSTOM_ID_SIZE], rt_error *err);

#endif
