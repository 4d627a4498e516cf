/* What asking the teacher about the rows of eval.files comes to, as `retort run` does with
 * eval.teacher. Asks nobody.
 *
 *     dry_evaluation e = {0};
 *     if ((st = dry_evaluation_open(config, second_config, &e, err)) != RT_OK) goto out;
 *     projection p = dry_evaluation_project(&e, 0.2);
 *     dry_evaluation_close(&e);
 */
#ifndef RT_CLI_DRY_EVALUATION_H
#define RT_CLI_DRY_EVALUATION_H

#include "cli/dry_teacher.h"

/* Zero-initialise; dry_evaluation_close(). */
typedef struct dry_evaluation {
    config first_config, second_config; /* share the texts of those they were made of */
    dry_teacher first, second;
    uint64_t n_rows;
} dry_evaluation;

/* Reads the rows and counts the prompts of a sample. Keeps both configs; `second` is NULL without a
 * second teacher. Fails as the evaluation would: a file that is missing, no true answer. */
RT_MUST_USE rt_status dry_evaluation_open(const config *c, const config *second,
                                          dry_evaluation *out, rt_error *err);
void dry_evaluation_close(dry_evaluation *e);
/* If the second teacher sees that share of the rows. What the answer cache has counts as asked. */
projection dry_evaluation_project(const dry_evaluation *e, double share);

#endif
