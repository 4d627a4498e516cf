/* A config's task as the rules of the parse machine.
 *
 *     answer_rules rules = answer_rules_of(c);
 *     answer_parse(&rules, input, raw, n, false, &parsed, err);
 *
 * Target rt::worker_task; needs no socket.
 */
#ifndef RT_WORKER_RUNTIME_TASK_RULES_H
#define RT_WORKER_RUNTIME_TASK_RULES_H

#include "common/conf/config.h"
#include "common/text/answer.h"

/* Keeps the config's strings: valid until config_free(). */
answer_rules answer_rules_of(const config *c);
answer_rules answer_rules_of_task(const task_config *task);

#endif
