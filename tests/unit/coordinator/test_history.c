/* The curves: when a point is due, what goes when it is full, what a restart brings back. */
#include "coordinator/history.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static history *new_history(void)
{
    history *h = malloc(sizeof *h);
    cr_assert_not_null(h);
    history_start(h);
    return h;
}

/* The loop of a coordinator that looks four times a second. */
static void run_for(history *h, double from_s, double to_s)
{
    for (double t = from_s; t <= to_s; t += 0.25) {
        history_point p = {.time_s = 1e9 + t, .t_s = t, .step = (uint64_t)t, .loss = NAN};
        p.losses[0] = 1.5;
        for (int k = 1; k < TASK_COUNT; k++) p.losses[k] = NAN;
        if (history_is_due(h, t)) history_add(h, &p);
    }
}

static void expect_even(const history *h, double end_s)
{
    cr_expect_leq(h->n, HISTORY_POINTS_MAX);
    cr_expect_eq(h->points[0].t_s, 0, "the beginning stays");
    cr_expect_lt(end_s - history_t_s(h), h->interval_s);
    for (size_t i = 1; i < h->n; i++) {
        cr_assert_eq(h->points[i].t_s - h->points[i - 1].t_s, h->interval_s, "point %zu", i);
        cr_assert_gt(h->points[i].seq, h->points[i - 1].seq);
    }
}

Test(history, a_point_a_second_until_it_is_full_then_every_second_goes)
{
    history *h = new_history();
    run_for(h, 0, 2047);
    cr_expect_eq(h->n, 2048);
    cr_expect_eq(h->interval_s, 1);
    run_for(h, 2047.25, 2048);
    cr_expect_eq(h->interval_s, 2);
    cr_expect_eq(h->n, 1025);
    expect_even(h, 2048);
    run_for(h, 2048.25, 20000);
    cr_expect_eq(h->interval_s, 16);
    expect_even(h, 20000);
    free(h);
}

Test(history, a_file_brings_back_what_was_there_and_goes_on)
{
    rt_buf lines = {0}, before = {0}, after = {0};
    history *h = new_history(), *again = new_history();
    run_for(h, 0, 3000);
    history_evaluation e = {.version = 10, .time_s = NAN, .loss = 1.25, .exact = 0.5};
    for (int k = 0; k < TASK_COUNT; k++) e.losses[k] = NAN;
    cr_expect(history_add_evaluation(h, &e));
    cr_expect_not(history_add_evaluation(h, &e), "once");
    run_for(h, 3000.25, 3010);
    cr_assert_eq(history_to_lines(h, &lines, NULL), RT_OK);
    for (char *at = lines.data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        cr_assert(history_take_line(again, at, (size_t)(end - at)), "%.*s", (int)(end - at), at);
    cr_assert_eq(history_to_json(h, 0, &before, NULL), RT_OK);
    cr_assert_eq(history_to_json(again, 0, &after, NULL), RT_OK);
    cr_expect_str_eq(after.data, before.data);
    cr_expect_eq(again->interval_s, 2);
    cr_expect_eq(again->seq, h->seq);
    run_for(again, 3010.25, 3020);
    cr_expect_gt(again->seq, h->seq);
    rt_buf_free(&lines);
    rt_buf_free(&before);
    rt_buf_free(&after);
    free(h);
    free(again);
}

Test(history, shows_what_is_newer_than_a_number)
{
    rt_buf out = {0};
    history *h = new_history();
    run_for(h, 0, 2);
    history_evaluation e = {.version = 7, .time_s = 5, .loss = 1, .exact = 0};
    cr_assert(history_add_evaluation(h, &e));
    cr_assert_eq(history_to_json(h, 2, &out, NULL), RT_OK);
    cr_expect_eq(
        strncmp(out.data, "{\"seq\":4,\"points\":[{\"seq\":3,\"time\":1000000002.0,\"t\":2.0,", 54),
        0, "%s", out.data);
    cr_expect_not_null(strstr(out.data, "\"loss\":null,\"losses\":{\"predict\":1.5}"), "%s",
                       out.data);
    cr_expect_not_null(strstr(out.data, "\"evaluations\":[{\"seq\":4,\"version\":7,\"time\":5.0,"));
    rt_buf_clear(&out);
    cr_assert_eq(history_to_json(h, 4, &out, NULL), RT_OK);
    cr_expect_str_eq(out.data, "{\"seq\":4,\"points\":[],\"evaluations\":[]}\n");
    rt_buf_clear(&out);
    cr_assert_eq(history_to_json(h, 5, &out, NULL), RT_OK);
    cr_expect_not_null(strstr(out.data, "\"seq\":1,"), "a number of another life counts as 0");
    rt_buf_free(&out);
    free(h);
}

Test(history, lines_that_do_not_fit_are_left_out)
{
    static const char *const bad[] = {
        "",
        "x",
        "{}",
        "[]",
        "null",
        "{\"kind\":7}",
        "{\"kind\":\"else\"}",
        "{\"kind\":\"point\"}",
        "{\"kind\":\"point\",\"seq\":3,\"time\":1,\"t\":-1}",
        "{\"kind\":\"point\",\"seq\":-3,\"time\":1,\"t\":9}",
        "{\"kind\":\"point\",\"seq\":3,\"time\":\"now\",\"t\":9}",
        "{\"kind\":\"point\",\"seq\":2,\"time\":1,\"t\":9}", /* was there */
        "{\"kind\":\"evaluation\",\"seq\":1,\"version\":2}",
        "{\"kind\":\"history\",\"interval_s\":0}",
        "{\"kind\":\"history\",\"interval_s\":-4}",
        "{\"kind\":\"point\",\"seq\":3,\"time\":1,\"t\":9", /* torn */
    };
    history *h = new_history();
    run_for(h, 0, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(history_take_line(h, bad[i], strlen(bad[i])), "%s", bad[i]);
    cr_expect_eq(h->n, 2);
    cr_expect_eq(h->interval_s, 1);
    static const char good[] = "{\"kind\":\"point\",\"seq\":3,\"time\":1,\"t\":9}";
    cr_expect(history_take_line(h, good, sizeof good - 1));
    free(h);
}
