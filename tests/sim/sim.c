/* sim [--seed N] [--seeds FIRST COUNT] [--mode sync|ssp|async] [--trace]
 *
 * Without a seed: the first 1000. What fails names its seed, and that seed fails the same way again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/sim/sim.h"

static uint64_t number(const char *text)
{
    char *end = NULL;
    uint64_t n = text == NULL ? 0 : strtoull(text, &end, 10);
    if (text != NULL && end != text && *end == '\0') return n;
    fprintf(stderr, "sim: found \"%s\", expected a number\n", text == NULL ? "" : text);
    exit(2);
}

static int mode_of(const char *text)
{
    static const char *const names[] = {"sync", "ssp", "async"};
    for (size_t i = 0; text != NULL && i < RT_COUNT(names); i++)
        if (strcmp(text, names[i]) == 0) return (int)i;
    fprintf(stderr, "sim: --mode is sync, ssp or async\n");
    exit(2);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void add(sim_counts *to, const sim_counts *from)
{
    to->n_events += from->n_events;
    to->n_sent += from->n_sent;
    to->n_lost += from->n_lost;
    to->n_repeated += from->n_repeated;
    to->n_crashes += from->n_crashes;
    to->n_duplicates += from->n_duplicates;
    to->n_stale += from->n_stale;
    to->n_rewinds += from->n_rewinds;
    to->n_backups += from->n_backups;
    to->staleness_max = RT_MAX(to->staleness_max, from->staleness_max);
}

int main(int argc, char **argv)
{
    uint64_t first = 1, n = 1000;
    int mode = -1;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (strcmp(argv[i], "--seed") == 0) {
            first = number(next);
            n = 1;
            i++;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            first = number(next);
            n = number(i + 2 < argc ? argv[i + 2] : NULL);
            i += 2;
        } else if (strcmp(argv[i], "--mode") == 0) {
            mode = mode_of(next);
            i++;
        } else {
            fprintf(stderr,
                    "usage: sim [--seed N] [--seeds FIRST COUNT] [--mode MODE] [--trace]\n");
            return 2;
        }
    }
    sim_counts all = {0};
    double start_s = seconds();
    for (uint64_t seed = first; seed < first + n; seed++) {
        sim_counts one = sim_run(seed, mode, trace);
        add(&all, &one);
    }
    printf("%" PRIu64 " seeds in %.1f s: %" PRIu64 " events, %" PRIu64 " messages (%" PRIu64
           " lost, %" PRIu64 " repeated), %" PRIu64 " crashes, %" PRIu64 " rewinds, %" PRIu64
           " repeated gradients and %" PRIu64 " late ones dropped, %" PRIu64
           " micro-batches given to a second student, staleness at most %" PRIu64 "\n",
           n, seconds() - start_s, all.n_events, all.n_sent, all.n_lost, all.n_repeated,
           all.n_crashes, all.n_rewinds, all.n_duplicates, all.n_stale, all.n_backups,
           all.staleness_max);
    return 0;
}
