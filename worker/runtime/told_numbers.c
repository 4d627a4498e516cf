#include "worker/runtime/told_numbers.h"

#include <stdio.h>
#include <string.h>

static bool is_named(const char *known, const char *name)
{
    return strncmp(known, name, TOLD_NAME_MAX - 1) == 0;
}

/* NULL when the table is full. */
static told_counter *counter_of(told_numbers *t, const char *name)
{
    for (size_t i = 0; i < t->n_counters; i++)
        if (is_named(t->counters[i].name, name)) return &t->counters[i];
    if (t->n_counters == TOLD_COUNTERS_MAX) return NULL;
    told_counter *fresh = &t->counters[t->n_counters++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    return fresh;
}

static told_histogram *histogram_of(told_numbers *t, const char *name)
{
    for (size_t i = 0; i < t->n_histograms; i++)
        if (is_named(t->histograms[i].name, name)) return &t->histograms[i];
    if (t->n_histograms == TOLD_HISTOGRAMS_MAX) return NULL;
    told_histogram *fresh = &t->histograms[t->n_histograms++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    return fresh;
}

void told_count(told_numbers *t, const char *name, double add)
{
    told_counter *c = counter_of(t, name);
    if (c != NULL) c->value += add;
}

void told_gauge(told_numbers *t, const char *name, double value)
{
    told_counter *c = counter_of(t, name);
    if (c != NULL) c->value = value;
}

void told_observe(told_numbers *t, const char *name, double seconds)
{
    told_histogram *h = histogram_of(t, name);
    if (h != NULL) time_histogram_add(&h->durations, seconds);
}

void told_to_wire(told_numbers *t, told_space *space, wire_heartbeat *out)
{
    for (size_t i = 0; i < t->n_counters; i++)
        space->counters[i] =
            (wire_counter){.name = t->counters[i].name, .value = t->counters[i].value};
    for (size_t i = 0; i < t->n_histograms; i++) {
        time_histogram *d = &t->histograms[i].durations;
        space->histograms[i] = (wire_histogram){.name = t->histograms[i].name,
                                                .first = TIME_BUCKET_FIRST_S,
                                                .sum = d->sum,
                                                .buckets = d->buckets,
                                                .n_buckets = TIME_BUCKETS};
    }
    out->counters = space->counters;
    out->n_counters = t->n_counters;
    out->histograms = space->histograms;
    out->n_histograms = t->n_histograms;
}
