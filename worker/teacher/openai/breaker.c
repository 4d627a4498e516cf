#include "worker/teacher/openai/breaker.h"

#include <stdio.h>

breaker breaker_new(uint64_t failures_max)
{
    return (breaker){.failures_max = failures_max, .pause_ms = BREAKER_PAUSE_FIRST_MS};
}

bool breaker_allows(const breaker *b, uint64_t now_ms)
{
    switch (b->state) {
    case BREAKER_CLOSED: return true;
    case BREAKER_OPEN: return now_ms >= b->until_ms;
    case BREAKER_PROBING: break;
    }
    return false;
}

void breaker_on_send(breaker *b)
{
    if (b->state == BREAKER_OPEN) b->state = BREAKER_PROBING;
}

static void note(breaker *b, bool failed)
{
    b->outcomes = b->outcomes << 1 | failed;
    if (b->n_outcomes < BREAKER_OUTCOMES) b->n_outcomes++;
    b->n_in_a_row = failed ? b->n_in_a_row + 1 : 0;
}

void breaker_on_success(breaker *b)
{
    note(b, false);
    if (b->state == BREAKER_CLOSED) return;
    *b = (breaker){.failures_max = b->failures_max,
                   .pause_ms = BREAKER_PAUSE_FIRST_MS,
                   .n_opened = b->n_opened};
}

static void open_up(breaker *b, uint64_t now_ms)
{
    b->state = BREAKER_OPEN;
    b->until_ms = now_ms + b->pause_ms;
    b->pause_ms = RT_MIN(b->pause_ms * 2, (uint64_t)BREAKER_PAUSE_MAX_MS);
}

static bool is_too_much(const breaker *b)
{
    if (b->failures_max == 0) return false;
    if (b->n_in_a_row >= b->failures_max) return true;
    if (b->n_outcomes < BREAKER_OUTCOMES) return false;
    return (double)__builtin_popcountll(b->outcomes) >= BREAKER_SHARE * BREAKER_OUTCOMES;
}

void breaker_on_failure(breaker *b, uint64_t now_ms, const char *reason)
{
    note(b, true);
    snprintf(b->reason, sizeof b->reason, "%.255s", reason);
    if (b->state == BREAKER_PROBING) {
        open_up(b, now_ms);
    } else if (b->state == BREAKER_CLOSED && is_too_much(b)) {
        b->n_opened++;
        open_up(b, now_ms);
    }
}

void breaker_on_nothing(breaker *b)
{
    if (b->state == BREAKER_PROBING) b->state = BREAKER_OPEN; /* its time is up: probe again */
}
