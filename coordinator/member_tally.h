/* The numbers that heartbeats of one worker told, or those of many together. Pure.
 *
 *     member_tally_take(&who->told, &heartbeat);
 *     member_tally_add(&gone, &who->told);         // its process was replaced
 *     n = member_tally_value(&gone, "retries");
 *
 * Bounded: what finds no place is left out, as are durations in other buckets than ours.
 */
#ifndef RT_COORDINATOR_MEMBER_TALLY_H
#define RT_COORDINATOR_MEMBER_TALLY_H

#include "common/stats/time_histogram.h"
#include "common/wire/messages.h"

#define MEMBER_COUNTERS_MAX   32
#define MEMBER_HISTOGRAMS_MAX 4

typedef struct member_counter {
    char name[48];
    double value;
} member_counter;

typedef struct member_histogram {
    char name[48];
    time_histogram durations;
} member_histogram;

/* Zero-initialise. */
typedef struct member_tally {
    member_counter counters[MEMBER_COUNTERS_MAX]; /* gauges too: only their names tell */
    size_t n_counters;
    member_histogram histograms[MEMBER_HISTOGRAMS_MAX];
    size_t n_histograms;
} member_tally;

/* What a heartbeat says instead of what one before said. A histogram never goes back: a message that
 * was overtaken by a later one takes nothing away. */
void member_tally_take(member_tally *t, const wire_heartbeat *body);
/* Adds all of `from`. What a gauge comes to then means nothing. */
void member_tally_add(member_tally *t, const member_tally *from);
/* 0 for one that was not told, is negative or is not finite. */
double member_tally_value(const member_tally *t, const char *counter);
/* NULL for one that was not told. */
const time_histogram *member_tally_durations(const member_tally *t, const char *histogram);

#endif
