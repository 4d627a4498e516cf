#include "common/http/http_transfer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *http_failure_name(http_failure failure)
{
    static const char *const names[] = {
#define X(code, name) [code] = (name),
        HTTP_FAILURE_LIST(X)
#undef X
    };
    return (size_t)failure < RT_COUNT(names) ? names[failure] : "unknown";
}

void http_response_free(http_response *r)
{
    if (r == NULL) return;
    rt_buf_free(&r->headers);
    rt_buf_free(&r->body);
}

bool http_response_header(const http_response *r, const char *name, char *out, size_t n_out)
{
    size_t n_name = strlen(name);
    for (size_t i = 0; i < r->headers.n;) {
        const char *line = r->headers.data + i;
        size_t n = strcspn(line, "\n");
        i += n + 1;
        if (n <= n_name || memcmp(line, name, n_name) != 0 || line[n_name] != ':') continue;
        const char *value = line + n_name + 1;
        value += strspn(value, " \t");
        snprintf(out, n_out, "%.*s", (int)RT_MIN((size_t)(line + n - value), (size_t)INT16_MAX),
                 value);
        return true;
    }
    return false;
}

/* A line that names a field is kept; a status line begins the headers of the next response (one
 * behind "100 Continue" or behind the proxy's). Never fails: what does not fit is left out. */
static size_t take_header(char *bytes, size_t size, size_t count, void *context)
{
    http_transfer *t = context;
    size_t n = size * count, n_all = n;
    if (n >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        rt_buf_clear(&t->headers);
        return n_all;
    }
    while (n > 0 && strchr("\r\n \t", bytes[n - 1]) != NULL) n--;
    const char *colon = n > 0 ? memchr(bytes, ':', n) : NULL;
    if (colon == NULL || t->headers.n + n + 1 > HTTP_HEADER_BYTES_MAX) return n_all;
    size_t begin = t->headers.n;
    if (rt_buf_add(&t->headers, bytes, n, NULL) != RT_OK) return n_all;
    for (size_t i = begin; i < t->headers.n; i++) {
        char *c = &t->headers.data[i];
        if (i < begin + (size_t)(colon - bytes)) *c = (char)tolower((unsigned char)*c);
        if (*c == '\n' || *c == '\0') *c = ' ';
    }
    if (rt_buf_add(&t->headers, "\n", 1, NULL) != RT_OK) t->headers.n = begin;
    return n_all;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    http_transfer *t = context;
    size_t n = size * count;
    if (n > t->body_bytes_max - RT_MIN(t->body.n, t->body_bytes_max)) {
        t->too_large = true;
        return 0;
    }
    return rt_buf_add(&t->body, bytes, n, NULL) == RT_OK ? n : 0;
}

/* libcurl sends a request again by itself when a kept connection broke off before the first byte of
 * an answer. The server may have worked on it, and counted it: sending again is the caller's to
 * decide. Called when a connection is there, before the request goes out. */
static int before_send(void *context, char *ip, char *local_ip, int port, int local_port)
{
    http_transfer *t = context;
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    t->sent_twice = t->was_begun;
    t->was_begun = true;
    return t->sent_twice ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static rt_status fail_option(CURLcode code, rt_error *err)
{
    return rt_fail(err, code == CURLE_OUT_OF_MEMORY ? RT_NOMEM : RT_INVALID, "HTTP client: %s",
                   curl_easy_strerror(code));
}

static CURLcode set_tls(CURL *e, const http_settings *s)
{
    CURLcode code = CURLE_OK;
    if (s->ca_file != NULL && s->ca_file[0] != '\0')
        code = curl_easy_setopt(e, CURLOPT_CAINFO, s->ca_file);
    if (code == CURLE_OK)
        code = curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, s->no_verify ? 0L : 1L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, s->no_verify ? 0L : 2L);
    return code;
}

static CURLcode set_proxy(CURL *e, const http_settings *s)
{
    /* Set even when empty: else libcurl would read the environment. */
    CURLcode code = curl_easy_setopt(e, CURLOPT_PROXY, s->proxy != NULL ? s->proxy : "");
    if (code == CURLE_OK && s->proxy_login != NULL && s->proxy_login[0] != '\0')
        code = curl_easy_setopt(e, CURLOPT_PROXYUSERPWD, s->proxy_login);
    return code;
}

rt_status http_transfer_open(http_transfer *t, const http_settings *settings,
                             struct curl_slist *headers, rt_error *err)
{
    t->body_bytes_max = settings->body_bytes_max;
    CURL *e = t->easy = curl_easy_init();
    if (e == NULL) return rt_fail(err, RT_NOMEM, "HTTP client");
    CURLcode code = curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "");
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_USERAGENT, "retort/" RT_VERSION);
    if (code == CURLE_OK)
        code = curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->connect_timeout_ms);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->problem);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, take_header);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take_body);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, before_send);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    if (code == CURLE_OK) code = set_tls(e, settings);
    if (code == CURLE_OK) code = set_proxy(e, settings);
    return code == CURLE_OK ? RT_OK : fail_option(code, err);
}

void http_transfer_close(http_transfer *t)
{
    if (t->easy != NULL) curl_easy_cleanup(t->easy);
    rt_buf_free(&t->request);
    rt_buf_free(&t->headers);
    rt_buf_free(&t->body);
    *t = (http_transfer){0};
}

rt_status http_transfer_prepare(http_transfer *t, const http_request *request, rt_error *err)
{
    CURL *e = t->easy;
    rt_buf_clear(&t->request);
    rt_buf_clear(&t->headers);
    rt_buf_clear(&t->body);
    t->too_large = t->was_begun = t->sent_twice = false;
    t->problem[0] = '\0';
    t->tag = request->tag;
    CURLcode code = curl_easy_setopt(e, CURLOPT_URL, request->url);
    if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (code == CURLE_OK && request->body == NULL) {
        code = curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    } else if (code == CURLE_OK) {
        rt_status st = rt_buf_add(&t->request, request->body, request->n_body, err);
        if (st != RT_OK) return st;
        code = curl_easy_setopt(e, CURLOPT_POST, 1L);
        if (code == CURLE_OK)
            code = curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.n);
        if (code == CURLE_OK) code = curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->request.data);
    }
    return code == CURLE_OK ? RT_OK : fail_option(code, err);
}

bool http_transfer_was_sent(http_transfer *t)
{
    curl_off_t before_send_us = 0;
    long n_request = 0;
    if (curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &before_send_us) != CURLE_OK ||
        curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &n_request) != CURLE_OK)
        return true;
    return before_send_us > 0 && n_request > 0;
}

/* A proxy that opens no tunnel says why with a status; from 500 on it may do so later. */
static bool is_refused_by_proxy(const http_transfer *t)
{
    long status = 0;
    if (curl_easy_getinfo(t->easy, CURLINFO_HTTP_CONNECTCODE, &status) != CURLE_OK) return false;
    return status >= 300 && status < 500;
}

static http_failure failure_of(const http_transfer *t, bool was_sent)
{
    if (t->too_large) return HTTP_TOO_LARGE;
    if (t->code != CURLE_OK && is_refused_by_proxy(t)) return HTTP_BAD_PROXY;
    if (t->sent_twice) return HTTP_DROPPED;
    switch (t->code) {
    case CURLE_OK: return HTTP_OK;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR: return HTTP_NO_CONNECTION;
    case CURLE_OPERATION_TIMEDOUT: return was_sent ? HTTP_TIMED_OUT : HTTP_NO_CONNECTION;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR: return HTTP_BAD_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL: /* also for an answer that is no HTTP */
        return was_sent ? HTTP_DROPPED : HTTP_BAD_REQUEST;
    default: return was_sent ? HTTP_DROPPED : HTTP_NO_CONNECTION;
    }
}

void http_transfer_finish(http_transfer *t, http_response *out)
{
    *out = (http_response){.tag = t->tag, .was_sent = t->sent_twice || http_transfer_was_sent(t)};
    out->failure = failure_of(t, out->was_sent);
    if (out->failure != HTTP_OK) {
        const char *text = t->problem[0] != '\0' ? t->problem : curl_easy_strerror(t->code);
        if (t->too_large) text = "the answer is larger than the limit";
        if (t->sent_twice) text = "the connection broke off before an answer";
        snprintf(out->problem, sizeof out->problem, "%.255s", text);
    }
    if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &out->status) != CURLE_OK)
        out->status = 0;
    out->headers = t->headers;
    out->body = t->body;
    t->headers = (rt_buf){0};
    t->body = (rt_buf){0};
}
