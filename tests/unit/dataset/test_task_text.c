#include "common/dataset/task_text.h"

#include <criterion/criterion.h>
#include <string.h>

static label_record record(void)
{
    static char input[] = "どこ?", label[] = "(b)", rationale[] = "Because it rains.";
    return (label_record){.input = input, .label = label, .rationale = rationale};
}

static void expect_target(student_task task, const label_record *r, const char *format,
                          const char *marker, const char *expected)
{
    rt_buf out = {0};
    rt_error err = {0};
    cr_assert_eq(task_target(task, r, format, marker, &out, &err), RT_OK, "%s", err.text);
    cr_expect_str_eq(out.data, expected);
    rt_buf_free(&out);
}

Test(task_text, prompt_carries_the_task_and_the_input)
{
    rt_buf out = {0};
    cr_assert_eq(task_prompt(TASK_EXPLAIN, "a {b} c", &out, NULL), RT_OK);
    cr_assert_eq(task_prompt(TASK_SOLVE, "どこ?", &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "explain: a {b} c\nsolve: どこ?\n");
    rt_buf_free(&out);
}

Test(task_text, each_task_has_its_target)
{
    label_record r = record();
    expect_target(TASK_PREDICT, &r, NULL, "So the answer is", "(b)");
    expect_target(TASK_EXPLAIN, &r, NULL, "So the answer is", "Because it rains.");
    expect_target(TASK_SOLVE, &r, NULL, "So the answer is",
                  "Because it rains. So the answer is (b)");
    expect_target(TASK_SOLVE, &r, "{marker} {label}.", "答えは", "Because it rains. 答えは (b).");
    expect_target(TASK_SOLVE, &r, "", "", "Because it rains. (b)");
}

Test(task_text, without_a_rationale_solve_is_the_label_part_and_explain_is_not_there)
{
    label_record r = record();
    rt_buf out = {0};
    r.rationale = NULL;
    expect_target(TASK_SOLVE, &r, NULL, "The answer is", "The answer is (b)");
    cr_expect_eq(task_target(TASK_EXPLAIN, &r, NULL, "", &out, NULL), RT_NOTFOUND);
    r.label = NULL;
    cr_expect_eq(task_target(TASK_PREDICT, &r, NULL, "", &out, NULL), RT_NOTFOUND);
    cr_expect_eq(task_target(TASK_SOLVE, &r, NULL, "", &out, NULL), RT_NOTFOUND);
    cr_expect_eq(out.n, 0);
    rt_buf_free(&out);
}

Test(task_text, a_bad_label_format_is_refused_by_name)
{
    label_record r = record();
    rt_buf out = {0};
    rt_error err = {0};
    cr_expect_eq(task_target(TASK_SOLVE, &r, "{marker", "m", &out, &err), RT_INVALID);
    cr_expect_eq(task_target(TASK_SOLVE, &r, "{lable}", "m", &out, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "lable"), "%s", err.text);
    cr_expect_eq(out.n, 0);
    rt_buf_free(&out);
}
