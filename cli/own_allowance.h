/* The allowance of a command that asks the teacher in its own process: the limits and the budget of the
 * run, kept as its coordinator keeps them, while there is none.
 *
 *     allowance *a = NULL;
 *     if (config_has_limits(c) && (st = own_allowance_open(c, "evaluation", &a, err)) != RT_OK) goto out;
 *     ... ask, with a as the means of the backend ...
 *     st = own_allowance_check(a, err);
 *     allowance_close(a);          // after the backend
 *
 * Holds the run's folder, so that one process at a time spends from <run>/spend.json, and counts
 * there what it pays. The same two deciders as in a run: worker/teacher/allowance_account.h asks,
 * coordinator/quota.h grants; only that no message travels between them.
 */
#ifndef RT_CLI_OWN_ALLOWANCE_H
#define RT_CLI_OWN_ALLOWANCE_H

#include "common/conf/config.h"
#include "worker/teacher/allowance.h"

/* Keeps config. `name` is that of the account in spend.json. Makes the run's folder when it is
 * missing. RT_EXISTS when a coordinator has the run, RT_CORRUPT for a bad spend.json. Returns new;
 * allowance_close(). */
RT_MUST_USE rt_status own_allowance_open(const config *c, const char *name, allowance **out,
                                         rt_error *err);
/* RT_IO when spend.json could not be written: nothing more was granted from then on. NULL is fine. */
RT_MUST_USE rt_status own_allowance_check(const allowance *a, rt_error *err);

#endif
