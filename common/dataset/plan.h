/* The training plan: which records make up micro-batch (step, index). Data, not timing.
 *
 * The first pass is cut from chunks (ranges of the corpus) as each becomes complete; then whole
 * epochs follow. A segment is one chunk or one epoch. Within a segment records are permuted by a
 * counter-based generator keyed by (seed, "plan", segment), taken in that order into steps until
 * records_per_step or the token budget (micro_batches x micro_batch_tokens) is reached, and the
 * sequences of a step, sorted by length, are cut into micro-batches of like size in tokens.
 * A record's tasks always fall into one step. Everything here is a pure function of the settings
 * and of the records' lengths, so any process may recompute any micro-batch.
 *
 * Memory: 4 bytes a record and 2 to 4 for each task that any record has, once, however many segments hold
 * it; 4 a record of the segment that steps are asked of; 32 a step.
 *
 *     plan *p = NULL;
 *     plan_new(&settings, &p, err);
 *     plan_add_segment(p, PLAN_CHUNK, 0, records, n, err);
 *     plan_step_info(p, step, &info);            // counts, denominators
 *     plan_micro_batch(p, step, index, &items);  // (example, task) pairs
 */
#ifndef RT_DATASET_PLAN_H
#define RT_DATASET_PLAN_H

#include "common/dataset/task_text.h"

typedef struct plan plan;
typedef enum plan_kind { PLAN_CHUNK, PLAN_EPOCH } plan_kind;

typedef struct plan_settings {
    uint64_t seed;
    size_t micro_batches;
    size_t micro_batch_tokens;
    size_t records_per_step; /* 0: no limit but tokens */
    uint64_t n_steps_max;    /* 0: no limit; else segments stop being cut at it */
} plan_settings;

/* What the plan needs to know of a record. n_target[t] == 0: the record has no such task. */
typedef struct plan_record {
    uint32_t i_example; /* corpus index */
    uint32_t n_tokens[TASK_COUNT];
    uint32_t n_target[TASK_COUNT];
} plan_record;

/* Records in corpus order, one at a time: millions of them are never in memory at once. RT_END behind
 * the last. Called twice over; rewind begins again. */
typedef struct plan_source {
    rt_status (*next)(void *context, plan_record *out, rt_error *err);
    void (*rewind)(void *context);
    void *context;
} plan_source;

typedef struct plan_segment {
    plan_kind kind;
    uint64_t index; /* chunk number from 0, or epoch number from 1 */
    uint64_t epoch; /* 0 for chunks, else the epoch: keys dropout */
    uint64_t first_step;
    uint64_t n_steps;
    uint64_t n_records; /* in its steps; fewer than handed in when n_steps_max cut it */
    char sha256[RT_SHA256_HEX_SIZE]; /* over the records handed in: a resume must find the same */
} plan_segment;

typedef struct plan_item {
    uint32_t i_example;
    student_task task;
} plan_item;

typedef struct plan_step_info {
    size_t n_micro_batches; /* <= settings.micro_batches */
    uint64_t epoch;
    uint64_t n_records;
    uint64_t count[TASK_COUNT]; /* C_k: target tokens of the whole step */
} plan_step_info;

RT_MUST_USE rt_status plan_new(const plan_settings *settings, plan **out, rt_error *err);
void plan_free(plan *p);
/* Append a segment. Records with no task at all are passed over. RT_INVALID for a chunk behind an epoch,
 * a second segment of the same kind and index, or epoch 0 (the chunks are epoch 0). */
RT_MUST_USE rt_status plan_add_segment(plan *p, plan_kind kind, uint64_t index,
                                       const plan_source *source, rt_error *err);
size_t plan_n_segments(const plan *p);
const plan_segment *plan_get_segment(const plan *p, size_t i);
uint64_t plan_n_steps(const plan *p);
/* RT_NOTFOUND beyond the planned steps. */
RT_MUST_USE rt_status plan_get_step(const plan *p, uint64_t step, plan_step_info *out,
                                    rt_error *err);
/* Items, longest first, borrowed until the next call on this plan. A micro-batch holds its share of
 * the step's tokens, give or take half a sequence at either end. */
RT_MUST_USE rt_status plan_get_micro_batch(plan *p, uint64_t step, size_t index,
                                           const plan_item **items, size_t *n_items, rt_error *err);
/* Steps that one epoch over these records would take: for schedules in epochs. Exact when
 * records_per_step binds; with the token budget, to within the luck of the permutation. */
RT_MUST_USE rt_status plan_steps_per_epoch(const plan_settings *settings, const plan_source *source,
                                           uint64_t *out, rt_error *err);

/* Whether a record is held out for validation: by its id, not by its place. */
bool plan_is_validation(uint64_t seed, rt_id id, double valid_share);

/* One line of plan.jsonl, newline included, and back. */
RT_MUST_USE rt_status plan_segment_to_json(const plan_segment *segment, rt_buf *out, rt_error *err);
RT_MUST_USE rt_status plan_segment_from_json(const char *line, size_t n, plan_segment *out,
                                             rt_error *err);

#endif
