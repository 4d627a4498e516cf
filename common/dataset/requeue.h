/* Rejected examples become pending again: their records leave rejected.jsonl for a file beside it.
 *
 *     requeue_result done = {0};
 *     st = archive_requeue("runs/x/dataset", "no_marker", &done, &err);
 *
 *     rejected.jsonl ──► rejected.jsonl.requeued-N    the records taken out, kept for people
 *                   └──► rejected.jsonl               what is left, line by line as it was
 *
 * The copy is durable before the records leave, and the file is replaced by a rename. Whoever is
 * killed when, each record is in one of the two files, and doing it again does the rest.
 */
#ifndef RT_DATASET_REQUEUE_H
#define RT_DATASET_REQUEUE_H

#include "common/dataset/archive.h"

typedef struct requeue_result {
    uint64_t n_requeued, n_kept; /* examples */
    char kept_in[1024];          /* rejected.jsonl.requeued-N; "" when nothing was taken out */
} requeue_result;

/* `reason` NULL: all. Holds the archive's lock meanwhile: RT_EXISTS when somebody writes there. */
RT_MUST_USE rt_status archive_requeue(const char *folder, const char *reason, requeue_result *out,
                                      rt_error *err);

#endif
