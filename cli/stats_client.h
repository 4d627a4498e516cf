/* The coordinator's stats over HTTP, as text and as the few numbers that a progress line needs. */
#ifndef RT_CLI_STATS_CLIENT_H
#define RT_CLI_STATS_CLIENT_H

#include "common/base/bytes.h"

typedef struct run_stats {
    char stage[64]; /* what the run is doing now */
    char problem[256];
    uint64_t n_examples, n_labelled, n_rejected;
    double labelled_per_s;
    double label_eta_s; /* < 0: unknown */
    bool labelling_done;
    uint64_t step, n_steps; /* n_steps 0: not known yet, or nothing to train */
    double loss;            /* NaN: none yet */
    double tokens_per_s;
    double train_eta_s;
    double wait_share, pull_share, compute_share, push_share; /* of students' time; NaN: unknown */
    double push_beside_share; /* what pushing took beside these; NaN: unknown */
    bool training_done;
    bool has_money;                  /* something was paid, or there is a budget */
    double spent, budget, projected; /* budget 0: none */
    char currency[9];
    bool trains; /* this run has a training stage */
    bool labels; /* this run has a labelling stage */
} run_stats;

/* GET http://<address><path> into *out, with the first key of key_file ("" or NULL: none).
 * RT_UNAVAILABLE when nobody answers within timeout_ms. */
RT_MUST_USE rt_status stats_get(const char *address, const char *path, const char *key_file,
                                uint64_t timeout_ms, rt_buf *out, rt_error *err);
/* The body of /api/stats. RT_CORRUPT when it is not what a coordinator sends. */
RT_MUST_USE rt_status run_stats_parse(const char *json, size_t n, run_stats *out, rt_error *err);
/* The same of a body that is parsed already. */
struct json_t;
RT_MUST_USE rt_status run_stats_of(const struct json_t *root, run_stats *out, rt_error *err);
/* Address of a run's coordinator, from <run_dir>/coordinator.json. */
RT_MUST_USE rt_status stats_address(const char *run_dir, char *out, size_t n_out, rt_error *err);

#endif
