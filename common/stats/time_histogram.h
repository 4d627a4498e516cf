/* How long things took, counted by powers of two. Plain values, pure.
 *
 *     time_histogram h = {0};
 *     time_histogram_add(&h, seconds);
 *     time_histogram_merge(&all, &h);      // of several workers, or of one before and after a restart
 *
 * Every histogram of durations has the same buckets, so any two can be added: from a shared-memory pull
 * to a teacher's long answer, with a factor of two between a duration and its bound.
 */
#ifndef RT_STATS_TIME_HISTOGRAM_H
#define RT_STATS_TIME_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_BUCKETS        23     /* the last one is unbounded */
#define TIME_BUCKET_FIRST_S 0.0001 /* bucket i holds what took at most this times 2^i */

/* Zero-initialise. */
typedef struct time_histogram {
    uint64_t buckets[TIME_BUCKETS];
    double sum; /* seconds */
} time_histogram;

/* What is negative or not finite is left out. */
void time_histogram_add(time_histogram *h, double seconds);
/* Adds `from` to `into`. */
void time_histogram_merge(time_histogram *into, const time_histogram *from);
/* Durations counted. */
uint64_t time_histogram_n(const time_histogram *h);
/* Upper bound in seconds; INFINITY for the last. */
double time_histogram_bound(size_t bucket);

#endif
