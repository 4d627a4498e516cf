#include "worker/teacher/openai/concurrency.h"

#define MEAN_WEIGHT    0.1   /* of one answer in the running mean */
#define BEST_RISE      0.002 /* with each answer, of the distance to the mean */
#define SLOW_CUT       0.9
#define MOST_CUT       0.5
#define SHARE_BORNE    0.1 /* of answers that say "too much" */
#define SHARE_HALVES   0.5
#define SHARE_MEANS_IT 0.25 /* the end of growing fast */
#define LATENCY_MS_MIN 1.0  /* differences below are the clock's */

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

static bool is_same_storm(const concurrency *c, uint64_t now_ms)
{
    return c->has_decreased && now_ms - c->decreased_ms < CONCURRENCY_PAUSE_MS;
}

static void decrease(concurrency *c, double cut, uint64_t now_ms)
{
    bool is_same = is_same_storm(c, now_ms);
    if (is_same && cut >= c->cut) return;
    c->window = RT_MAX(c->window * (is_same ? cut / c->cut : cut), 1.0);
    c->cut = cut;
    if (is_same) return;
    c->has_decreased = true;
    c->decreased_ms = now_ms;
}

/* When a batch is over, or half of it has said "too much". */
static void judge(concurrency *c, uint64_t now_ms)
{
    size_t n_batch = RT_MAX(concurrency_window(c), (size_t)CONCURRENCY_BATCH_MIN);
    if (c->n_outcomes < n_batch && 2 * c->n_overloads < n_batch) return;
    double share = (double)c->n_overloads / (double)c->n_outcomes;
    c->n_outcomes = c->n_overloads = 0;
    c->is_refused = share > SHARE_BORNE;
    if (!c->is_refused) return;
    double part = (share - SHARE_BORNE) / (SHARE_HALVES - SHARE_BORNE);
    decrease(c, 1 - RT_MIN(part, 1.0) * (1 - MOST_CUT), now_ms);
    c->was_overloaded = c->was_overloaded || share >= SHARE_MEANS_IT;
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

void concurrency_on_answer(concurrency *c, bool was_full, uint64_t latency_ms, uint64_t now_ms)
{
    c->n_outcomes++;
    judge(c, now_ms);
    if (is_slow(c, latency_ms)) {
        c->was_overloaded = true;
        decrease(c, SLOW_CUT, now_ms);
        return;
    }
    /* A window that is not used says nothing about a larger one. */
    if (c->is_refused || !was_full) return;
    c->window += c->was_overloaded ? 1 / c->window : 1;
    c->window = RT_MIN(c->window, c->window_max);
}

void concurrency_on_overload(concurrency *c, uint64_t now_ms)
{
    /* The rest of a storm that has halved it says nothing new. */
    if (is_same_storm(c, now_ms) && c->cut <= MOST_CUT) return;
    c->n_outcomes++;
    c->n_overloads++;
    judge(c, now_ms);
}
