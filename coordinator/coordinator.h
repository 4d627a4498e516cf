/* The coordinator: one process that knows the whole run and never touches a tensor.
 *
 * It leases the corpus, archives what teachers write, plans the training, feeds students, gives the
 * parameter-server shards their orders, and tells everybody the phase. All decisions are in pure
 * modules (membership, lease_table, step_control, feeder, eval_board); this is the shell around
 * them. Contract: docs/protocol.md.
 *
 *     coordinator_options how = {.stage = STAGE_ALL};
 *     st = coordinator_run(config, &how, &err);
 */
#ifndef RT_COORDINATOR_COORDINATOR_H
#define RT_COORDINATOR_COORDINATOR_H

#include "common/conf/config.h"

typedef enum run_stage {
    STAGE_ALL,   /* label and train */
    STAGE_LABEL, /* end when every example is archived */
    STAGE_TRAIN, /* train on an existing dataset; nothing is leased */
} run_stage;

typedef struct coordinator_options {
    run_stage stage;
    const char *dataset; /* STAGE_TRAIN: folder with labels.jsonl, only read */
    bool stays;          /* when the run is complete, go on answering until a stop is requested */
} coordinator_options;

/* Runs until the stage is complete, or until a stop is requested (then drained; RT_OK both times:
 * the same call goes on later). RT_EXISTS when another coordinator holds the run directory;
 * RT_CORRUPT when the data end the run: too many bad or rejected rows, nothing to train on, a plan
 * or dataset that does not match; RT_INVALID for another configuration in the directory. */
RT_MUST_USE rt_status coordinator_run(const config *c, const coordinator_options *options,
                                      rt_error *err);

#endif
