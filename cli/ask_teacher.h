/* Asking the configured teacher in this process: the seam between evaluate and teacher, which know
 * nothing of each other.
 *
 *     asked_teacher t;
 *     if ((st = asked_teacher_open(config, &t, err)) != RT_OK) goto out;
 *     eval_teacher teacher = {.ask = ask_teacher, .context = &t};
 *     ...
 *     asked_teacher_close(&t);
 */
#ifndef RT_CLI_ASK_TEACHER_H
#define RT_CLI_ASK_TEACHER_H

#include "common/cache/answer_cache.h"
#include "common/conf/config.h"
#include "worker/evaluate/evaluate.h"
#include "worker/teacher/allowance.h"

/* What a teacher that costs something is asked with; keeps config. */
typedef struct asked_teacher {
    const config *config;
    allowance *allowance; /* NULL: no limits */
    answer_cache *cache;  /* NULL: none */
} asked_teacher;

/* With limits or prices, takes part in the run's budget: RT_EXISTS while a coordinator has the run.
 * asked_teacher_close(), also on failure. */
RT_MUST_USE rt_status asked_teacher_open(const config *c, asked_teacher *out, rt_error *err);
void asked_teacher_close(asked_teacher *t);

/* An eval_teacher's `ask`; context is an asked_teacher. Rows are labelled in shards of
 * label.shard_size, as a run would. */
rt_status ask_teacher(void *context, const gold_row *rows, size_t n, char **labels, bool *left_out,
                      rt_error *err);

#endif
