/* A micro-batch as it travels: token ids and the global denominators of its step. */
#ifndef RT_DATASET_MICRO_BATCH_H
#define RT_DATASET_MICRO_BATCH_H

#include "common/dataset/task_text.h"

typedef enum micro_batch_kind { MICRO_BATCH_TRAIN, MICRO_BATCH_EVALUATE } micro_batch_kind;

typedef struct micro_batch_seq {
    rt_id record_id;
    student_task task;
    float weight;
    uint32_t first; /* offset into ids */
    uint32_t n_prompt;
    uint32_t n_target;
} micro_batch_seq;

/* Owns ids and seqs; zero-initialise; micro_batch_free(). */
typedef struct micro_batch {
    micro_batch_kind kind;
    uint64_t step;  /* train: step; evaluate: the version to score */
    uint32_t index; /* within the step, or within the evaluation */
    uint32_t n_micro_batches;
    uint64_t epoch;
    uint64_t seed;
    float task_weight[TASK_COUNT];
    double task_count[TASK_COUNT]; /* C_k over the whole step */
    uint32_t *ids;
    size_t n_ids;
    micro_batch_seq *seqs;
    size_t n_seqs;
} micro_batch;

void micro_batch_free(micro_batch *b);

#endif
