#include "worker/teacher/openai/latency.h"

#include <stdlib.h>
#include <string.h>

void latencies_add(latencies *l, uint64_t ms)
{
    l->ms[l->n++ % LATENCIES_KEPT] = ms;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool latencies_median(const latencies *l, uint64_t *out_ms)
{
    uint64_t sorted[LATENCIES_KEPT];
    size_t n = (size_t)RT_MIN(l->n, (uint64_t)LATENCIES_KEPT);
    if (n < LATENCIES_MIN) return false;
    memcpy(sorted, l->ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_value);
    *out_ms = sorted[n / 2];
    return true;
}
