/* plan.jsonl: what was planned before, line by line, and what is planned now must be the same. */
#ifndef RT_COORDINATOR_PLAN_JOURNAL_H
#define RT_COORDINATOR_PLAN_JOURNAL_H

#include "common/dataset/plan.h"

typedef struct plan_journal plan_journal;

/* Reads the file; a torn last line is cut. Returns new; plan_journal_close(). */
RT_MUST_USE rt_status plan_journal_open(const char *path, plan_journal **out, rt_error *err);
void plan_journal_close(plan_journal *j);
size_t plan_journal_n(const plan_journal *j);
/* Examples [0, this) of n_examples were read by the segments in it. */
size_t plan_journal_n_covered(const plan_journal *j, uint64_t chunk_size, size_t n_examples);
/* Segment number i_segment is this one. It is in the journal already and equal, or is appended and
 * synced; RT_CORRUPT names the segment and both versions when it differs. */
RT_MUST_USE rt_status plan_journal_take(plan_journal *j, size_t i_segment, const plan_segment *s,
                                        rt_error *err);

#endif
