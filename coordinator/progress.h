/* Rates and times left, from totals seen over time. Pure.
 *
 *     progress_rate_see(&r, n_labelled, now_ms);
 *     printf("%.1f/s, %.0f s left\n", progress_rate_get(&r), progress_eta_s(&r, n_left));
 */
#ifndef RT_COORDINATOR_PROGRESS_H
#define RT_COORDINATOR_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRESS_POINTS 32

/* Growth of a total over the last few seconds: points half a second apart. Zero-initialise. */
typedef struct progress_rate {
    uint64_t at_ms[PROGRESS_POINTS];
    double total[PROGRESS_POINTS];
    size_t n;    /* points seen */
    size_t last; /* index of the newest */
} progress_rate;

void progress_rate_see(progress_rate *r, double total, uint64_t now_ms);
/* Per second over the points kept; 0 before two of them. */
double progress_rate_get(const progress_rate *r);
/* Seconds until `left` more at this rate; -1 when unknown. */
double progress_eta_s(const progress_rate *r, double left);

/* Seconds spent in a stage, over restarts too. Zero-initialise; `total_s` may come from a file. */
typedef struct progress_timer {
    double total_s;
    uint64_t since_ms;
    bool running;
} progress_timer;

void progress_timer_run(progress_timer *t, bool running, uint64_t now_ms);
double progress_timer_get(const progress_timer *t, uint64_t now_ms);

#endif
