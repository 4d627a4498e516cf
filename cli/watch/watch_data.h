/* What the terminal view knows of a run: the newest picture, the curves, the events.
 *
 * Filled from the bodies of /api/stats, /api/history and /api/events (docs/stats.md); a coordinator
 * that does not answer the last two still has a view, with curves from the pictures seen so far.
 * Every text in here is safe to print.
 */
#ifndef RT_CLI_WATCH_WATCH_DATA_H
#define RT_CLI_WATCH_WATCH_DATA_H

#include "cli/stats_client.h"
#include "cli/watch/series.h"

#define WATCH_MEMBERS_MAX 256
#define WATCH_EVENTS_MAX  64
#define WATCH_SCORES_MAX  256
#define WATCH_LOSSES_MAX  8

typedef struct watch_member {
    char name[64], role[16], busy_with[192];
    bool alive;
    double silent_s;
    double done;      /* what its role counts: rows, micro-batches, gradients */
    double per_s;     /* NaN: not known yet */
    double rate_done; /* `done` and time of the picture that the rate is counted from */
    double rate_t;
} watch_member;

/* Members of a role, and of all roles. */
typedef struct watch_role {
    size_t n_alive, n_dead;
} watch_role;

typedef struct watch_event {
    double time; /* seconds since 1970 */
    char kind[16], who[64], text[256];
} watch_event;

typedef struct watch_loss {
    char task[16];
    double value;
} watch_loss;

typedef struct watch_score { /* of a validation */
    uint64_t version;
    double exact;
} watch_score;

typedef struct watch_data {
    run_stats now;
    char run[64], version[16];
    int64_t pid;
    double uptime_s;
    uint64_t n_pending, n_leased;
    uint64_t labels_queue, batches_queue, dead_queue;
    uint64_t checkpoint;
    double grad_norm; /* NaN: unknown, as all that may be */
    char best_metric[16];
    double best_value;
    uint64_t best_version;
    uint64_t n_requests, restarts;
    double mflops_per_s, peak_share;
    char starved[192]; /* who waits for whom now; "" nobody */
    watch_loss losses[WATCH_LOSSES_MAX];
    size_t n_losses;
    watch_member members[WATCH_MEMBERS_MAX];
    size_t n_members;
    watch_role teachers, students, servers;

    series series;
    bool has_history; /* the series is the coordinator's own */
    watch_score scores[WATCH_SCORES_MAX];
    size_t n_scores;
    uint64_t history_seq;

    watch_event events[WATCH_EVENTS_MAX]; /* newest last */
    size_t n_events;
    uint64_t events_seq;
} watch_data;

/* Each takes a body; RT_CORRUPT when it is not what a coordinator sends, then *d is as before.
 * `now_s` is the viewer's own clock, for rates and for curves without a history. */
RT_MUST_USE rt_status watch_take_stats(watch_data *d, const char *json, size_t n, double now_s,
                                       rt_error *err);
RT_MUST_USE rt_status watch_take_history(watch_data *d, const char *json, size_t n, rt_error *err);
RT_MUST_USE rt_status watch_take_events(watch_data *d, const char *json, size_t n, rt_error *err);
/* A coordinator answered whose numbers are smaller: it knows nothing of the earlier ones. */
void watch_forget_numbering(watch_data *d);

#endif
