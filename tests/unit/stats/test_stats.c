#include "common/stats/stats.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static stats *new_stats(void)
{
    stats *s = NULL;
    cr_assert_eq(stats_new(&s, NULL), RT_OK);
    return s;
}

static stats_metric *counter(stats *s, const char *name, const stats_label *labels, size_t n)
{
    stats_metric *m = NULL;
    rt_error err = {0};
    cr_assert_eq(stats_counter(s, name, "A count", labels, n, &m, &err), RT_OK, "%s", err.text);
    return m;
}

static stats_metric *gauge(stats *s, const char *name)
{
    stats_metric *m = NULL;
    cr_assert_eq(stats_gauge(s, name, "A level", NULL, 0, &m, NULL), RT_OK);
    return m;
}

Test(stats, prometheus_text_is_grouped_by_name_and_sorted)
{
    stats *s = new_stats();
    stats_label b = {"role", "b"}, a = {"role", "a"};
    stats_metric *last = counter(s, "records_total", &b, 1);
    stats_metric *level = gauge(s, "queue_bytes");
    stats_metric *first = counter(s, "records_total", &a, 1);
    rt_buf text = {0};
    stats_add(last, 2);
    stats_add(first, 1.5);
    stats_set(level, -3);
    cr_assert_eq(stats_to_prometheus(s, &text, NULL), RT_OK);
    cr_expect_str_eq(text.data, "# HELP retort_queue_bytes A level\n"
                                "# TYPE retort_queue_bytes gauge\n"
                                "retort_queue_bytes -3\n"
                                "# HELP retort_records_total A count\n"
                                "# TYPE retort_records_total counter\n"
                                "retort_records_total{role=\"a\"} 1.5\n"
                                "retort_records_total{role=\"b\"} 2\n");
    rt_buf_free(&text);
    stats_free(s);
}

Test(stats, histogram_buckets_add_up_and_bounds_belong_to_their_bucket)
{
    stats *s = new_stats();
    stats_metric *m = NULL;
    rt_buf text = {0};
    cr_assert_eq(stats_histogram(s, "step_seconds", "Time", NULL, 0, 0.25, 3, &m, NULL), RT_OK);
    const double values[] = {0.125, 0.25, 0.375, 1.0, 5.0, -1.0, NAN, INFINITY};
    for (size_t i = 0; i < RT_COUNT(values); i++) stats_observe(m, values[i]);
    cr_assert_eq(stats_to_prometheus(s, &text, NULL), RT_OK);
    cr_expect_str_eq(text.data, "# HELP retort_step_seconds Time\n"
                                "# TYPE retort_step_seconds histogram\n"
                                "retort_step_seconds_bucket{le=\"0.25\"} 3\n"
                                "retort_step_seconds_bucket{le=\"0.5\"} 4\n"
                                "retort_step_seconds_bucket{le=\"1\"} 5\n"
                                "retort_step_seconds_bucket{le=\"+Inf\"} 6\n"
                                "retort_step_seconds_sum 5.75\n"
                                "retort_step_seconds_count 6\n");
    cr_expect_eq(stats_count(m), 6);
    rt_buf_free(&text);
    stats_free(s);
}

Test(stats, the_same_name_and_labels_are_the_same_metric)
{
    stats *s = new_stats();
    stats_label a = {"role", "a"};
    stats_metric *m = counter(s, "x_total", &a, 1);
    for (int i = 0; i < 100; i++) { /* handles stay good while others come */
        char name[32];
        snprintf(name, sizeof name, "other_%d_total", i);
        stats_add(counter(s, name, NULL, 0), i);
    }
    stats_add(m, 1);
    stats_add(counter(s, "x_total", &a, 1), 1);
    cr_expect_eq(stats_value(m), 2);
    stats_free(s);
}

Test(stats, counters_never_go_back)
{
    stats *s = new_stats();
    stats_metric *m = counter(s, "x_total", NULL, 0), *g = gauge(s, "y");
    stats_add(m, 5);
    stats_add(m, -1);
    stats_add(m, NAN);
    stats_set(m, 3);
    cr_expect_eq(stats_value(m), 5);
    stats_set(m, 8);
    cr_expect_eq(stats_value(m), 8);
    stats_set(g, 5);
    stats_add(g, -6);
    stats_set(g, NAN);
    cr_expect_eq(stats_value(g), -1);
    stats_free(s);
}

Test(stats, label_values_are_escaped)
{
    stats *s = new_stats();
    stats_label odd = {"reason", "a \"b\"\\\nc"};
    rt_buf text = {0};
    stats_add(counter(s, "x_total", &odd, 1), 1);
    cr_assert_eq(stats_to_prometheus(s, &text, NULL), RT_OK);
    cr_expect_not_null(strstr(text.data, "{reason=\"a \\\"b\\\"\\\\\\nc\"} 1\n"), "%s", text.data);
    rt_buf_free(&text);
    stats_free(s);
}

Test(stats, bad_names_kinds_and_too_many_are_refused)
{
    stats *s = new_stats();
    stats_metric *m = NULL;
    stats_label bad = {"Le", "x"}, le = {"le", "x"};
    cr_expect_eq(stats_counter(s, "x", "", NULL, 0, &m, NULL), RT_INVALID, "no _total");
    cr_expect_eq(stats_gauge(s, "x_total", "", NULL, 0, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_gauge(s, "1x", "", NULL, 0, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_gauge(s, "", "", NULL, 0, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_gauge(s, "x", "", &bad, 1, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_gauge(s, "x", "", &le, 1, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_histogram(s, "x", "", NULL, 0, 0, 3, &m, NULL), RT_INVALID);
    cr_expect_eq(stats_histogram(s, "x", "", NULL, 0, 1, 1000, &m, NULL), RT_INVALID);
    cr_expect_null(m);
    (void)gauge(s, "x");
    cr_expect_eq(stats_histogram(s, "x", "", NULL, 0, 1, 3, &m, NULL), RT_INVALID, "kind differs");
    rt_status st = RT_OK;
    for (int i = 0; i < STATS_METRICS_MAX && st == RT_OK; i++) {
        char value[16];
        snprintf(value, sizeof value, "%d", i);
        st = stats_gauge(s, "many", "", &(stats_label){"i", value}, 1, &m, NULL);
    }
    cr_expect_eq(st, RT_FULL);
    stats_free(s);
}

Test(stats, json_holds_the_same_numbers)
{
    stats *s = new_stats();
    stats_metric *m = NULL;
    rt_buf text = {0};
    stats_label role = {"role", "生徒"};
    stats_add(counter(s, "x_total", &role, 1), 7);
    cr_assert_eq(stats_histogram(s, "t_seconds", "", NULL, 0, 1, 2, &m, NULL), RT_OK);
    stats_observe(m, 1.5);
    stats_set(gauge(s, "inf"), INFINITY);
    cr_assert_eq(stats_to_json(s, &text, NULL), RT_OK);
    json_t *all = json_loads(text.data, 0, NULL);
    json_t *x = json_array_get(json_object_get(all, "retort_x_total"), 0);
    cr_expect_eq(json_number_value(json_object_get(x, "value")), 7);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(x, "labels"), "role")),
                     "生徒");
    json_t *t = json_array_get(json_object_get(all, "retort_t_seconds"), 0);
    cr_expect_eq(json_integer_value(json_object_get(t, "count")), 1);
    json_t *bucket = json_array_get(json_object_get(t, "buckets"), 1);
    cr_expect_eq(json_number_value(json_array_get(bucket, 0)), 2);
    cr_expect_eq(json_integer_value(json_array_get(bucket, 1)), 1);
    json_decref(all);
    rt_buf_free(&text);
    stats_free(s);
}

static void *count_up(void *context)
{
    stats *s = context;
    stats_metric *m = counter(s, "x_total", NULL, 0);
    for (int i = 0; i < 10000; i++) stats_add(m, 1);
    return NULL;
}

Test(stats, threads_lose_no_count)
{
    stats *s = new_stats();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, count_up, s), 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    cr_expect_eq(stats_value(counter(s, "x_total", NULL, 0)), 40000);
    stats_free(s);
}
