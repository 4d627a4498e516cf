#include "coordinator/member_sums.h"

#include <math.h>
#include <string.h>

double member_sum(membership *m, wire_role role, const char *counter)
{
    double sum = member_tally_value(membership_gone(m, role), counter);
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role == role) sum += member_tally_value(&who->told, counter);
    }
    return sum;
}

static void add_durations(time_histogram *sum, const member_tally *t, const char *histogram)
{
    const time_histogram *h = member_tally_durations(t, histogram);
    if (h != NULL) time_histogram_merge(sum, h);
}

void member_durations(membership *m, wire_role role, const char *histogram, time_histogram *out)
{
    *out = (time_histogram){0};
    add_durations(out, membership_gone(m, role), histogram);
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role == role) add_durations(out, &who->told, histogram);
    }
}

compute_rate compute_rate_of(membership *m, double tokens_per_s)
{
    compute_rate c = {NAN, NAN, NAN};
    double cost = 0, peak = 0;
    bool all_know = true;
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role != ROLE_STUDENT || !who->alive) continue;
        double own = member_tally_value(&who->told, "peak_mflops_per_s");
        cost = RT_MAX(cost, member_tally_value(&who->told, "mflop_per_token"));
        peak += own;
        all_know = all_know && own > 0;
    }
    if (cost > 0) c.mflops_per_s = tokens_per_s * cost;
    if (all_know && peak > 0) c.peak_mflops_per_s = peak;
    c.peak_share = c.mflops_per_s / c.peak_mflops_per_s;
    return c;
}
