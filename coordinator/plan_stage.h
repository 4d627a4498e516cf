/* From archived records to micro-batches: judge rationales beside each other where filters ask for
 * it, tokenise what is complete, plan segments in order, journal them, and build any micro-batch on
 * demand.
 *
 *   archive ─► tokens.bin (derived) ─► plan (in memory) ─► micro-batch (step, index)
 *                                        └─ plan.jsonl: one line a segment, durable before use
 *
 * On a restart everything is computed again from the dataset; each segment must then be the one the
 * journal holds, else RT_CORRUPT names it: training must not go on with other data than it began
 * with. Work is done in slices, so the loop around it keeps answering.
 */
#ifndef RT_COORDINATOR_PLAN_STAGE_H
#define RT_COORDINATOR_PLAN_STAGE_H

#include "common/conf/config.h"
#include "common/dataset/archive.h"
#include "common/dataset/micro_batch.h"
#include "common/dataset/plan.h"
#include "common/dataset/rationale_survey.h"
#include "common/dataset/token_cache.h"
#include "coordinator/corpus_source.h"
#include "coordinator/lease_table.h"

typedef struct plan_stage plan_stage;

/* Everything is kept. */
typedef struct plan_stage_settings {
    const config *config;
    const corpus_source *corpus;
    archive *archive;
    const lease_table *leases; /* says what is complete */
    const tokenizer *tokenizer;
    const char *cache_path;
    const char *journal_path;
} plan_stage_settings;

/* Returns new; plan_stage_free(). */
RT_MUST_USE rt_status plan_stage_open(const plan_stage_settings *settings, plan_stage **out,
                                      rt_error *err);
void plan_stage_free(plan_stage *p);

/* One slice of work: tokenise some records, plan what can be planned up to a little beyond
 * `version`. *busy says that more can be done at once. RT_CORRUPT when the journal disagrees, or
 * when there is nothing to train on; RT_IO (disk full) may be tried again. */
RT_MUST_USE rt_status plan_stage_work(plan_stage *p, uint64_t version, bool *busy, rt_error *err);

/* Length of the training; 0 while it is not known (train.steps is 0 and labels are missing). */
uint64_t plan_stage_n_steps(const plan_stage *p);
/* Whether all that was planned before this start is planned again: until then steps that shards
 * work on may be unknown here. */
bool plan_stage_has_caught_up(const plan_stage *p);
uint64_t plan_stage_n_planned(const plan_stage *p);
size_t plan_stage_n_segments(const plan_stage *p);
uint64_t plan_stage_n_too_long(const plan_stage *p);
/* What the filters found that look at rationales beside each other; zeros when there are none. */
survey_counts plan_stage_survey(const plan_stage *p);

/* Counts of a planned step, and the tokens of all its sequences. */
RT_MUST_USE rt_status plan_stage_step(plan_stage *p, uint64_t step, plan_step_info *info,
                                      uint64_t *n_tokens, rt_error *err);
/* Fills *out; freed with micro_batch_free(). */
RT_MUST_USE rt_status plan_stage_build(plan_stage *p, uint64_t step, uint32_t index,
                                       micro_batch *out, rt_error *err);

/* Lay out the validation set at a version: the held-out records of the segments that steps
 * [0, version) came from, those of the smallest ids when there are more than train.valid_max. */
RT_MUST_USE rt_status plan_stage_lay_out_validation(plan_stage *p, uint64_t version,
                                                    uint32_t *n_micro_batches, uint64_t *n_records,
                                                    rt_error *err);
/* A micro-batch of the set laid out last. */
RT_MUST_USE rt_status plan_stage_build_evaluation(plan_stage *p, uint32_t index, micro_batch *out,
                                                  rt_error *err);
/* Weight of each task in the loss. */
const double *plan_stage_weights(const plan_stage *p);

#endif
