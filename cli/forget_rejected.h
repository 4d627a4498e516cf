/* Rejected rows of a run lose their answers in the answer cache, before they are asked for again.
 *
 *     uint64_t n_forgotten = 0;
 *     st = forget_rejected(config, "runs/x/dataset", "no_marker", &n_forgotten, err);
 */
#ifndef RT_CLI_FORGET_REJECTED_H
#define RT_CLI_FORGET_REJECTED_H

#include "common/conf/config.h"

/* `reason` NULL: all rejected rows. Answers given to other settings stay: they are not asked for. 0
 * forgotten where there is no cache. */
RT_MUST_USE rt_status forget_rejected(const config *c, const char *dataset, const char *reason,
                                      uint64_t *n_forgotten, rt_error *err);

#endif
