/* The page is a function of the data, and any data makes a page. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "worker/report/page.h"
#include "worker/report/report.h"

static char *page_of(const char *json)
{
    static rt_buf out;
    rt_error err = {0};
    json_t *data = json_loads(json, 0, NULL);
    rt_buf_clear(&out);
    cr_assert_eq(report_render(data, &out, &err), RT_OK, "%s", err.text);
    json_decref(data);
    return out.data;
}

static char *put(void (*what)(html *h, double n), double n)
{
    static rt_buf out;
    html h = {0};
    rt_buf_clear(&out);
    what(&h, n);
    cr_assert_eq(html_end(&h, &out, NULL), RT_OK);
    return out.data;
}

Test(page, nothing_known_is_still_a_page)
{
    const char *page = page_of("{}");
    cr_expect_not_null(strstr(page, "</html>"));
    cr_expect_not_null(strstr(page, "Nobody was scored"));
    cr_expect_not_null(strstr(page, "No curves were recorded"));
}

Test(page, fields_of_other_types_are_passed_over)
{
    const char *page = page_of(
        "{\"run\": [1], \"missing\": [3, {}], \"rows\": \"x\", \"accuracy\": {\"a\": 1}, \"curves\": "
        "[1, {\"lines\": [{\"x\": [1], \"y\": \"no\"}, 7]}], \"confusion\": {\"student\": {\"labels\": "
        "[1, 2], \"matrix\": [[1], 3]}}, \"rejections\": [[]], \"cost\": 5, \"seconds\": {\"a\": []}, "
        "\"student_examples\": {\"examples_right\": [null]}, \"checksums\": [0], \"config\": 9}");
    cr_expect_not_null(strstr(page, "</html>"));
}

Test(page, no_text_is_markup)
{
    const char *page = page_of(
        "{\"run\": {\"name\": \"<x>\", \"task\": \"<x>\", \"folder\": \"<x>\"}, \"missing\": [\"<x>\"], "
        "\"accuracy\": [{\"who\": \"<x>\", \"on\": \"<x>\", \"share\": 0.5}], \"test\": {\"classes\": "
        "{\"<x>\": {\"share\": 1}}, \"unreadable\": 1, \"unreadable_reasons\": {\"<x>\": 1}}, "
        "\"confusion\": {\"student\": {\"labels\": [\"<x>\"], \"matrix\": [[1, 0]]}, \"teacher\": "
        "{\"pairs\": [{\"gold\": \"<x>\", \"label\": \"<x>\", \"n\": 1}]}}, \"curves\": [{\"title\": "
        "\"<x>\", \"x\": \"<x>\", \"y\": \"<x>\", \"lines\": [{\"name\": \"<x>\", \"x\": [1, 2], \"y\": "
        "[1, 2]}]}], \"student_examples\": {\"examples_wrong\": [{\"input\": \"<x>\", \"wrote\": "
        "\"<x>\", \"rationale\": \"<x>\", \"label\": \"<x>\", \"gold\": \"<x>\", \"teacher_label\": "
        "\"<x>\"}]}, \"teacher_examples\": {\"wrong\": [{\"input\": \"<x>\", \"label\": \"<x>\", "
        "\"gold\": \"<x>\", \"rationale\": \"<x>\"}]}, \"rejections\": [{\"reason\": \"<x>\", "
        "\"examples\": [{\"input\": \"<x>\", \"raw\": \"<x>\"}]}], \"cost\": {\"currency\": \"<x>\"}, "
        "\"seconds\": {\"<x>\": 1}, \"versions\": {\"cpu\": \"<x>\"}, \"checksums\": [{\"what\": "
        "\"<x>\", \"sha256\": \"<x>\"}], \"config\": \"<x>\", \"made_at\": \"<x>\", \"retort\": "
        "\"<x>\"}");
    cr_expect_null(strstr(page, "<x>"));
    cr_expect_not_null(strstr(page, "&lt;x&gt;"));
}

Test(page, counts_are_shown_as_a_sum)
{
    const char *page = page_of(
        "{\"rows\": {\"read\": 12345, \"duplicates\": 40, \"malformed\": 5, \"examples\": 12300, "
        "\"labelled\": 12000, \"rejected\": 200, \"open\": 100, \"adds_up\": true}}");
    cr_expect_not_null(strstr(page, "12,345"));
    cr_expect_not_null(strstr(page, "it adds up"));
    cr_expect_null(strstr(page, "does not add up"));
    cr_expect_not_null(
        strstr(page_of("{\"rows\": {\"read\": 1, \"adds_up\": false}}"), "does not add up"));
}

Test(page, numbers_are_written_for_people)
{
    cr_expect_str_eq(put(put_count, 0), "0");
    cr_expect_str_eq(put(put_count, 999), "999");
    cr_expect_str_eq(put(put_count, 1234567), "1,234,567");
    cr_expect_str_eq(put(put_count, -1000), "-1,000");
    cr_expect_str_eq(put(put_count, 1e300), "?");
    cr_expect_str_eq(put(put_percent, 0.9834), "98.3&nbsp;%");
    cr_expect_str_eq(put(put_duration, 3.21), "3.2&nbsp;s");
    cr_expect_str_eq(put(put_duration, 132), "2&nbsp;min 12&nbsp;s");
    cr_expect_str_eq(put(put_duration, 7380), "2&nbsp;h 3&nbsp;min");
    cr_expect_str_eq(put(put_duration, 1e300), "?");
    cr_expect_str_eq(put(put_duration, -1), "?");
}

Test(page, it_loads_nothing_and_runs_nothing)
{
    const char *page = page_of("{}");
    cr_expect_null(strstr(page, "<script"));
    cr_expect_null(strstr(page, "http://"));
    cr_expect_null(strstr(page, "https://"));
    cr_expect_null(strstr(page, "src="));
    cr_expect_not_null(strstr(page, "default-src 'none'"));
}
