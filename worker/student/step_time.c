#include "worker/student/step_time.h"

#include <string.h>

#include "common/base/status.h"

static void charge(step_time *t, double now_s)
{
    if (t->started && now_s > t->since_s) t->seconds[t->now] += now_s - t->since_s;
    t->since_s = now_s;
}

void step_time_switch(step_time *t, step_part part, double now_s)
{
    charge(t, now_s);
    t->now = part;
    t->started = true;
}

void step_time_move(step_time *t, step_part from, step_part to, double seconds)
{
    double moved = RT_MIN(RT_MAX(seconds, 0.0), t->seconds[from]);
    t->seconds[from] -= moved;
    t->seconds[to] += moved;
}

void step_time_take(step_time *t, double now_s, double *seconds)
{
    charge(t, now_s);
    memcpy(seconds, t->seconds, sizeof t->seconds);
    memset(t->seconds, 0, sizeof t->seconds);
}

const char *step_part_counter(step_part part)
{
    static const char *const names[STEP_PARTS] = {"wait_seconds", "pull_seconds", "compute_seconds",
                                                  "push_seconds"};
    return names[part];
}
