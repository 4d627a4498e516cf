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

static void add_member(student_time *t, const member *who)
{
    for (size_t i = 0; i < who->n_counters; i++)
        for (int part = 0; part < STUDENT_TIME_PARTS; part++) {
            double value = who->counters[i].value;
            if (strcmp(who->counters[i].name, parts[part].counter) == 0 && isfinite(value) &&
                value > 0)
                t->seconds[part] += value;
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

double student_time_share(const student_time *t, student_part part)
{
    double total = 0;
    for (int i = 0; i < STUDENT_TIME_PARTS; i++) total += t->seconds[i];
    return total > 0 ? t->seconds[part] / total : NAN;
}

const char *student_part_name(student_part part)
{
    return parts[part].name;
}
