#include "coordinator/member_tally.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static member_counter *counter_of(member_tally *t, const char *name)
{
    for (size_t i = 0; i < t->n_counters; i++)
        if (strcmp(t->counters[i].name, name) == 0) return &t->counters[i];
    if (t->n_counters == MEMBER_COUNTERS_MAX) return NULL;
    member_counter *fresh = &t->counters[t->n_counters++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    return fresh;
}

static time_histogram *histogram_of(member_tally *t, const char *name)
{
    for (size_t i = 0; i < t->n_histograms; i++)
        if (strcmp(t->histograms[i].name, name) == 0) return &t->histograms[i].durations;
    if (t->n_histograms == MEMBER_HISTOGRAMS_MAX) return NULL;
    member_histogram *fresh = &t->histograms[t->n_histograms++];
    snprintf(fresh->name, sizeof fresh->name, "%s", name);
    return &fresh->durations;
}

static void take_histogram(member_tally *t, const wire_histogram *h)
{
    time_histogram told = {.sum = h->sum};
    char name[sizeof t->histograms[0].name];
    bool ours = h->first == TIME_BUCKET_FIRST_S && h->n_buckets == TIME_BUCKETS;
    if (!ours || !isfinite(h->sum) || h->sum < 0) return;
    snprintf(name, sizeof name, "%s", h->name);
    memcpy(told.buckets, h->buckets, sizeof told.buckets);
    time_histogram *known = histogram_of(t, name);
    if (known == NULL) return;
    for (size_t i = 0; i < TIME_BUCKETS; i++)
        if (told.buckets[i] < known->buckets[i]) return;
    if (told.sum >= known->sum) *known = told;
}

void member_tally_take(member_tally *t, const wire_heartbeat *body)
{
    t->n_counters = RT_MIN(body->n_counters, (size_t)MEMBER_COUNTERS_MAX);
    for (size_t i = 0; i < t->n_counters; i++) {
        member_counter *c = &t->counters[i];
        snprintf(c->name, sizeof c->name, "%s", body->counters[i].name);
        c->value = body->counters[i].value;
    }
    for (size_t i = 0; i < body->n_histograms; i++) take_histogram(t, &body->histograms[i]);
}

void member_tally_add(member_tally *t, const member_tally *from)
{
    for (size_t i = 0; i < from->n_counters; i++) {
        member_counter *into = counter_of(t, from->counters[i].name);
        double value = member_tally_value(from, from->counters[i].name);
        if (into != NULL) into->value += value;
    }
    for (size_t i = 0; i < from->n_histograms; i++) {
        time_histogram *into = histogram_of(t, from->histograms[i].name);
        if (into != NULL) time_histogram_merge(into, &from->histograms[i].durations);
    }
}

double member_tally_value(const member_tally *t, const char *counter)
{
    for (size_t i = 0; i < t->n_counters; i++) {
        double value = t->counters[i].value;
        if (strcmp(t->counters[i].name, counter) == 0)
            return isfinite(value) && value > 0 ? value : 0;
    }
    return 0;
}

const time_histogram *member_tally_durations(const member_tally *t, const char *histogram)
{
    for (size_t i = 0; i < t->n_histograms; i++)
        if (strcmp(t->histograms[i].name, histogram) == 0) return &t->histograms[i].durations;
    return NULL;
}
