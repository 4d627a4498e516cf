/* One request on its way, over one handle of libcurl that is used again and again. */
#ifndef RT_HTTP_HTTP_TRANSFER_H
#define RT_HTTP_HTTP_TRANSFER_H

#include <curl/curl.h>

#include "common/http/http_client.h"

typedef enum transfer_state { TRANSFER_FREE, TRANSFER_FLYING, TRANSFER_DONE } transfer_state;

typedef struct http_transfer {
    CURL *easy;
    transfer_state state;
    uint32_t generation; /* of its ticket: an old ticket names nobody */
    uint64_t tag;
    size_t body_bytes_max;
    bool too_large;
    bool was_begun, sent_twice; /* the request once went out; libcurl wanted it to go out again */
    rt_buf request;             /* the body that is sent */
    rt_buf headers, body;
    CURLcode code; /* once done */
    char problem[CURL_ERROR_SIZE];
    struct http_transfer *next; /* among the free or the done ones */
} http_transfer;

/* What stays the same for each request. Keeps headers. */
RT_MUST_USE rt_status http_transfer_open(http_transfer *t, const http_settings *settings,
                                         struct curl_slist *headers, rt_error *err);
void http_transfer_close(http_transfer *t);
RT_MUST_USE rt_status http_transfer_prepare(http_transfer *t, const http_request *request,
                                            rt_error *err);
bool http_transfer_was_sent(http_transfer *t);
/* Of one that is done: its bytes move to *out. */
void http_transfer_finish(http_transfer *t, http_response *out);

#endif
