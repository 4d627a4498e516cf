#include "coordinator/progress.h"

#define POINT_MS 500

void progress_rate_see(progress_rate *r, double total, uint64_t now_ms)
{
    if (r->n > 0 && now_ms - r->at_ms[r->last] < POINT_MS) return;
    r->last = r->n == 0 ? 0 : (r->last + 1) % PROGRESS_POINTS;
    r->at_ms[r->last] = now_ms;
    r->total[r->last] = total;
    r->n++;
}

double progress_rate_get(const progress_rate *r)
{
    if (r->n < 2) return 0;
    size_t first = r->n <= PROGRESS_POINTS ? 0 : (r->last + 1) % PROGRESS_POINTS;
    double grown = r->total[r->last] - r->total[first];
    double seconds = (double)(r->at_ms[r->last] - r->at_ms[first]) / 1000.0;
    return seconds > 0 && grown > 0 ? grown / seconds : 0;
}

double progress_eta_s(const progress_rate *r, double left)
{
    double rate = progress_rate_get(r);
    if (left <= 0) return 0;
    return rate > 0 ? left / rate : -1;
}

void progress_timer_run(progress_timer *t, bool running, uint64_t now_ms)
{
    if (running == t->running) return;
    if (t->running) t->total_s += (double)(now_ms - t->since_ms) / 1000.0;
    t->since_ms = now_ms;
    t->running = running;
}

double progress_timer_get(const progress_timer *t, uint64_t now_ms)
{
    double now = t->running ? (double)(now_ms - t->since_ms) / 1000.0 : 0;
    return t->total_s + now;
}
