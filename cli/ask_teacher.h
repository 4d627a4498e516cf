/* Asking the configured teacher in this process: the seam between evaluate and teacher, which know
 * nothing of each other. */
#ifndef RT_CLI_ASK_TEACHER_H
#define RT_CLI_ASK_TEACHER_H

#include "common/conf/config.h"
#include "worker/evaluate/evaluate.h"

/* An eval_teacher's `ask`; context is a `const config *`. Rows are labelled in shards of
 * label.shard_size, as a run would. */
rt_status ask_teacher(void *config_context, const gold_row *rows, size_t n, char **labels,
                      rt_error *err);

#endif
