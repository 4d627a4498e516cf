/* The SHA-256 of the dataset, taken in slices once labelling is done.
 *
 * Every record is read again for it, which takes a minute for millions of them: in one go the loop would
 * stand still, and whoever looks at its health would take it for dead.
 *
 *     dataset_sum sum = {0};
 *     do st = dataset_sum_work(&sum, archive, corpus, 256, err); while (st == RT_OK && !sum.done);
 *     ... sum.hex
 */
#ifndef RT_COORDINATOR_DATASET_SUM_H
#define RT_COORDINATOR_DATASET_SUM_H

#include "common/dataset/archive.h"
#include "coordinator/corpus_source.h"

/* Zero-initialise; owns nothing. */
typedef struct dataset_sum {
    rt_sha256 sha;
    size_t n_taken; /* examples [0, this) are in it */
    bool done;
    char hex[RT_SHA256_HEX_SIZE]; /* when done */
} dataset_sum;

/* Take up to n_max further examples. The archive must not change between the first call and the last.
 * After an error begin anew. */
RT_MUST_USE rt_status dataset_sum_work(dataset_sum *s, const archive *a,
                                       const corpus_source *corpus, size_t n_max, rt_error *err);

#endif
