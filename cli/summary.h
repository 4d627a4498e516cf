/* The end of a run in figures: summary.json, and the table that a person sees. */
#ifndef RT_CLI_SUMMARY_H
#define RT_CLI_SUMMARY_H

#include "common/base/bytes.h"
#include "common/conf/config.h"

/* Gather <run_dir>/result.json, eval.json and control/ into <run_dir>/summary.json (design.md §9).
 * `seconds` is the wall time of the command. */
RT_MUST_USE rt_status summary_write(const config *c, const char *run_dir, double seconds,
                                    rt_error *err);
/* What a written summary leaves out because the budget was spent. */
typedef struct summary_left {
    uint64_t n_left_out;     /* examples to label */
    bool needs_new_training; /* ... which a student that was trained already cannot be given */
    uint64_t n_not_asked;    /* rows of eval.files that the teacher was to be asked about */
} summary_left;
RT_MUST_USE rt_status summary_stopped(const char *run_dir, summary_left *out, rt_error *err);
/* The table and the shown examples of a written summary, as text. */
RT_MUST_USE rt_status summary_print(const char *run_dir, bool json, rt_buf *out, rt_error *err);

#endif
