/* What `retort serve` counts, under retort_serve_ (docs/serve.md lists them). Safe from any thread. */
#ifndef RT_WORKER_SERVE_SERVE_STATS_H
#define RT_WORKER_SERVE_SERVE_STATS_H

#include "common/stats/stats.h"

typedef struct serve_stats {
    stats *all;
    stats_metric *prompt_tokens, *prompt_tokens_read, *completion_tokens; /* counters */
    stats_metric *steps, *cancelled, *timeouts;
    stats_metric *waiting, *slots_used, *slots, *draining; /* gauges */
    stats_metric *request_s, *first_token_s;               /* histograms */
} serve_stats;

/* Zero-initialise; serve_stats_close(). */
RT_MUST_USE rt_status serve_stats_open(serve_stats *out, rt_error *err);
void serve_stats_close(serve_stats *s);
/* A request was answered. `route` and `code` are static; beyond the limit of metrics it is lost. */
void serve_stats_answered(serve_stats *s, const char *route, unsigned code);

#endif
