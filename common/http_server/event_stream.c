#include "common/http_server/event_stream.h"

#define BLOCK_BYTES 16384 /* read at once */

struct MHD_Response *event_stream_response(MHD_ContentReaderCallback read, void *context,
                                           MHD_ContentReaderFreeCallback done)
{
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read, context, done);
    if (response == NULL) return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                            "text/event-stream; charset=utf-8");
    MHD_add_response_header(response, "x-accel-buffering", "no");
    return response;
}
