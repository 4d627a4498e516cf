#include "cli/launch/supervisor.h"

#include "cli/exit_codes.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   5000

static uint64_t deaths_within(const supervised *child, uint64_t window_ms, uint64_t now_ms)
{
    uint64_t n_kept = RT_MIN(child->n_deaths, (uint64_t)SUPERVISOR_DEATHS_KEPT);
    uint64_t n = 0;
    for (uint64_t i = 0; i < n_kept; i++) n += now_ms - child->deaths_ms[i] <= window_ms;
    return n;
}

supervisor_verdict supervisor_on_exit(supervised *child, const supervisor_policy *policy, int code,
                                      bool work_done, uint64_t progress, uint64_t now_ms)
{
    if (code == EXIT_CODE_USAGE || code == EXIT_CODE_DATA) return SUPERVISOR_FATAL;
    if (code == EXIT_CODE_OK && work_done) return SUPERVISOR_DONE;
    child->deaths_ms[child->n_deaths++ % SUPERVISOR_DEATHS_KEPT] = now_ms;
    uint64_t n_recent = deaths_within(child, policy->window_ms, now_ms);
    if (progress > child->progress) child->n_deaths_stuck = 0;
    child->progress = RT_MAX(child->progress, progress);
    child->n_deaths_stuck++;
    if (RT_MAX(n_recent, child->n_deaths_stuck) > policy->restarts_max) return SUPERVISOR_GIVE_UP;
    uint64_t wait_ms = BACKOFF_FIRST_MS;
    for (uint64_t i = 1; i < n_recent && wait_ms < BACKOFF_MAX_MS; i++) wait_ms *= 2;
    child->restart_at_ms = now_ms + RT_MIN(wait_ms, (uint64_t)BACKOFF_MAX_MS);
    child->n_restarts++;
    return SUPERVISOR_RESTART;
}
