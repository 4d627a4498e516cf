#include "cli/doctor/server_reply.h"

#include <criterion/criterion.h>
#include <string.h>

#define LIST \
    "{\"object\":\"list\",\"data\":[{\"id\":\"gpt-1\"},{\"id\":\"gpt-2\",\"max_model_len\":64}]}"

static server_reply reply_of(long status, const char *body)
{
    return (server_reply){.base_url = "http://h:1/v1",
                          .model = "gpt-2",
                          .api_key = "",
                          .problem = "",
                          .status = status,
                          .body = body,
                          .n_body = strlen(body),
                          .location = "",
                          .took_ms = 7};
}

static server_reply failed(http_failure transport, const char *problem)
{
    server_reply r = reply_of(0, "");
    r.transport = transport;
    r.problem = problem;
    return r;
}

#define EXPECT_LEVEL(f, wanted) \
    cr_expect_eq((f).level, wanted, "%s: %s", finding_level_name((f).level), (f).found)
#define EXPECT_HAS(text, words) cr_expect(strstr(text, words) != NULL, "%s", text)

Test(server_reply, a_list_with_the_model_is_all_well)
{
    server_reply r = reply_of(200, LIST);
    finding f = model_verdict(&r);
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
    EXPECT_LEVEL(key_verdict(&r), FINDING_OK);
    EXPECT_LEVEL(f, FINDING_OK);
    EXPECT_HAS(f.found, "takes 64 tokens");
    cr_expect_not(server_reply_has_no_list(&r));
}

Test(server_reply, a_model_that_is_not_listed_fails_with_those_that_are)
{
    server_reply r = reply_of(200, LIST);
    r.model = "gpt-3";
    finding f = model_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_INVALID);
    EXPECT_HAS(f.found, "gpt-1, gpt-2");
    EXPECT_HAS(f.fix, "teacher.model");
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
}

Test(server_reply, a_list_that_may_not_hold_all_is_only_a_warning)
{
    static const char *const bodies[] = {"{\"data\":[]}",
                                         "{\"data\":[{\"id\":\"a\"}],\"has_more\":true}",
                                         "{\"models\":[{\"name\":\"a\"}],\"nextPageToken\":\"x\"}"};
    for (size_t i = 0; i < RT_COUNT(bodies); i++) {
        server_reply r = reply_of(200, bodies[i]);
        finding f = model_verdict(&r);
        EXPECT_LEVEL(f, FINDING_WARN);
        EXPECT_HAS(f.fix, "--ask");
    }
    server_reply r = reply_of(200, LIST);
    r.base_url = "https://x.openai.azure.com/openai/deployments/d?api-version=1";
    r.model = "d";
    EXPECT_LEVEL(model_verdict(&r), FINDING_WARN);
}

Test(server_reply, nobody_there_is_the_environment)
{
    server_reply r = failed(HTTP_NO_CONNECTION, "Failed to connect to h port 1");
    finding f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_UNAVAILABLE);
    EXPECT_HAS(f.found, "Failed to connect to h port 1");
    EXPECT_HAS(f.fix, "start the server");
    r = failed(HTTP_NO_CONNECTION, "Could not resolve host: h");
    EXPECT_HAS(server_verdict(&r).fix, "correct the host");
    r = failed(HTTP_TIMED_OUT, "Operation timed out");
    cr_expect_eq(server_verdict(&r).why, RT_UNAVAILABLE);
}

Test(server_reply, http_and_https_taken_for_each_other_are_told)
{
    server_reply r = failed(HTTP_NO_CONNECTION, "OpenSSL: SSL routines::wrong version number");
    EXPECT_HAS(server_verdict(&r).fix, "write http://");
    r = failed(HTTP_NO_CONNECTION, "OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to h:1");
    EXPECT_HAS(server_verdict(&r).fix, "write http://");
    r = failed(HTTP_DROPPED, "Received HTTP/0.9 when not allowed");
    EXPECT_HAS(server_verdict(&r).fix, "write https://");
}

Test(server_reply, a_certificate_that_is_not_accepted_names_ca_file)
{
    server_reply r = failed(HTTP_BAD_TLS, "self-signed certificate");
    finding f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_INVALID);
    EXPECT_HAS(f.found, "self-signed certificate");
    EXPECT_HAS(f.fix, "teacher.ca_file");
}

Test(server_reply, a_key_that_is_refused_is_a_wrong_setting_and_is_named_as_written)
{
    server_reply r = reply_of(401, "{\"error\":{\"message\":\"bad key\"}}");
    finding f = key_verdict(&r);
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_INVALID);
    EXPECT_HAS(f.found, "no key is set");
    EXPECT_HAS(f.fix, "set teacher.api_key");
    r.api_key = "${MY_KEY}";
    f = key_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    EXPECT_HAS(f.found, "${MY_KEY}");
    EXPECT_HAS(f.found, "bad key");
    r.status = 403;
    EXPECT_LEVEL(key_verdict(&r), FINDING_FAIL);
}

Test(server_reply, a_key_without_the_right_to_list_may_still_ask)
{
    server_reply r = reply_of(403, "{\"error\":{\"message\":\"Missing scopes: api.model.read\"}}");
    r.api_key = "file:key";
    EXPECT_LEVEL(key_verdict(&r), FINDING_WARN);
    EXPECT_LEVEL(model_verdict(&r), FINDING_WARN);
}

Test(server_reply, nothing_at_the_base_url_is_a_wrong_base_url)
{
    server_reply r = reply_of(404, "not found");
    cr_expect(server_reply_has_no_list(&r));
    r.route_status = 404;
    finding f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_INVALID);
    EXPECT_HAS(f.expected, "/v1");
    r.better_url = "http://h:1/api/v1";
    f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_str_eq(f.fix, "set teacher.base_url to http://h:1/api/v1");
}

Test(server_reply, a_page_for_people_is_a_wrong_base_url_too)
{
    server_reply r = reply_of(200, "<html><body>Welcome</body></html>");
    cr_expect(server_reply_has_no_list(&r));
    r.route_status = 404;
    EXPECT_LEVEL(server_verdict(&r), FINDING_FAIL);
}

Test(server_reply, a_server_without_a_list_is_only_a_warning)
{
    server_reply r = reply_of(404, "");
    r.route_status = 405;
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
    EXPECT_LEVEL(key_verdict(&r), FINDING_OK);
    finding f = model_verdict(&r);
    EXPECT_LEVEL(f, FINDING_WARN);
    EXPECT_HAS(f.found, "no list of models");
    r.route_status = 404;
    r.will_ask = true;
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
    r.will_ask = false;
    r.base_url = "https://x.openai.azure.com/openai/deployments/d?api-version=1";
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
}

Test(server_reply, redirects_and_servers_in_trouble_are_told_apart)
{
    server_reply r = reply_of(301, "");
    r.location = "https://other/v1/models";
    finding f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_INVALID);
    EXPECT_HAS(f.found, "https://other/v1/models");
    r = reply_of(503, "{\"error\":\"loading model\"}");
    f = server_verdict(&r);
    EXPECT_LEVEL(f, FINDING_FAIL);
    cr_expect_eq(f.why, RT_UNAVAILABLE);
    EXPECT_HAS(f.found, "loading model");
    r = reply_of(429, "{\"error\":\"slow down\"}");
    EXPECT_LEVEL(server_verdict(&r), FINDING_OK);
    EXPECT_LEVEL(model_verdict(&r), FINDING_WARN);
    EXPECT_HAS(model_verdict(&r).found, "slow down");
}

Test(server_reply, any_bytes_are_judged)
{
    static const char *const bodies[] = {
        "", "[", "null", "{\"data\":{}}", "{\"data\":[1,null]}", "\xff", "[]", "{\"error\":7}"};
    static const long statuses[] = {0, 100, 200, 204, 302, 400, 401, 404, 500, 999};
    for (size_t i = 0; i < RT_COUNT(bodies); i++)
        for (size_t j = 0; j < RT_COUNT(statuses); j++) {
            server_reply r = reply_of(statuses[j], bodies[i]);
            cr_expect_neq(server_verdict(&r).found[0], '\0');
            cr_expect_neq(key_verdict(&r).found[0], '\0');
            cr_expect_neq(model_verdict(&r).level, FINDING_OK);
        }
}
