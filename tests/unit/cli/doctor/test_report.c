#include "cli/doctor/report.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static report *new_report(FILE *lines)
{
    report *r = NULL;
    cr_assert_eq(report_new(lines, false, &r, NULL), RT_OK);
    return r;
}

static finding bad_setting(void)
{
    finding f = finding_fail(RT_INVALID, "found %d", 3);
    finding_expect(&f, "%s", "four");
    finding_fix(&f, "set it to four");
    return f;
}

Test(doctor_report, a_line_says_what_is_wrong_and_nothing_more_where_all_is_well)
{
    rt_buf line = {0};
    finding f = bad_setting();
    snprintf(f.check, sizeof f.check, "teacher.model");
    cr_assert_eq(finding_line(&f, false, &line, NULL), RT_OK);
    cr_expect_str_eq(line.data,
                     "fail  teacher.model     found 3; expected: four; fix: set it to four\n");
    f.level = FINDING_OK;
    rt_buf_clear(&line);
    cr_assert_eq(finding_line(&f, false, &line, NULL), RT_OK);
    cr_expect_str_eq(line.data, "ok    teacher.model     found 3\n");
    rt_buf_free(&line);
}

Test(doctor_report, colours_come_only_when_asked_for)
{
    rt_buf plain = {0}, coloured = {0};
    finding f = bad_setting();
    cr_assert_eq(finding_line(&f, false, &plain, NULL), RT_OK);
    cr_assert_eq(finding_line(&f, true, &coloured, NULL), RT_OK);
    cr_expect_null(strchr(plain.data, '\033'));
    cr_expect(strncmp(coloured.data, "\033[31mfail\033[0m", 13) == 0);
    rt_buf_free(&plain);
    rt_buf_free(&coloured);
}

Test(doctor_report, the_first_failure_gives_the_exit_code)
{
    report *r = new_report(NULL);
    report_add(r, "a", finding_ok("fine"));
    report_add(r, "b", finding_warn("careful"));
    cr_expect_eq(report_exit_code(r), EXIT_CODE_OK);
    report_add(r, "c", finding_fail(RT_UNAVAILABLE, "nobody there"));
    report_add(r, "d", finding_fail(RT_INVALID, "wrong"));
    cr_expect_eq(report_exit_code(r), EXIT_CODE_ENVIRONMENT);
    report_free(r);
    r = new_report(NULL);
    report_add(r, "c", finding_fail(RT_CORRUPT, "broken"));
    cr_expect_eq(report_exit_code(r), EXIT_CODE_DATA);
    report_free(r);
    r = new_report(NULL);
    report_add(r, "c", finding_fail(RT_NOTFOUND, "not here"));
    cr_expect_eq(report_exit_code(r), EXIT_CODE_USAGE);
    report_free(r);
}

Test(doctor_report, texts_of_others_stay_on_their_line_and_are_utf_8)
{
    report *r = new_report(NULL);
    report_add(r, "teacher.server",
               finding_warn("it says: \033[2J\r\nhello \xff\xc3\xa9 \xe2\x80\xae"));
    const finding *f = report_at(r, 0);
    cr_expect_null(strpbrk(f->found, "\033\r\n"));
    cr_expect(strstr(f->found, "hello \xEF\xBF\xBD\xc3\xa9") != NULL, "%s", f->found);
    json_t *list = report_to_json(r);
    cr_assert_not_null(list);
    cr_expect_eq(json_array_size(list), 1);
    json_decref(list);
    report_free(r);
}

Test(doctor_report, a_text_that_is_too_long_is_cut_between_characters)
{
    char text[4000];
    for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 3);
    report *r = new_report(NULL);
    report_add(r, "a", finding_warn("x%s", text));
    json_t *list = report_to_json(r);
    cr_assert_not_null(list, "JSON takes only whole characters");
    const char *found = json_string_value(json_object_get(json_array_get(list, 0), "found"));
    cr_expect_gt(strlen(found), 1000);
    json_decref(list);
    report_free(r);
}

Test(doctor_report, json_has_all_five_members)
{
    static const char *const members[] = {"check", "status", "found", "expected", "fix"};
    report *r = new_report(NULL);
    report_add(r, "a", bad_setting());
    json_t *list = report_to_json(r);
    const json_t *one = json_array_get(list, 0);
    cr_expect_eq(json_object_size(one), RT_COUNT(members));
    for (size_t i = 0; i < RT_COUNT(members); i++)
        cr_expect(json_is_string(json_object_get(one, members[i])), "%s", members[i]);
    cr_expect_str_eq(json_string_value(json_object_get(one, "status")), "fail");
    cr_expect_str_eq(json_string_value(json_object_get(one, "fix")), "set it to four");
    json_decref(list);
    report_free(r);
}

Test(doctor_report, more_findings_than_there_is_room_for_are_counted_with_the_worst)
{
    rt_buf sum = {0};
    report *r = new_report(NULL);
    for (size_t i = 0; i < REPORT_FINDINGS_MAX - 1; i++) report_add(r, "a", finding_ok("fine"));
    report_end(r);
    cr_expect_eq(report_n(r), REPORT_FINDINGS_MAX - 1, "all had room");
    report_add(r, "a", finding_warn("careful"));
    report_add(r, "a", finding_fail(RT_CORRUPT, "broken"));
    report_add(r, "a", finding_ok("fine"));
    report_end(r);
    const finding *last = report_at(r, REPORT_FINDINGS_MAX - 1);
    cr_expect_str_eq(last->found, "3 more findings are left out, the worst: broken");
    cr_expect_eq(report_exit_code(r), EXIT_CODE_DATA);
    cr_assert_eq(report_sum(r, &sum, NULL), RT_OK);
    cr_expect_str_eq(sum.data, "99 ok, 0 warnings, 1 failure\n");
    rt_buf_free(&sum);
    report_free(r);
}

Test(doctor_report, a_finding_is_printed_when_it_is_added)
{
    char *text = NULL;
    size_t n = 0;
    FILE *lines = open_memstream(&text, &n);
    report *r = new_report(lines);
    report_add(r, "redis", finding_ok("starts"));
    cr_expect_str_eq(text, "ok    redis             starts\n");
    report_free(r);
    fclose(lines);
    free(text);
}
