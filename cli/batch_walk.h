/* The questions of a run that are still open, shard by shard, as its teacher would ask them: for
 * commands that ask nobody themselves.
 *
 *     batch_walk w = {0};
 *     if ((st = batch_walk_open(config, &w, err)) != RT_OK) goto out;
 *     st = batch_walk_run(&w, &handler, err);             // handler: batch_backend.h
 *     batch_walk_close(&w);
 */
#ifndef RT_CLI_BATCH_WALK_H
#define RT_CLI_BATCH_WALK_H

#include "common/dataset/archive.h"
#include "coordinator/corpus_source.h"
#include "worker/teacher/batch/batch_backend.h"

typedef struct batch_walk {
    const config *config;
    corpus_source *corpus;
    archive *dataset; /* NULL: none yet */
    answer_cache *cache;
    uint64_t n_pending;           /* examples without a record */
    uint64_t n_taken, n_unusable; /* of all runs, see batch_labeller */
} batch_walk;

/* Reads the corpus into the run's folder, as the run would. RT_INVALID when the cache is off. Keeps
 * config. */
RT_MUST_USE rt_status batch_walk_open(const config *c, batch_walk *out, rt_error *err);
void batch_walk_close(batch_walk *w);
/* One question after the other, in corpus order. RT_CANCELLED on a request to stop. */
RT_MUST_USE rt_status batch_walk_run(batch_walk *w, const batch_handler *handler, rt_error *err);

#endif
