/* Counters, gauges and histograms are made, used and written out by all threads at once. */
#include "common/stats/stats.h"

#include "common/base/log.h"
#include "tests/race/threads.h"

#define TURNS 2000

static void *use(void *context)
{
    stats *s = context;
    for (int i = 0; i < TURNS; i++) {
        stats_metric *counter = NULL, *gauge = NULL, *seconds = NULL;
        stats_label label = {"kind", i % 2 == 0 ? "even" : "odd"};
        rt_buf text = {0};
        RT_ASSERT(stats_counter(s, "things_total", "Things", &label, 1, &counter, NULL) == RT_OK);
        RT_ASSERT(stats_gauge(s, "level", "A level", NULL, 0, &gauge, NULL) == RT_OK);
        RT_ASSERT(stats_histogram(s, "some_seconds", "Time", NULL, 0, 0.001, 8, &seconds, NULL) ==
                  RT_OK);
        stats_add(counter, 1);
        stats_set(gauge, i);
        stats_observe(seconds, 0.001 * i);
        RT_ASSERT(stats_value(counter) >= 1);
        if (i % 100 != 0) continue;
        RT_ASSERT(stats_to_prometheus(s, &text, NULL) == RT_OK);
        RT_ASSERT(stats_to_json(s, &text, NULL) == RT_OK);
        rt_log_debug("race.stats", "bytes=%zu", text.n);
        rt_buf_free(&text);
    }
    return NULL;
}

int main(void)
{
    stats *s = NULL;
    stats_metric *seconds = NULL;
    RT_ASSERT(stats_new(&s, NULL) == RT_OK);
    race_together(use, s);
    RT_ASSERT(stats_histogram(s, "some_seconds", "Time", NULL, 0, 0.001, 8, &seconds, NULL) ==
              RT_OK);
    RT_ASSERT(stats_count(seconds) == (uint64_t)RACE_THREADS * TURNS);
    stats_free(s);
    return 0;
}
