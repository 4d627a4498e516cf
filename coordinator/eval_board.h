/* Scores of versions on the validation set: what is outstanding, sums, which is best. Pure.
 *
 * An evaluation is `n` micro-batches; results come in any order, repeated or late, and are added in
 * index order, so the sums do not depend on who computed them. The best version is chosen among
 * those scored on the largest set; a tie goes to the earlier one.
 */
#ifndef RT_COORDINATOR_EVAL_BOARD_H
#define RT_COORDINATOR_EVAL_BOARD_H

#include "common/wire/messages.h"

typedef struct eval_board eval_board;

typedef struct eval_settings {
    bool by_exact;                  /* else by loss */
    student_task answer_task;       /* whose exact answers count */
    double task_weight[TASK_COUNT]; /* of the loss */
} eval_settings;

typedef struct eval_score {
    uint64_t version;
    uint64_t n_records; /* of the validation set; 0: nothing was held out */
    double loss;        /* sum over tasks of weight * S / C */
    double exact;       /* share of exact answers of answer_task */
    wire_sums sums;
} eval_score;

RT_MUST_USE rt_status eval_board_new(const eval_settings *settings, eval_board **out,
                                     rt_error *err);
void eval_board_free(eval_board *b);

/* Begin to score a version; the same one again keeps what is there. */
RT_MUST_USE rt_status eval_board_start(eval_board *b, uint64_t version, uint32_t n,
                                       uint64_t n_records, rt_error *err);
/* False for a result of another version, of an unknown index, or a repeat. */
bool eval_board_result(eval_board *b, uint64_t version, uint32_t index, const wire_sums *sums);
bool eval_board_is_complete(const eval_board *b);
/* Whether micro-batch `index` is still missing. */
bool eval_board_is_missing(const eval_board *b, uint32_t index);
uint32_t eval_board_n_missing(const eval_board *b);
uint32_t eval_board_n_micro_batches(const eval_board *b);
/* Close a complete evaluation: its score, kept on the board. */
RT_MUST_USE rt_status eval_board_finish(eval_board *b, eval_score *out, rt_error *err);

/* A score known from before (journal); the same version again is dropped. Loss and exact are
 * computed from the sums. */
RT_MUST_USE rt_status eval_board_add(eval_board *b, uint64_t version, uint64_t n_records,
                                     const wire_sums *sums, rt_error *err);
size_t eval_board_n(const eval_board *b);
const eval_score *eval_board_at(const eval_board *b, size_t i);
const eval_score *eval_board_find(const eval_board *b, uint64_t version);
/* NULL when no version was scored on any record. */
const eval_score *eval_board_best(const eval_board *b);
/* The figure that decides, and its name. */
double eval_board_metric(const eval_board *b, const eval_score *s);
const char *eval_board_metric_name(const eval_board *b);
/* Whose exact answers count. */
student_task eval_board_answer_task(const eval_board *b);

#endif
