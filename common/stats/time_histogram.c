#include "common/stats/time_histogram.h"

#include <math.h>

void time_histogram_add(time_histogram *h, double seconds)
{
    size_t i = 0;
    if (!isfinite(seconds) || seconds < 0) return;
    while (i + 1 < TIME_BUCKETS && seconds > time_histogram_bound(i)) i++;
    h->buckets[i]++;
    h->sum += seconds;
}

void time_histogram_merge(time_histogram *into, const time_histogram *from)
{
    for (size_t i = 0; i < TIME_BUCKETS; i++) into->buckets[i] += from->buckets[i];
    into->sum += from->sum;
}

uint64_t time_histogram_n(const time_histogram *h)
{
    uint64_t n = 0;
    for (size_t i = 0; i < TIME_BUCKETS; i++) n += h->buckets[i];
    return n;
}

double time_histogram_bound(size_t bucket)
{
    return bucket + 1 < TIME_BUCKETS ? ldexp(TIME_BUCKET_FIRST_S, (int)bucket) : INFINITY;
}
