#include "cli/doctor/server_reply.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "worker/teacher/openai/error_body.h"

#define KEY_FIX "set teacher.api_key to \"${NAME}\" or \"file:PATH\" of a key for this server"

/* What the server says, short enough for one line. */
static void words_of(const server_reply *r, char out[300])
{
    openai_error e = openai_error_read(r->body, r->n_body);
    snprintf(out, 300, "%.280s", e.message[0] != '\0' ? e.message : "nothing");
}

/* Azure has no list for a deployment: what is there names other things. */
static bool is_deployment(const server_reply *r)
{
    return strstr(r->base_url, "/openai/deployments/") != NULL;
}

static bool is_success(const server_reply *r)
{
    return r->transport == HTTP_OK && r->status >= 200 && r->status < 300;
}

bool server_reply_has_no_list(const server_reply *r)
{
    if (r->transport != HTTP_OK) return false;
    if (is_success(r)) return !models_list_read(r->body, r->n_body, r->model).is_list;
    return r->status == 404 || r->status == 405 || r->status == 410 || r->status == 501;
}

/* ---- is it there ---- */

static finding verdict_on_transport(const server_reply *r)
{
    finding f;
    const char *why = r->problem;
    bool speaks_plain = strcasestr(why, "wrong version number") != NULL;
    switch (r->transport) {
    case HTTP_BAD_TLS:
        f = finding_fail(RT_INVALID, "%s: the certificate is not accepted: %s", r->base_url, why);
        finding_expect(&f, "a certificate that an authority known here has signed for this name");
        finding_fix(&f, "name the authority's PEM file in teacher.ca_file");
        return f;
    case HTTP_BAD_REQUEST:
        f = finding_fail(RT_INVALID, "%s cannot be asked: %s", r->base_url, why);
        finding_expect(&f, "http://HOST:PORT/... or https://...");
        finding_fix(&f, "correct teacher.base_url");
        return f;
    case HTTP_NO_CONNECTION:
        f = finding_fail(RT_UNAVAILABLE, "%s: no connection: %s", r->base_url, why);
        break;
    default: f = finding_fail(RT_UNAVAILABLE, "%s: no whole answer: %s", r->base_url, why); break;
    }
    finding_expect(&f, "a server that answers GET /models");
    if (speaks_plain)
        finding_fix(&f, "the server speaks plain HTTP: write http:// in teacher.base_url");
    else if (r->transport == HTTP_NO_CONNECTION && strcasestr(why, "ssl") != NULL)
        /* One that takes the greeting for a bad request may hang up before it has said so. */
        finding_fix(&f, "is it a plain HTTP server? Then write http:// in teacher.base_url");
    else if (strcasestr(why, "resolve") != NULL)
        finding_fix(&f, "correct the host in teacher.base_url, or set teacher.proxy");
    else if (r->transport == HTTP_DROPPED && strncmp(r->base_url, "http://", 7) == 0)
        finding_fix(&f, "is it an HTTPS server? Then write https:// in teacher.base_url");
    else
        finding_fix(&f, "start the server, or correct host and port in teacher.base_url");
    return f;
}

static bool route_is_known(const server_reply *r)
{
    return r->route_status != 0 && r->route_status != 404 && r->route_status != 410;
}

/* No list of models: another base URL, or a server without one? */
static finding verdict_on_base_url(const server_reply *r)
{
    char found[300];
    finding f;
    if (is_success(r))
        snprintf(found, sizeof found, "%.200s answers, but not with a list of models", r->base_url);
    else
        snprintf(found, sizeof found, "%.200s has nothing at /models (status %ld)", r->base_url,
                 r->status);
    if (r->better_url != NULL) {
        f = finding_fail(RT_INVALID, "%s; %s has a list of models", found, r->better_url);
        finding_expect(&f, "the URL before /chat/completions, which mostly ends in /v1");
        finding_fix(&f, "set teacher.base_url to %s", r->better_url);
        return f;
    }
    if (route_is_known(r) || is_deployment(r) || r->will_ask)
        return finding_ok("%s answers in %" PRIu64 " ms", r->base_url, r->took_ms);
    f = finding_fail(RT_INVALID, "%s, nor at the way of completions", found);
    finding_expect(&f, "the URL before /chat/completions, which mostly ends in /v1");
    finding_fix(&f, "correct teacher.base_url; if it is right, --ask shows whether it answers");
    return f;
}

finding server_verdict(const server_reply *r)
{
    char words[300];
    finding f;
    if (r->transport != HTTP_OK) return verdict_on_transport(r);
    words_of(r, words);
    if (r->status >= 300 && r->status < 400) {
        f = finding_fail(RT_INVALID, "%s sends elsewhere (status %ld): %.300s", r->base_url,
                         r->status, r->location[0] != '\0' ? r->location : "it does not say where");
        finding_expect(&f, "an answer; redirects are not followed, so that the key goes nowhere "
                           "else");
        finding_fix(&f, "set teacher.base_url to where it sends, without /models");
        return f;
    }
    if (server_reply_has_no_list(r)) return verdict_on_base_url(r);
    if (r->status >= 500) {
        f = finding_fail(RT_UNAVAILABLE, "%s answers with status %ld: %s", r->base_url, r->status,
                         words);
        finding_expect(&f, "a list of models");
        finding_fix(&f, "wait until the server has started, or look at its log");
        return f;
    }
    return finding_ok("%s answers in %" PRIu64 " ms%s", r->base_url, r->took_ms,
                      strncmp(r->base_url, "https://", 8) == 0 ? ", its certificate is good" : "");
}

/* ---- the key ---- */

/* A key that may ask the model and not list what there is. */
static bool lacks_a_right(const server_reply *r)
{
    openai_error e = openai_error_read(r->body, r->n_body);
    return r->status == 403 &&
           (openai_error_says(&e, "scope") || openai_error_says(&e, "permission"));
}

finding key_verdict(const server_reply *r)
{
    char words[300];
    finding f;
    bool has_key = r->api_key[0] != '\0';
    words_of(r, words);
    if (has_key && lacks_a_right(r)) {
        f = finding_warn("the key from %s may not list models (status 403): %s", r->api_key, words);
        finding_expect(&f, "a key that may, or none is needed for a run");
        finding_fix(&f, "--ask shows whether it may ask the model");
        return f;
    }
    if (r->status == 401 || r->status == 403) {
        f = has_key ? finding_fail(RT_INVALID, "the key from %s is refused (status %ld): %s",
                                   r->api_key, r->status, words)
                    : finding_fail(RT_INVALID,
                                   "no key is set, and the server wants one (status "
                                   "%ld): %s",
                                   r->status, words);
        finding_expect(&f, "a key that the server takes");
        finding_fix(&f, has_key ? "put another key there; teacher.api_key_header says which header "
                                  "carries it"
                                : KEY_FIX);
        return f;
    }
    if (!has_key) return finding_ok("none is set, and none was needed");
    if (is_success(r)) return finding_ok("from %s, sent and not refused", r->api_key);
    return finding_ok("from %s", r->api_key);
}

/* ---- the model ---- */

static void name_models(const models_list *list, char *out, size_t n_out)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->n_shown && n < n_out; i++)
        n += (size_t)snprintf(out + n, n_out - n, "%s%s", i == 0 ? "" : ", ", list->names[i]);
    if (n < n_out && list->n > list->n_shown) snprintf(out + n, n_out - n, ", ...");
}

static finding unlisted(const server_reply *r, const models_list *list)
{
    char names[600], words[300];
    finding f;
    name_models(list, names, sizeof names);
    words_of(r, words);
    if (!list->is_list && !is_success(r) && !server_reply_has_no_list(r))
        f = finding_warn("%s is not looked up: the list of models came with status %ld: %s",
                         r->model, r->status, words);
    else if (!list->is_list)
        f = finding_warn("%s is not looked up: the server has no list of models", r->model);
    else if (list->n == 0)
        f = finding_warn("%s is not looked up: the server's list of models is empty", r->model);
    else
        f = finding_warn("%s is not among the %zu models of the list's first part: %s", r->model,
                         list->n, names);
    finding_expect(&f, "a list with the model");
    finding_fix(&f, "--ask shows whether it answers");
    return f;
}

finding model_verdict(const server_reply *r)
{
    char names[600], context[60] = "";
    models_list list = {0};
    if (is_success(r)) list = models_list_read(r->body, r->n_body, r->model);
    if (list.n == 0 || (!list.listed && list.is_part)) return unlisted(r, &list);
    if (list.context > 0)
        snprintf(context, sizeof context, ", takes %" PRIu64 " tokens", list.context);
    if (list.listed)
        return finding_ok("%s is one of %zu model%s there%s", r->model, list.n,
                          list.n == 1 ? "" : "s", context);
    name_models(&list, names, sizeof names);
    finding f =
        is_deployment(r)
            ? finding_warn("%s is not in the list of models: %s", r->model, names)
            : finding_fail(RT_INVALID, "%s is not in the list of models: %s", r->model, names);
    finding_expect(&f, "a model that the server has");
    finding_fix(&f, "set teacher.model to one of these%s",
                list.n > MODELS_SHOWN_MAX ? " or the "
                                            "others"
                                          : "");
    return f;
}
