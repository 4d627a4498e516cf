/* Comparing sequences of words by hashes of their runs.
 *
 * A run of k units is known by a polynomial in its units' hashes, rolled along the sequence. When
 * two texts share a run of k they share one of k - 1, so the longest is found by halving: for each
 * length the runs of one text are sorted and those of the other looked up. A suffix automaton would
 * be linear, and ten times the code for texts of some hundred words.
 */
#include <stdlib.h>
#include <string.h>

#include "common/text/text_units.h"

#define ROLL 0x9E3779B97F4A7C15u /* odd: every power of it is invertible */

static int compare_hashes(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

/* Hashes of all runs of `length` units (at least one, at most u->n) into out[]; how many. */
static size_t roll_runs(const text_units *u, size_t length, uint64_t *out)
{
    uint64_t hash = 0, leaving = 1;
    for (size_t i = 0; i < length; i++) leaving *= ROLL;
    for (size_t i = 0; i < u->n; i++) {
        hash = hash * ROLL + u->hashes[i];
        if (i >= length) hash -= u->hashes[i - length] * leaving;
        if (i + 1 >= length) out[i + 1 - length] = hash;
    }
    return u->n - length + 1;
}

static bool shares_run(const text_units *a, const text_units *b, size_t length, uint64_t *of_a,
                       uint64_t *of_b)
{
    size_t n_a = roll_runs(a, length, of_a);
    size_t n_b = roll_runs(b, length, of_b);
    qsort(of_a, n_a, sizeof *of_a, compare_hashes);
    for (size_t i = 0; i < n_b; i++)
        if (bsearch(&of_b[i], of_a, n_a, sizeof *of_a, compare_hashes) != NULL) return true;
    return false;
}

rt_status text_units_common_run(const text_units *a, const text_units *b, size_t *out,
                                rt_error *err)
{
    size_t low = 0, high = RT_MIN(a->n, b->n); /* runs of `low` are shared, of high + 1 are not */
    uint64_t *runs = rt_calloc(a->n + b->n, sizeof *runs);
    if (runs == NULL) return rt_fail(err, RT_NOMEM, "runs of %zu words", a->n + b->n);
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (shares_run(a, b, middle, runs, runs + a->n))
            low = middle;
        else
            high = middle - 1;
    }
    free(runs);
    *out = low;
    return RT_OK;
}

rt_status text_units_distinct_runs(const text_units *a, size_t length, uint64_t **out,
                                   size_t *n_out, rt_error *err)
{
    size_t n_distinct = 0;
    *out = NULL;
    *n_out = 0;
    if (length == 0 || a->n < length) return RT_OK;
    uint64_t *runs = rt_calloc(a->n, sizeof *runs);
    if (runs == NULL) return rt_fail(err, RT_NOMEM, "runs of %zu words", a->n);
    size_t n = roll_runs(a, length, runs);
    qsort(runs, n, sizeof *runs, compare_hashes);
    for (size_t i = 0; i < n; i++)
        if (n_distinct == 0 || runs[i] != runs[n_distinct - 1]) runs[n_distinct++] = runs[i];
    *out = runs;
    *n_out = n_distinct;
    return RT_OK;
}

rt_status text_units_repeated(const text_units *a, size_t length, double *out, rt_error *err)
{
    uint64_t *runs = NULL;
    size_t n_distinct = 0;
    rt_status st = text_units_distinct_runs(a, length, &runs, &n_distinct, err);
    free(runs);
    if (st != RT_OK) return st;
    *out = n_distinct == 0 ? 0 : 1 - (double)n_distinct / (double)(a->n - length + 1);
    return RT_OK;
}

rt_status text_units_share_in(const text_units *a, const text_units *b, double *out, rt_error *err)
{
    size_t n_in = 0;
    uint64_t *known = rt_calloc(b->n, sizeof *known);
    if (known == NULL) return rt_fail(err, RT_NOMEM, "%zu words", b->n);
    if (b->n > 0) memcpy(known, b->hashes, b->n * sizeof *known);
    if (b->n > 0) qsort(known, b->n, sizeof *known, compare_hashes);
    for (size_t i = 0; i < a->n; i++)
        n_in += bsearch(&a->hashes[i], known, b->n, sizeof *known, compare_hashes) != NULL;
    free(known);
    *out = a->n == 0 ? 0 : (double)n_in / (double)a->n;
    return RT_OK;
}
