#include "coordinator/member_sums.h"

#include <math.h>
#include <string.h>

static bool counts(double value)
{
    return isfinite(value) && value > 0;
}

static double value_of(const member *who, const char *counter)
{
    for (size_t i = 0; i < who->n_counters; i++)
        if (strcmp(who->counters[i].name, counter) == 0 && counts(who->counters[i].value))
            return who->counters[i].value;
    return 0;
}

double member_sum(membership *m, wire_role role, const char *counter)
{
    double sum = 0;
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role == role) sum += value_of(who, counter);
    }
    return sum;
}

compute_rate compute_rate_of(membership *m, double tokens_per_s)
{
    compute_rate c = {NAN, NAN, NAN};
    double cost = 0, peak = 0;
    bool all_know = true;
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role != ROLE_STUDENT || !who->alive) continue;
        double own = value_of(who, "peak_mflops_per_s");
        cost = RT_MAX(cost, value_of(who, "mflop_per_token"));
        peak += own;
        all_know = all_know && own > 0;
    }
    if (cost > 0) c.mflops_per_s = tokens_per_s * cost;
    if (all_know && peak > 0) c.peak_mflops_per_s = peak;
    c.peak_share = c.mflops_per_s / c.peak_mflops_per_s;
    return c;
}
