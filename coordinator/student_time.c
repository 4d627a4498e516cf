#include "coordinator/student_time.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name, *counter;
} parts[STUDENT_TIME_PARTS] = {
    [STUDENT_TIME_WAIT] = {"wait", "wait_seconds"},
    [STUDENT_TIME_PULL] = {"pull", "pull_seconds"},
    [STUDENT_TIME_COMPUTE] = {"compute", "compute_seconds"},
    [STUDENT_TIME_PUSH] = {"push", "push_seconds"},
};

static double *seconds_of(student_time *t, const char *counter)
{
    for (int part = 0; part < STUDENT_TIME_PARTS; part++)
        if (strcmp(counter, parts[part].counter) == 0) return &t->seconds[part];
    return strcmp(counter, "push_beside_seconds") == 0 ? &t->beside_s : NULL;
}

static void add_member(student_time *t, const member *who)
{
    for (size_t i = 0; i < who->told.n_counters; i++) {
        double value = who->told.counters[i].value;
        double *seconds = seconds_of(t, who->told.counters[i].name);
        if (seconds != NULL && isfinite(value) && value > 0) *seconds += value;
    }
}

student_time student_time_of(membership *m)
{
    student_time t = {0};
    for (size_t i = 0; i < membership_n(m); i++) {
        const member *who = membership_at(m, i);
        if (who->role == ROLE_STUDENT) add_member(&t, who);
    }
    return t;
}

static double share_of(const student_time *t, double seconds)
{
    double total = 0;
    for (int i = 0; i < STUDENT_TIME_PARTS; i++) total += t->seconds[i];
    return total > 0 ? seconds / total : NAN;
}

double student_time_share(const student_time *t, student_part part)
{
    return share_of(t, t->seconds[part]);
}

double student_time_beside_share(const student_time *t)
{
    return share_of(t, t->beside_s);
}

const char *student_part_name(student_part part)
{
    return parts[part].name;
}
