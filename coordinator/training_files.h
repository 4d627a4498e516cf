/* What a run's training leaves in its folder, and how it is put aside so that the student can be trained
 * anew on other labels. A plan is fixed once it is made: labels that it has read must not change
 * under it.
 *
 *     training_files_look(&folder, config, n_examples, &files, err)
 *       files.n_covered     examples [0, this) whose labels tokenizer or plan have read
 *       files.has_begun     a step was taken, or a checkpoint begun
 *     training_files_drop(&folder, config, err)            // of a training that has not begun
 *     training_files_retire(&folder, config, kept_in, err) // of one that has: nothing is lost
 */
#ifndef RT_COORDINATOR_TRAINING_FILES_H
#define RT_COORDINATOR_TRAINING_FILES_H

#include "common/conf/config.h"
#include "coordinator/run_folder.h"

typedef struct training_files {
    size_t n_covered;
    bool has_begun;
} training_files;

/* All zeros of a run that never planned. RT_CORRUPT for a plan.jsonl that cannot be read. */
RT_MUST_USE rt_status training_files_look(const run_folder *folder, const config *c,
                                          size_t n_examples, training_files *out, rt_error *err);
/* Remove plan, tokens, and a tokenizer that was trained here. */
RT_MUST_USE rt_status training_files_drop(const run_folder *folder, const config *c, rt_error *err);
/* Move everything that came of training to <run>/retired-N, which kept_in names ("" when there was
 * nothing). Killed in the middle, what is left is a training that goes on from an earlier point; the
 * same call does the rest. The folder is held by the caller. */
RT_MUST_USE rt_status training_files_retire(const run_folder *folder, const config *c,
                                            char kept_in[RUN_PATH_SIZE], rt_error *err);

/* How labels that a budget left out may come later. */
typedef enum reopening {
    REOPEN_FREELY,        /* nothing of training has read their places */
    REOPEN_WITH_NEW_PLAN, /* the plan has, and nobody learnt from it yet: it is made again */
    REOPEN_NEVER,         /* a student is a function of its dataset */
} reopening;

/* Pure. `covered_is_settled`: each example below n_covered has a record. */
reopening reopening_of(const training_files *files, bool covered_is_settled);

#endif
