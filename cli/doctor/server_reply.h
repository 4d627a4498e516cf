/* What a teacher's server says when it is asked for its list of models, and what that means for a
 * run. Asking for the list costs nothing; nothing else is asked here.
 *
 *     server_reply r = {.base_url = url, .model = "m", .status = 404, ...};
 *     finding f = server_verdict(&r);              // is it there, and is it the right address?
 *     if (f.level != FINDING_FAIL) f = key_verdict(&r);
 *     if (f.level != FINDING_FAIL) f = model_verdict(&r);
 *
 * Pure, and safe for any bytes.
 *
 *     transport failed ─► server: fail          401, 403 ─► key: fail
 *     no list, and the way of completions is      200 and a list with the model ─► ok
 *       unknown too ─► server: fail, base_url     200 and a list without it ─► model: fail
 *       known ─► model: warn, the server has none
 */
#ifndef RT_CLI_DOCTOR_SERVER_REPLY_H
#define RT_CLI_DOCTOR_SERVER_REPLY_H

#include "cli/doctor/finding.h"
#include "common/http/http_client.h"

/* All borrowed. */
typedef struct server_reply {
    const char *base_url, *model;
    const char *api_key; /* as the settings write it, "file:..." or "${...}"; "" = none */
    http_failure transport;
    const char *problem; /* of a transport that failed */
    long status;         /* of GET <base_url>/models */
    const char *body;    /* [n_body] */
    size_t n_body;
    const char *location; /* of a redirect; "" = none */
    uint64_t took_ms;
    /* Only where there is no list: */
    const char *better_url; /* a base URL of the same server that has one; NULL: none found */
    long route_status;      /* of GET (not POST) on the way of completions; 0: no answer */
    bool will_ask;          /* a real request follows, and decides */
} server_reply;

/* Is somebody there, is the certificate good, and does the base URL lead to the interface? */
finding server_verdict(const server_reply *r);
/* Does it take the key? */
finding key_verdict(const server_reply *r);
/* Does it have the model? */
finding model_verdict(const server_reply *r);

/* True when only server_reply.better_url and .route_status can tell what the reply means. */
bool server_reply_has_no_list(const server_reply *r);

#define MODELS_SHOWN_MAX 5

typedef struct models_list {
    bool is_list; /* the bytes are a list of models, maybe empty */
    size_t n;
    bool listed;      /* the model is in it */
    bool is_part;     /* the server says that there are more */
    uint64_t context; /* tokens that the model takes; 0: not told */
    size_t n_shown;
    char names[MODELS_SHOWN_MAX][100]; /* [n_shown] of them, those like the model before others */
} models_list;

/* {"data": [{"id"}]}, {"models": [{"name"}]} or a bare array. "models/NAME" and "NAME:latest" are
 * NAME too, as the servers that write so take it. */
models_list models_list_read(const char *bytes, size_t n, const char *model);

#define BASE_URLS_MAX  4
#define BASE_URL_BYTES 512

/* Other base URLs of the same server under which the interface may be: without what does not belong
 * there ("/chat/completions"), with "/v1", "/api/v1" and the like. Returns how many. */
size_t base_url_candidates(const char *base_url, char out[BASE_URLS_MAX][BASE_URL_BYTES]);

#endif
