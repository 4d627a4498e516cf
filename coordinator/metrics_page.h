/* Prometheus text being written: families, and their samples right behind them.
 *
 *     metrics_page p = {.out = &text, .err = err};
 *     metrics_one(&p, "steps", "gauge", "Length of the training.", n);       // retort_steps 2000
 *     metrics_family(&p, "members", "gauge", "Processes by role.");
 *     metrics_labelled(&p, "members", "role", "student", 2);
 *     return p.st;
 *
 * Names come without their retort_. The first failure stays, and nothing is written after it.
 */
#ifndef RT_COORDINATOR_METRICS_PAGE_H
#define RT_COORDINATOR_METRICS_PAGE_H

#include "common/base/bytes.h"
#include "common/stats/time_histogram.h"

typedef struct metrics_page {
    rt_buf *out;
    rt_error *err;
    rt_status st;
} metrics_page;

typedef struct metrics_label {
    const char *key, *value;
} metrics_label;

void metrics_family(metrics_page *p, const char *name, const char *type, const char *help);
void metrics_sample(metrics_page *p, const char *name, const metrics_label *labels, size_t n,
                    double value);
/* A sample with one label. */
void metrics_labelled(metrics_page *p, const char *name, const char *key, const char *label,
                      double value);
/* A family of one sample without labels. */
void metrics_one(metrics_page *p, const char *name, const char *type, const char *help,
                 double value);
/* A family of one histogram. */
void metrics_durations(metrics_page *p, const char *name, const char *help,
                       const time_histogram *h);

#endif
