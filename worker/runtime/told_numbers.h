/* The numbers of a worker that its heartbeats carry: counters, gauges, and histograms of durations, by
 * name. Bounded tables; a name that finds no place is left out. Plain values, pure; private to
 * worker/runtime.
 *
 *     told_count(&t, "steps", 1);
 *     told_observe(&t, "pull_seconds", 0.012);
 *     told_to_wire(&copy, &space, &heartbeat);
 */
#ifndef RT_WORKER_RUNTIME_TOLD_NUMBERS_H
#define RT_WORKER_RUNTIME_TOLD_NUMBERS_H

#include "common/stats/time_histogram.h"
#include "common/wire/messages.h"

#define TOLD_COUNTERS_MAX   32
#define TOLD_HISTOGRAMS_MAX 4
#define TOLD_NAME_MAX       48

typedef struct told_counter {
    char name[TOLD_NAME_MAX];
    double value;
} told_counter;

typedef struct told_histogram {
    char name[TOLD_NAME_MAX];
    time_histogram durations;
} told_histogram;

/* Zero-initialise. */
typedef struct told_numbers {
    told_counter counters[TOLD_COUNTERS_MAX];
    size_t n_counters;
    told_histogram histograms[TOLD_HISTOGRAMS_MAX];
    size_t n_histograms;
} told_numbers;

void told_count(told_numbers *t, const char *name, double add);
void told_gauge(told_numbers *t, const char *name, double value);
void told_observe(told_numbers *t, const char *name, double seconds);

/* Where a message's lists lie while it is sent. */
typedef struct told_space {
    wire_counter counters[TOLD_COUNTERS_MAX];
    wire_histogram histograms[TOLD_HISTOGRAMS_MAX];
} told_space;

/* Fills the lists of *out, which borrow from t and space. */
void told_to_wire(told_numbers *t, told_space *space, wire_heartbeat *out);

#endif
