/* Limits and money in the coordinator: the quota, its file, and the end of labelling when the
 * budget is spent.
 *
 *     spent ──► leases are closed ──► what is out comes back ──► the rest is left out, for good
 *
 * The last step is in the file before training may see it: a plan that was made without some
 * examples must stay without them.
 */
#ifndef RT_COORDINATOR_QUOTA_STAGE_H
#define RT_COORDINATOR_QUOTA_STAGE_H

#include "coordinator/lease_table.h"
#include "coordinator/spend_book.h"

/* Keeps what it points to. */
typedef struct quota_stage {
    spend_book book;
    lease_table *leases;
    bool reopened; /* labelling had ended, and goes on */
} quota_stage;

/* Without a folder nothing is read or written. Else reads the file of an earlier start.
 * `may_reopen`: training does not hold the labels so far, so that a larger budget may go on. */
RT_MUST_USE rt_status quota_stage_open(quota_stage *s, const config *c, const run_folder *folder,
                                       lease_table *leases, bool may_reopen, uint64_t now_ms,
                                       rt_error *err);
void quota_stage_close(quota_stage *s);
/* True with an answer that may be sent. */
bool quota_stage_report(quota_stage *s, const char *name, uint64_t incarnation,
                        const wire_quota_report *report, uint64_t now_ms, wire_quota_grant *answer);
/* Look at the budget, write what changed. `stream_is_empty`: LABELS has just been read to its end. */
void quota_stage_turn(quota_stage *s, bool stream_is_empty, uint64_t now_ms);
/* The last state, exactly. */
void quota_stage_save(quota_stage *s, uint64_t now_ms);

#endif
