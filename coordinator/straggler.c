#include "coordinator/straggler.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/status.h"

#define DOUBLINGS_MAX 16

void straggler_see(straggler *s, uint64_t version, bool gathers, uint64_t now_ms)
{
    bool same = version == s->version;
    if (s->open && (version == s->version + 1 || (same && !gathers))) {
        s->step_ms[s->n_steps++ % STRAGGLER_STEPS] = now_ms - s->opened_ms;
        s->open = false;
    }
    if (gathers && s->open && same) return;
    s->open = gathers;
    s->version = version;
    s->opened_ms = now_ms;
    s->n_given = 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t straggler_median_ms(const straggler *s)
{
    uint64_t sorted[STRAGGLER_STEPS];
    size_t n = RT_MIN(s->n_steps, (size_t)STRAGGLER_STEPS);
    if (n < STRAGGLER_STEPS_MIN) return 0;
    memcpy(sorted, s->step_ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    return sorted[n / 2];
}

bool straggler_is_due(straggler *s, uint64_t now_ms)
{
    uint64_t median_ms = straggler_median_ms(s);
    if (s->factor <= 0 || !s->open || s->n_steps < STRAGGLER_STEPS_MIN) return false;
    double patience_ms = RT_MAX(s->factor * (double)median_ms, (double)STRAGGLER_LEAST_MS);
    patience_ms *= (double)(1u << RT_MIN(s->n_given, (unsigned)DOUBLINGS_MAX));
    if ((double)(now_ms - s->opened_ms) < patience_ms) return false;
    s->n_given++;
    return true;
}
