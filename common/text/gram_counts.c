#include "common/text/gram_counts.h"

#include <stdlib.h>

#define ROWS       4
#define WIDTH_BITS 20

struct gram_counts {
    uint64_t n_texts;
    uint32_t counters[ROWS][1u << WIDTH_BITS];
};

rt_status gram_counts_new(gram_counts **out, rt_error *err)
{
    gram_counts *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return rt_fail(err, RT_NOMEM, "counts of runs of words");
    *out = c;
    return RT_OK;
}

void gram_counts_free(gram_counts *c)
{
    free(c);
}

/* Multiply-shift with a factor of its own for each row: the upper bits of an odd multiple. */
static size_t place_of(uint64_t run, int row)
{
    static const uint64_t factors[ROWS] = {0x9E3779B97F4A7C15u, 0xC2B2AE3D27D4EB4Fu,
                                           0x165667B19E3779F9u, 0xD6E8FEB86659FD93u};
    run ^= run >> 32;
    return (size_t)((run * factors[row]) >> (64 - WIDTH_BITS));
}

rt_status gram_counts_add(gram_counts *c, const text_units *units, rt_error *err)
{
    uint64_t *runs = NULL;
    size_t n = 0;
    rt_status st = text_units_distinct_runs(units, GRAM_WORDS, &runs, &n, err);
    if (st != RT_OK) return st;
    c->n_texts++;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < ROWS; k++) {
            uint32_t *counter = &c->counters[k][place_of(runs[i], k)];
            if (*counter < UINT32_MAX) ++*counter;
        }
    free(runs);
    return RT_OK;
}

static uint64_t frequency_of(const gram_counts *c, uint64_t run)
{
    uint32_t least = UINT32_MAX;
    for (int k = 0; k < ROWS; k++) least = RT_MIN(least, c->counters[k][place_of(run, k)]);
    return RT_MIN((uint64_t)least, c->n_texts);
}

rt_status gram_counts_score(const gram_counts *c, const text_units *units, double *out,
                            rt_error *err)
{
    uint64_t *runs = NULL;
    size_t n = 0;
    double sum = 0;
    rt_status st = text_units_distinct_runs(units, GRAM_WORDS, &runs, &n, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < n; i++) {
        uint64_t df = frequency_of(c, runs[i]);
        sum += df > 0 ? (double)(df - 1) : 0;
    }
    free(runs);
    *out = n == 0 || c->n_texts < 2 ? 0 : sum / (double)n / (double)(c->n_texts - 1);
    return RT_OK;
}
