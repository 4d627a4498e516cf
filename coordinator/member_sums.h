/* What the numbers of all heartbeats come to together. Pure.
 *
 *     n = member_sum(members, ROLE_TEACHER, "retries");
 *     member_durations(members, ROLE_STUDENT, "pull_seconds", &histogram);
 *     compute_rate c = compute_rate_of(members, tokens_per_s);
 */
#ifndef RT_COORDINATOR_MEMBER_SUMS_H
#define RT_COORDINATOR_MEMBER_SUMS_H

#include "coordinator/membership.h"

/* Over all members of a role, as far as they told: also those that are dead, and what they told before
 * their process was replaced. Never goes back while counters do not. What is negative or not finite
 * counts nothing. */
double member_sum(membership *m, wire_role role, const char *counter);
/* The same for durations; *out is overwritten. */
void member_durations(membership *m, wire_role role, const char *histogram, time_histogram *out);

/* Speed of training. NaN: unknown. */
typedef struct compute_rate {
    double mflops_per_s;      /* tokens a second times what a token costs, forward and backward */
    double peak_mflops_per_s; /* of the living students' processors together, as each measured it */
    double peak_share;
} compute_rate;

/* From the students' gauges mflop_per_token and peak_mflops_per_s. */
compute_rate compute_rate_of(membership *m, double tokens_per_s);

#endif
