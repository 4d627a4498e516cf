#include "worker/teacher/openai/concurrency.h"

#define MEAN_WEIGHT    0.1   /* of one answer in the running mean */
#define BEST_RISE      0.002 /* with each answer, of the distance to the mean */
#define SLOW_CUT       0.9
#define OVERLOAD_CUT   0.5
#define LATENCY_MS_MIN 1.0 /* differences below are the clock's */

concurrency concurrency_new(size_t window_max)
{
    RT_ASSERT(window_max > 0);
    return (concurrency){.window = (double)RT_MIN(window_max, (size_t)CONCURRENCY_START),
                         .window_max = (double)window_max};
}

size_t concurrency_window(const concurrency *c)
{
    return (size_t)RT_MAX(c->window, 1.0);
}

static void decrease(concurrency *c, double cut, uint64_t now_ms)
{
    if (c->has_decreased && now_ms - c->decreased_ms < CONCURRENCY_PAUSE_MS) return;
    c->window = RT_MAX(c->window * cut, 1.0);
    c->has_decreased = true;
    c->decreased_ms = now_ms;
}

static bool is_slow(concurrency *c, uint64_t latency_ms)
{
    double x = RT_MAX((double)latency_ms, LATENCY_MS_MIN);
    c->latency_ms = c->latency_ms == 0 ? x : c->latency_ms + MEAN_WEIGHT * (x - c->latency_ms);
    if (c->latency_ms_best == 0 || c->latency_ms < c->latency_ms_best)
        c->latency_ms_best = c->latency_ms;
    else
        c->latency_ms_best += BEST_RISE * (c->latency_ms - c->latency_ms_best);
    return c->latency_ms > CONCURRENCY_SLOW * c->latency_ms_best;
}

void concurrency_on_answer(concurrency *c, size_t n_flying, uint64_t latency_ms, uint64_t now_ms)
{
    if (is_slow(c, latency_ms)) {
        decrease(c, SLOW_CUT, now_ms);
        return;
    }
    /* A window that is not used says nothing about a larger one. */
    if (n_flying + 1 < concurrency_window(c)) return;
    c->window += c->has_decreased ? 1 / c->window : 1;
    c->window = RT_MIN(c->window, c->window_max);
}

void concurrency_on_overload(concurrency *c, uint64_t now_ms)
{
    decrease(c, OVERLOAD_CUT, now_ms);
}
