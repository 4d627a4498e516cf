/* Who waits for whom, in one sentence, and whether the run is ready to work. Pure.
 *
 *     run_view v = {...};
 *     starved_sentence(&v, text, sizeof text);     // "2 students wait for labels: teachers set the pace"
 *     why = ready_why_not(&v, text, sizeof text);  // "" when it is
 */
#ifndef RT_COORDINATOR_STARVED_H
#define RT_COORDINATOR_STARVED_H

#include "common/base/status.h"

typedef struct run_view {
    bool ends;             /* complete, failed or draining: nobody waits for work any more */
    bool labels, trains;   /* part of this run and not through */
    bool connected;        /* Redis answered last time */
    const char *queue_why; /* else why not */
    uint64_t n_teachers, n_students, n_servers, n_servers_wanted; /* alive; of the configuration */
    /* Labelling. */
    uint64_t n_shards_pending, n_shards_leased, n_labels_in_stream, n_labels_max;
    uint64_t n_waiting_for_limit; /* teachers */
    bool money_is_out;            /* nothing more is leased */
    bool first_rows;              /* the rest waits for a look at the first rows */
    /* Training. */
    bool plan_is_there;    /* micro-batches can be made */
    bool waits_for_labels; /* the next chunk of the plan is not labelled */
    bool tokenizer_trains;
    bool restores, saves, validates; /* what all shards do now */
    bool batches_known;              /* the next number was read with the Redis of now */
    uint64_t n_batches_in_stream;    /* not acknowledged */
    double wait_share;               /* of the students' time, lately; NaN: unknown */
} run_view;

/* "" when nobody waits. The first that holds:
 *   students without shards, labels, micro-batches; teachers before a full stream, a limit, the end of
 *   the corpus. */
void starved_sentence(const run_view *v, char *out, size_t n_out);
/* Each role that is needed now has a living member and Redis answers: "", else the first that lacks. */
const char *ready_why_not(const run_view *v, char *scratch, size_t n_scratch);

#endif
