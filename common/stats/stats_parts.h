/* What the files of stats share; for nobody else. */
#ifndef RT_STATS_STATS_PARTS_H
#define RT_STATS_STATS_PARTS_H

#include <pthread.h>

#include "common/stats/stats.h"

struct stats_metric {
    stats *owner;
    stats_kind kind;
    char *name; /* with prefix */
    char *help;
    char *label_names[STATS_LABELS_MAX];
    char *label_values[STATS_LABELS_MAX];
    size_t n_labels;
    /* guarded by owner->mutex: */
    double value;     /* histogram: sum */
    uint64_t n;       /* histogram: values seen */
    double first;     /* histogram: bound of bucket 0 */
    size_t n_buckets; /* without the last, unbounded one */
    uint64_t buckets[STATS_BUCKETS_MAX + 1];
};

struct stats {
    pthread_mutex_t mutex;  /* guards everything below and the values of all metrics */
    stats_metric **metrics; /* sorted by stats_compare */
    size_t n_metrics;
};

/* By name, then by labels in the order given. */
int stats_compare(const stats_metric *a, const stats_metric *b);

#endif
