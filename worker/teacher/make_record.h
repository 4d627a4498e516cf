/* A chosen answer as a record: the texts, and in meta how it came about. No times and no host: the
 * same answers give the same bytes. docs/teachers.md lists meta's fields. */
#ifndef RT_WORKER_TEACHER_MAKE_RECORD_H
#define RT_WORKER_TEACHER_MAKE_RECORD_H

#include "worker/teacher/choose_answer.h"

/* What one teacher made of an example. Borrows all. */
typedef struct teacher_outcome {
    const labeller *labeller;
    const label_item *item;
    const chosen_answer *chosen;
} teacher_outcome;

/* `second` is NULL for an example that only the first teacher saw; else its label counts when it
 * has one, the first's when only that has one, and its reason when neither has. */
RT_MUST_USE rt_status make_record(const teacher_outcome *first, const teacher_outcome *second,
                                  label_record *out, rt_error *err);

#endif
