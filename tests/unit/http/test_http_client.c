#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/http_client.h"
#include "tests/support/fault_server.h"

#define BODY_MAX 1000

typedef struct site {
    fault_server *server;
    http_client *client;
} site;

static site site_new(fault_script script, size_t transfers_max)
{
    static const char *const headers[] = {"Authorization: Bearer k", "X-Test: 1"};
    site s = {.server = fault_server_start(script, NULL)};
    http_settings settings = {.transfers_max = transfers_max,
                              .headers = headers,
                              .n_headers = 2,
                              .connect_timeout_ms = 2000,
                              .body_bytes_max = BODY_MAX};
    rt_error err = {0};
    cr_assert_eq(http_client_new(&settings, &s.client, &err), RT_OK, "%s", err.text);
    return s;
}

static void site_free(site *s)
{
    http_client_free(s->client);
    fault_server_stop(s->server);
}

static http_ticket submit(site *s, const char *url, const char *body, uint64_t timeout_ms,
                          uint64_t tag)
{
    http_ticket ticket = {0};
    rt_error err = {0};
    http_request request = {.url = url,
                            .body = body,
                            .n_body = body == NULL ? 0 : strlen(body),
                            .timeout_ms = timeout_ms,
                            .tag = tag};
    cr_assert_eq(http_client_submit(s->client, &request, &ticket, &err), RT_OK, "%s", err.text);
    return ticket;
}

static http_response wait_one(site *s)
{
    http_response r = {0};
    rt_error err = {0};
    for (int i = 0; i < 1000; i++) {
        cr_assert_eq(http_client_turn(s->client, 10, &err), RT_OK, "%s", err.text);
        if (http_client_take(s->client, &r)) return r;
    }
    cr_assert_fail("no response");
    return r;
}

static void echo(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    reply->status = 201;
    snprintf(reply->headers, sizeof reply->headers,
             "Retry-After: 7\r\nX-RateLimit-Reset-Tokens:  6m0s \r\nX-Post: %d\r\nX-Key: %d\r\n",
             strncmp(request->head, "POST /v1/x HTTP/1.1", 19) == 0,
             strstr(request->head, "Authorization: Bearer k\r\n") != NULL);
    cr_assert_eq(rt_buf_add_text(&reply->body, request->body, NULL), RT_OK);
}

static void ask_echo(site *s, const char *body)
{
    char url[128], text[32];
    snprintf(url, sizeof url, "%s/v1/x", fault_server_url(s->server));
    submit(s, url, body, 5000, 42);
    http_response r = wait_one(s);
    cr_expect_eq(r.failure, HTTP_OK, "%s", r.problem);
    cr_expect_eq(r.status, 201);
    cr_expect_eq(r.tag, 42);
    cr_expect_eq(r.body.n, strlen(body));
    cr_expect(r.was_sent);
    cr_expect(http_response_header(&r, "retry-after", text, sizeof text));
    cr_expect_str_eq(text, "7");
    cr_expect(http_response_header(&r, "x-ratelimit-reset-tokens", text, sizeof text));
    cr_expect_str_eq(text, "6m0s");
    cr_expect(http_response_header(&r, "x-post", text, sizeof text));
    cr_expect_str_eq(text, "1");
    cr_expect(http_response_header(&r, "x-key", text, sizeof text));
    cr_expect_str_eq(text, "1");
    cr_expect_not(http_response_header(&r, "retry", text, sizeof text));
    http_response_free(&r);
}

Test(http_client, posts_a_body_and_brings_status_headers_and_body)
{
    site s = site_new(echo, 2);
    ask_echo(&s, "{\"a\": 1}");
    ask_echo(&s, "again");
    cr_expect_eq(fault_server_counts(s.server).n_connections, 1, "the connection is used again");
    site_free(&s);
}

Test(http_client, keeps_many_in_flight_and_refuses_more)
{
    enum { N = 16, ALL = 200 };
    site s = site_new(echo, N);
    bool seen[ALL] = {false};
    size_t n_sent = 0, n_done = 0;
    rt_error err = {0};
    while (n_done < ALL) {
        http_response r;
        while (n_sent < ALL && http_client_n_flying(s.client) < N)
            submit(&s, fault_server_url(s.server), "x", 5000, n_sent++);
        if (http_client_n_flying(s.client) == N) {
            http_request more = {.url = fault_server_url(s.server), .timeout_ms = 1};
            http_ticket ticket;
            cr_expect_eq(http_client_submit(s.client, &more, &ticket, NULL), RT_FULL);
        }
        cr_assert_eq(http_client_turn(s.client, 10, &err), RT_OK, "%s", err.text);
        while (http_client_take(s.client, &r)) {
            cr_expect_eq(r.status, 201);
            cr_expect_not(seen[r.tag], "twice");
            seen[r.tag] = true;
            n_done++;
            http_response_free(&r);
        }
    }
    cr_expect_leq(fault_server_counts(s.server).n_connections, N);
    site_free(&s);
}

/* The path says how the answer is spoilt. */
static void spoil(void *context, const fault_request *request, fault_reply *reply)
{
    (void)context;
    bool is = false;
    cr_assert_eq(rt_buf_add_text(&reply->body, "{\"some\": \"body\"}", NULL), RT_OK);
    if (strstr(request->head, "/drop ") != NULL && (is = true)) reply->cut_at = 0;
    if (strstr(request->head, "/half ") != NULL && (is = true)) reply->cut_at = 80;
    if (strstr(request->head, "/long ") != NULL && (is = true)) reply->content_length = 900;
    if (strstr(request->head, "/slow ") != NULL && (is = true)) reply->delay_ms = 60000;
    if (strstr(request->head, "/drip ") != NULL && (is = true)) {
        reply->slow_bytes = 1;
        reply->slow_ms = 60;
    }
    if (strstr(request->head, "/noise ") != NULL && (is = true)) reply->without_status_line = true;
    if (strstr(request->head, "/large ") != NULL && (is = true))
        for (int i = 0; i < 100; i++)
            cr_assert_eq(rt_buf_add_text(&reply->body, "0123456789ab", NULL), RT_OK);
    cr_assert(is);
}

static void expect_failure(site *s, const char *path, http_failure failure, bool was_sent)
{
    char url[128];
    snprintf(url, sizeof url, "%s/%s", fault_server_url(s->server), path);
    submit(s, url, "body", 300, 1);
    http_response r = wait_one(s);
    cr_expect_eq(r.failure, failure, "%s: %s, %s", path, http_failure_name(r.failure), r.problem);
    cr_expect_eq(r.was_sent, was_sent, "%s", path);
    cr_expect_neq(r.problem[0], '\0');
    http_response_free(&r);
}

Test(http_client, tells_how_a_transport_failed)
{
    site s = site_new(spoil, 2);
    expect_failure(&s, "drop", HTTP_DROPPED, true);
    expect_failure(&s, "half", HTTP_DROPPED, true);
    expect_failure(&s, "long", HTTP_DROPPED, true);
    expect_failure(&s, "slow", HTTP_TIMED_OUT, true);
    expect_failure(&s, "drip", HTTP_TIMED_OUT, true);
    expect_failure(&s, "noise", HTTP_DROPPED, true);
    expect_failure(&s, "large", HTTP_TOO_LARGE, true);
    site_free(&s);
}

static void answer_the_first_drop_the_rest(void *context, const fault_request *request,
                                           fault_reply *reply)
{
    (void)context;
    if (request->i > 0) reply->cut_at = 0;
}

Test(http_client, a_request_over_a_kept_connection_goes_out_once)
{
    site s = site_new(answer_the_first_drop_the_rest, 4);
    for (int i = 0; i < 3; i++) {
        submit(&s, fault_server_url(s.server), "{}", 5000, 1);
        http_response r = wait_one(&s);
        cr_expect_eq(r.failure, i == 0 ? HTTP_OK : HTTP_DROPPED, "%d: %s", i, r.problem);
        cr_expect(r.was_sent);
        http_response_free(&r);
    }
    cr_expect_eq(fault_server_counts(s.server).n_requests, 3, "libcurl sent one again by itself");
    site_free(&s);
}

Test(http_client, tells_that_nobody_is_there)
{
    site s = site_new(echo, 2);
    char url[64];
    snprintf(url, sizeof url, "%s/", fault_server_url(s.server));
    fault_server_stop(s.server);
    s.server = NULL;
    submit(&s, url, "x", 1000, 1);
    http_response r = wait_one(&s);
    cr_expect_eq(r.failure, HTTP_NO_CONNECTION, "%s", r.problem);
    cr_expect_not(r.was_sent);
    http_response_free(&r);
    submit(&s, "ftp://127.0.0.1/", NULL, 1000, 1);
    r = wait_one(&s);
    cr_expect_eq(r.failure, HTTP_BAD_REQUEST, "%s", r.problem);
    http_response_free(&r);
    site_free(&s);
}

Test(http_client, plain_text_where_tls_is_expected_is_no_connection)
{
    site s = site_new(echo, 1);
    char url[64];
    snprintf(url, sizeof url, "https%s/", fault_server_url(s.server) + 4);
    submit(&s, url, "x", 2000, 1);
    http_response r = wait_one(&s);
    cr_expect_eq(r.failure, HTTP_NO_CONNECTION, "%s", r.problem);
    cr_expect_not(r.was_sent, "the body must not have left in the clear");
    http_response_free(&r);
    site_free(&s);
}

Test(http_client, reads_no_proxy_from_the_environment)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    site s = site_new(echo, 1);
    ask_echo(&s, "direct");
    site_free(&s);
}

Test(http_client, a_cancelled_transfer_never_comes_back)
{
    site s = site_new(spoil, 2);
    char url[64];
    rt_error err = {0};
    bool was_sent = false;
    snprintf(url, sizeof url, "%s/slow", fault_server_url(s.server));
    http_ticket first = submit(&s, url, "x", 60000, 1);
    for (int i = 0; i < 200 && fault_server_counts(s.server).n_requests == 0; i++)
        cr_assert_eq(http_client_turn(s.client, 10, &err), RT_OK);
    cr_expect(http_client_cancel(s.client, first, &was_sent));
    cr_expect(was_sent);
    cr_expect_eq(http_client_n_flying(s.client), 0);
    cr_expect_not(http_client_cancel(s.client, first, NULL), "the ticket is old");
    http_ticket second = submit(&s, url, "x", 60000, 2);
    cr_expect_neq(first.n, second.n);
    cr_expect_not(http_client_cancel(s.client, first, NULL), "it names nobody now");
    cr_expect_eq(http_client_n_flying(s.client), 1);
    site_free(&s); /* with one in flight */
}

Test(http_client, a_finished_response_may_be_cancelled_too)
{
    site s = site_new(echo, 3);
    rt_error err = {0};
    http_ticket tickets[3];
    http_response r;
    for (uint64_t i = 0; i < 3; i++)
        tickets[i] = submit(&s, fault_server_url(s.server), "x", 5000, i);
    while (fault_server_counts(s.server).n_requests < 3)
        cr_assert_eq(http_client_turn(s.client, 10, &err), RT_OK);
    for (int i = 0; i < 20; i++) cr_assert_eq(http_client_turn(s.client, 5, &err), RT_OK);
    cr_expect_not(http_client_cancel(s.client, tickets[2], NULL));
    cr_expect_not(http_client_cancel(s.client, tickets[0], NULL));
    cr_expect(http_client_take(s.client, &r));
    cr_expect_eq(r.tag, 1);
    http_response_free(&r);
    cr_expect_not(http_client_take(s.client, &r));
    submit(&s, fault_server_url(s.server), "x", 5000, 9);
    r = wait_one(&s);
    cr_expect_eq(r.tag, 9);
    http_response_free(&r);
    site_free(&s);
}
