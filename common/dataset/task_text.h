/* The tasks as text: what a student reads and what it learns to write.
 *
 *     predict   "predict: {input}\n"  ->  label
 *     explain   "explain: {input}\n"  ->  rationale
 *     solve     "solve: {input}\n"    ->  rationale, then the label behind its marker
 *
 * Source: Hsieh et al. 2023, section 3.2, for predict and explain.
 */
#ifndef RT_DATASET_TASK_TEXT_H
#define RT_DATASET_TASK_TEXT_H

#include "common/dataset/label_record.h"

typedef enum student_task { TASK_PREDICT, TASK_EXPLAIN, TASK_SOLVE, TASK_COUNT } student_task;

const char *student_task_name(student_task task); /* "predict" ... */

/* Append the prompt of a task. Training, evaluation and a native teacher use this one function. */
RT_MUST_USE rt_status task_prompt(student_task task, const char *input, rt_buf *out, rt_error *err);
/* Append the target. `label_format` is over {label} and {marker}, default "{marker} {label}".
 * RT_NOTFOUND when the record lacks what the task needs (no rationale for explain; solve without a
 * rationale is the label part alone). */
RT_MUST_USE rt_status task_target(student_task task, const label_record *record,
                                  const char *label_format, const char *marker, rt_buf *out,
                                  rt_error *err);

#endif
