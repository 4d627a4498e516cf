/* Prometheus text, to the byte. */
#include "coordinator/metrics_page.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

Test(metrics_page, samples_follow_their_family_and_labels_are_escaped)
{
    rt_buf text = {0};
    metrics_page p = {.out = &text};
    metrics_one(&p, "loss", "gauge", "Loss.", NAN);
    metrics_family(&p, "worker", "gauge", "Counters.");
    metrics_label labels[] = {{"worker", "a\"b\\c\nd"}, {"name", ""}};
    metrics_sample(&p, "worker", labels, 2, 0.1);
    metrics_labelled(&p, "worker", "name", "x", 1e15);
    cr_expect_eq(p.st, RT_OK);
    cr_expect_str_eq(text.data, "# HELP retort_loss Loss.\n# TYPE retort_loss gauge\n"
                                "retort_loss NaN\n"
                                "# HELP retort_worker Counters.\n# TYPE retort_worker gauge\n"
                                "retort_worker{worker=\"a\\\"b\\\\c\\nd\",name=\"\"} 0.1\n"
                                "retort_worker{name=\"x\"} 1e+15\n");
    rt_buf_free(&text);
}

Test(metrics_page, buckets_of_a_histogram_count_all_that_is_at_most_their_bound)
{
    rt_buf text = {0};
    time_histogram h = {0};
    metrics_page p = {.out = &text};
    time_histogram_add(&h, 0.00015);
    time_histogram_add(&h, 0.5);
    time_histogram_add(&h, 1000);
    metrics_durations(&p, "pull_seconds", "Pulls.", &h);
    cr_expect_eq(p.st, RT_OK);
    static const char *const parts[] = {
        "# TYPE retort_pull_seconds histogram\n",
        "retort_pull_seconds_bucket{le=\"0.0001\"} 0\nretort_pull_seconds_bucket{le=\"0.0002\"} 1\n",
        "retort_pull_seconds_bucket{le=\"0.4096\"} 1\nretort_pull_seconds_bucket{le=\"0.8192\"} 2\n",
        "retort_pull_seconds_bucket{le=\"209.715\"} 2\nretort_pull_seconds_bucket{le=\"+Inf\"} 3\n",
        "retort_pull_seconds_sum 1000.50015\nretort_pull_seconds_count 3\n",
    };
    for (size_t i = 0; i < RT_COUNT(parts); i++)
        cr_expect_not_null(strstr(text.data, parts[i]), "%s in\n%s", parts[i], text.data);
    rt_buf_free(&text);
}
