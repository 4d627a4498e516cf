#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"

static const option_def defs[] = {{"--rows", "N", "score at most N rows", "1000"}, {0}};
static const command sample = {.name = "sample",
                               .summary = "show how help looks",
                               .synopsis = "[options] FILE\n[options] --all",
                               .description = "First.\n\nSecond.\n",
                               .options = defs,
                               .examples = "retort sample x\n"};

Test(command, help_has_every_section_of_a_man_page_in_order)
{
    rt_buf out = {0};
    cr_assert_eq(command_help(&sample, &out, NULL), RT_OK);
    const char *parts[] = {
        "NAME\n    retort sample - show how help looks\n",
        "SYNOPSIS\n    retort sample [options] FILE\n    retort sample [options] "
        "--all\n",
        "DESCRIPTION\n    First.\n\n    Second.\n",
        "OPTIONS\n    --rows N",
        "(default 1000)\n",
        "--config FILE",
        "EXIT STATUS\n    0 ",
        "130 ",
        "EXAMPLES\n    retort sample x\n"};
    const char *at = out.data;
    for (size_t i = 0; i < RT_COUNT(parts); i++) {
        const char *found = strstr(at, parts[i]);
        cr_assert_not_null(found, "'%s' is missing behind\n%s", parts[i], at);
        at = found;
    }
    rt_buf_free(&out);
}

Test(command, every_status_has_its_exit_code)
{
    cr_expect_eq(exit_code_of(RT_OK), 0);
    cr_expect_eq(exit_code_of(RT_FULL), 1);
    cr_expect_eq(exit_code_of(RT_INVALID), 2);
    cr_expect_eq(exit_code_of(RT_NOTFOUND), 2);
    cr_expect_eq(exit_code_of(RT_CORRUPT), 3);
    cr_expect_eq(exit_code_of(RT_IO), 4);
    cr_expect_eq(exit_code_of(RT_TIMEOUT), 4);
    cr_expect_eq(exit_code_of(RT_UNAVAILABLE), 4);
    cr_expect_eq(exit_code_of(RT_CANCELLED), 130);
}

Test(command, a_failure_is_json_on_stdout_even_when_its_text_is_not_utf8)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    rt_error err = {0};
    rt_fail(&err, RT_CORRUPT, "file \"a\xff\".bin: bad");
    cr_expect_eq(command_fail_as(true, &err), 3);
    fflush(stdout);
    fflush(stderr);
    cr_expect_stdout_eq_str(
        "{\"error\":{\"status\":\"corrupt\",\"message\":\"file \\\"a?\\\".bin: bad\"}}\n");
    cr_expect_stderr_eq_str("retort: file \"a?\".bin: bad\n");
}

Test(command, a_failure_without_json_leaves_stdout_empty)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
    rt_error err = {0};
    rt_fail(&err, RT_CANCELLED, "stopped");
    cr_expect_eq(command_fail(NULL, &err), 130);
    fflush(stdout);
    fflush(stderr);
    cr_expect_stdout_eq_str("");
    cr_expect_stderr_eq_str("retort: stopped\n");
}
