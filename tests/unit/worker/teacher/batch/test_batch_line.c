#include "worker/teacher/batch/batch_line.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdlib.h>
#include <string.h>

static const batch_ticket ticket = {
    .record_id = {.high = 0x0123456789abcdef, .low = 0xfedcba9876543210},
    .sample = 7,
    .key_high = 0xbeef,
};
static const char ticket_text[] = "0123456789abcdeffedcba9876543210-7-000000000000beef";

Test(batch_ticket, comes_back_as_it_was)
{
    char text[BATCH_CUSTOM_ID_SIZE];
    batch_ticket found = {0}, widest = {.sample = UINT32_MAX, .key_high = UINT64_MAX};
    batch_ticket_print(&ticket, text);
    cr_expect_str_eq(text, ticket_text);
    cr_assert(batch_ticket_parse(text, &found));
    cr_expect(rt_id_equal(found.record_id, ticket.record_id));
    cr_expect_eq(found.sample, 7);
    cr_expect_eq(found.key_high, 0xbeef);
    batch_ticket_print(&widest, text);
    cr_expect(batch_ticket_parse(text, &found));
    cr_expect_eq(found.sample, UINT32_MAX);
}

Test(batch_ticket, is_not_made_of_others_ids)
{
    static const char *const others[] = {
        "",
        "request-1",
        "0123456789abcdeffedcba9876543210",
        "0123456789abcdeffedcba9876543210-7",
        "0123456789abcdeffedcba9876543210-7-beef",
        "0123456789ABCDEFfedcba9876543210-7-000000000000beef",
        "0123456789abcdeffedcba9876543210--7-000000000000beef",
        "0123456789abcdeffedcba9876543210- 7-000000000000beef",
        "0123456789abcdeffedcba9876543210-07-000000000000beef",
        "0123456789abcdeffedcba9876543210-7-000000000000beef ",
        "0123456789abcdeffedcba9876543210-7-000000000000beef-and-something-that-is-far-too-long",
        "0123456789abcdeffedcba9876543210-4294967303-000000000000beef",
    };
    for (size_t i = 0; i < RT_COUNT(others); i++) {
        batch_ticket found = {.sample = 99};
        cr_expect_not(batch_ticket_parse(others[i], &found), "%s", others[i]);
        cr_expect_eq(found.sample, 99);
    }
}

Test(batch_line, carries_a_request)
{
    rt_buf line = {0};
    char custom_id[BATCH_CUSTOM_ID_SIZE];
    cr_assert_eq(
        batch_line_write(&ticket, "/v1/chat/completions", "{\"model\":\"m\"}", 13, &line, NULL),
        RT_OK);
    cr_expect_str_eq(line.data,
                     "{\"custom_id\":\"0123456789abcdeffedcba9876543210-7-000000000000beef"
                     "\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":"
                     "{\"model\":\"m\"}}\n");
    cr_assert_eq(batch_line_custom_id(line.data, line.n, custom_id, NULL), RT_OK);
    cr_expect_str_eq(custom_id, ticket_text);
    rt_buf_free(&line);
}

typedef struct result_case {
    char line[320], body[64], code[32], message[32];
} result_case;

ParameterizedTestParameters(batch_line, tells_answers_from_failures)
{
    static result_case cases[] = {
        {"{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":{\"choices\":[]}},"
         "\"error\":null}",
         "{\"choices\":[]}", "", ""},
        {"{\"custom_id\":\"a\",\"response\":{\"body\":{\"x\":1}}}", "{\"x\":1}", "", ""},
        {"{\"custom_id\":\"a\",\"response\":{\"body\":{\"x\":1}},\"error\":{}}", "{\"x\":1}", "",
         ""},
        {"{\"custom_id\":\"a\",\"response\":null,\"error\":{\"code\":\"batch_expired\",\"message\":"
         "\"too late\"}}",
         "", "batch_expired", "too late"},
        {"{\"custom_id\":\"a\",\"error\":\"broken\"}", "", "error", "broken"},
        {"{\"custom_id\":\"a\",\"response\":{\"status_code\":429,\"body\":{\"error\":{\"message\":"
         "\"slow down\",\"type\":\"rate_limit\",\"code\":null}}},\"error\":null}",
         "", "rate_limit", "slow down"},
        {"{\"custom_id\":\"a\",\"response\":{\"status_code\":500,\"body\":\"oops\"}}", "",
         "status_500", "oops"},
        {"{\"custom_id\":\"a\",\"response\":{\"status_code\":503,\"body\":null}}", "", "status_503",
         ""},
        {"{\"custom_id\":\"a\",\"response\":null,\"error\":null}", "", "no_response", ""},
        {"{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":\"text\"}}", "",
         "no_response", ""},
    };
    return cr_make_param_array(result_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(result_case *c, batch_line, tells_answers_from_failures)
{
    batch_result r = {0};
    rt_error err = {0};
    cr_assert_eq(batch_line_read(c->line, strlen(c->line), &r, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(r.custom_id, "a");
    cr_expect_str_eq(r.body.n > 0 ? r.body.data : "", c->body);
    cr_expect_str_eq(r.code, c->code);
    cr_expect_str_eq(r.message, c->message);
    batch_result_free(&r);
}

Test(batch_line, refuses_what_is_no_output)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        "{\"custom_id\":7,\"response\":null}",
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1\",\"body\":{}}", /* an input */
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        batch_result r = {0};
        rt_error err = {0};
        cr_expect_eq(batch_line_read(bad[i], strlen(bad[i]), &r, &err), RT_CORRUPT, "%s", bad[i]);
        cr_expect(err.text[0] != '\0');
        cr_expect_null(r.custom_id);
    }
}

Test(batch_line, refuses_a_line_cut_at_any_byte)
{
    static const char line[] = "{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":"
                               "{\"choices\":[1.5,\"太\"]}},\"error\":null}";
    for (size_t n = 0; n < strlen(line); n++) {
        batch_result r = {0};
        char *cut = malloc(n + 1);
        memcpy(cut, line, n);
        cr_expect_eq(batch_line_read(cut, n, &r, NULL), RT_CORRUPT, "cut at %zu", n);
        free(cut);
    }
}
