/* An allowance_account as the settings of a run have it, and its surprises told: what the allowance of
 * a worker and that of a command share.
 *
 *     allowance_account a = run_account_of(config, stale_ms);
 *     run_account_settle(&a, need, use, now_ms);
 */
#ifndef RT_WORKER_TEACHER_RUN_ACCOUNT_H
#define RT_WORKER_TEACHER_RUN_ACCOUNT_H

#include "worker/teacher/allowance_account.h"

allowance_account run_account_of(const config *c, uint64_t stale_ms);
/* allowance_account_settle(), and a line in the log when the request used more than its need. */
void run_account_settle(allowance_account *a, const allowance_need *need, allowance_use *use,
                        uint64_t now_ms);

#endif
