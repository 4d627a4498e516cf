#include "common/base/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t rt_clock_mono_ms(void)
{
    return read_ms(CLOCK_MONOTONIC);
}

double rt_clock_mono_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

uint64_t rt_clock_wall_ms(void)
{
    return read_ms(CLOCK_REALTIME);
}

void rt_sleep_ms(uint64_t duration_ms)
{
    struct timespec t = {(time_t)(duration_ms / 1000), (long)(duration_ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}
