/* Counters, gauges and histograms of one process, written as Prometheus text or JSON.
 *
 *     stats_metric *pushed;
 *     stats_label role = {"role", "student"};
 *     stats_counter(s, "gradients_total", "Gradients pushed", &role, 1, &pushed, err);
 *     stats_add(pushed, 1);
 *     stats_to_prometheus(s, &text, err);     // retort_gradients_total{role="student"} 1
 *
 * A metric is found or made by name and labels, and lives as long as its stats. Every call is safe
 * from any thread: one mutex in stats guards all metrics, and a metric is touched a few times a step.
 * Names follow Prometheus: base units, counters end in _total; the prefix retort_ is put before.
 */
#ifndef RT_STATS_STATS_H
#define RT_STATS_STATS_H

#include "common/base/bytes.h"

#define STATS_METRICS_MAX 4096 /* label values come from outside; beyond this RT_FULL */
#define STATS_LABELS_MAX  4
#define STATS_BUCKETS_MAX 40

typedef struct stats stats;
typedef struct stats_metric stats_metric;

typedef enum stats_kind { STATS_COUNTER, STATS_GAUGE, STATS_HISTOGRAM } stats_kind;

typedef struct stats_label {
    const char *name;
    const char *value;
} stats_label;

/* Returns new; stats_free() frees it and every metric. */
RT_MUST_USE rt_status stats_new(stats **out, rt_error *err);
void stats_free(stats *s);

/* Find or make a metric. RT_INVALID for a bad name or another kind under this name; names, help and
 * labels are copied. */
RT_MUST_USE rt_status stats_counter(stats *s, const char *name, const char *help,
                                    const stats_label *labels, size_t n_labels, stats_metric **out,
                                    rt_error *err);
RT_MUST_USE rt_status stats_gauge(stats *s, const char *name, const char *help,
                                  const stats_label *labels, size_t n_labels, stats_metric **out,
                                  rt_error *err);
/* Buckets with upper bounds first, 2 first, 4 first, ... (n_buckets of them) and one for the rest. */
RT_MUST_USE rt_status stats_histogram(stats *s, const char *name, const char *help,
                                      const stats_label *labels, size_t n_labels, double first,
                                      size_t n_buckets, stats_metric **out, rt_error *err);

/* Counter or gauge. A counter takes no negative or non-finite amount: it stays as it is. */
void stats_add(stats_metric *m, double amount);
/* Gauge; or a counter that another process counted: it never goes back. */
void stats_set(stats_metric *m, double value);
/* Histogram: one value. NaN is left out. */
void stats_observe(stats_metric *m, double value);
/* Value of a counter or gauge; of a histogram its sum. */
double stats_value(const stats_metric *m);
/* Values a histogram has seen. */
uint64_t stats_count(const stats_metric *m);

/* Append all metrics, sorted by name, then labels. */
RT_MUST_USE rt_status stats_to_prometheus(const stats *s, rt_buf *out, rt_error *err);
/* {"retort_x_total":[{"labels":{..},"value":1}],"retort_y_seconds":[{"labels":{},"count":2,
 * "sum":0.5,"buckets":[[0.001,1],..]}]} */
RT_MUST_USE rt_status stats_to_json(const stats *s, rt_buf *out, rt_error *err);

#endif
