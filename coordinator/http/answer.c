#include "coordinator/http/answer.h"

#include <stdio.h>
#include <string.h>

#define ETAG_DIGITS 32 /* of the SHA-256 */

/* What the page may do: load its own parts and ask its own server. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                             "img-src 'self' data:; connect-src 'self'; font-src 'self'; "
                             "manifest-src 'self'; base-uri 'none'; form-action 'none'; "
                             "frame-ancestors 'none'";

enum MHD_Result answer_with(struct MHD_Connection *connection, unsigned code,
                            struct MHD_Response *response)
{
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, "x-content-type-options", "nosniff");
    if (MHD_get_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL) == NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result done = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return done;
}

enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned code, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain; charset=utf-8");
    if (code == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    return answer_with(connection, code, response);
}

enum MHD_Result answer_body(struct MHD_Connection *connection, const char *type, rt_buf *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->n, body->data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        rt_buf_free(body);
        return MHD_NO;
    }
    *body = (rt_buf){0};
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return answer_with(connection, MHD_HTTP_OK, response);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value != NULL ? value : "";
}

enum MHD_Result answer_file(struct MHD_Connection *connection, const rt_embedded_file *file)
{
    char etag[ETAG_DIGITS + 3];
    snprintf(etag, sizeof etag, "\"%.*s\"", ETAG_DIGITS, file->sha256);
    bool known = strstr(header(connection, MHD_HTTP_HEADER_IF_NONE_MATCH), etag) != NULL;
    bool packed = file->gzip != NULL &&
                  strstr(header(connection, MHD_HTTP_HEADER_ACCEPT_ENCODING), "gzip") != NULL;
    const unsigned char *bytes = packed ? file->gzip : file->bytes;
    size_t n = packed ? file->n_gzip : file->n_bytes;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        known ? 0 : n, (void *)(uintptr_t)bytes, MHD_RESPMEM_PERSISTENT);
    if (response == NULL) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, etag);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
    MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    MHD_add_response_header(response, "content-security-policy", policy);
    MHD_add_response_header(response, "referrer-policy", "no-referrer");
    if (!known) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, file->type);
    if (!known && packed)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
    return answer_with(connection, known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
}

bool query_since(const char *text, uint64_t *out)
{
    *out = 0;
    return text == NULL || rt_parse_u64(text, out);
}
