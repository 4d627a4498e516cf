#include "cli/launch/smoke_lines.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/text/utf8.h"

static const char json[] =
    "{\"passed\":true,\"rows\":1250,\"labelled\":1249,\"rejected\":1,\"shown\":["
    "{\"input\":\"Adam buys 7 shells for 2 dollars each and a lamp for 5 dollars.\","
    "\"label\":\"19\",\"rationale\":\"7*2=14. 14+5=19.\"},"
    "{\"input\":\"太郎は何人ですか\",\"label\":\"三\"},"
    "{\"input\":\"What is missing?\",\"reason\":\"no_marker\",\"raw\":\"no \\u001b[31mmarker\"}]}";

Test(smoke_lines, show_input_label_rationale_and_reason)
{
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(smoke_lines(json, strlen(json), 40, &out, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(out.data, "the first 1,250 rows: 1,249 labelled, 1 rejected\n"
                               "  Adam buys 7 shells for 2 dollars each…\n"
                               "    19 ← 7*2=14. 14+5=19.\n"
                               "  太郎は何人ですか\n"
                               "    三\n"
                               "  What is missing?\n"
                               "    rejected: no_marker · no \uFFFD[31mmarker\n");
    rt_buf_free(&out);
    cr_expect(smoke_has_passed(json, strlen(json)));
}

Test(smoke_lines, refuse_what_is_no_smoke_file)
{
    static const char *const bad[] = {"", "[]", "{}", "{\"shown\":1}", "{\"passed\":true", "1"};
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        rt_buf out = {0};
        cr_expect_eq(smoke_lines(bad[i], strlen(bad[i]), 80, &out, NULL), RT_CORRUPT, "%s", bad[i]);
        cr_expect_not(smoke_has_passed(bad[i], strlen(bad[i])));
        rt_buf_free(&out);
    }
    for (size_t n = 0; n < strlen(json); n++) { /* cut anywhere */
        rt_buf out = {0};
        cr_expect_eq(smoke_lines(json, n, 1, &out, NULL), RT_CORRUPT);
        rt_buf_free(&out);
    }
}
