/* What a provider's batches gave back, found again by custom_id: an index in memory, the lines in
 * their files.
 *
 *     batch_results *r = NULL;
 *     if ((st = batch_results_new(&r, err)) != RT_OK) goto out;
 *     for (...) st = batch_results_add(r, paths[i], err);
 *     switch (batch_results_find(r, custom_id, &result, err)) { case RT_OK: ... }
 *
 * About 50 bytes a line. Files are JSON lines, of results or of errors, in any order; a last line
 * may lack its end or be cut off. Of one that is compressed (gzip, zstd) the lines lie in a temporary
 * file as long as the results do. Of several lines of one custom_id an answer counts before a
 * failure.
 */
#ifndef RT_WORKER_TEACHER_BATCH_BATCH_RESULTS_H
#define RT_WORKER_TEACHER_BATCH_BATCH_RESULTS_H

#include "worker/teacher/batch/batch_line.h"

#define BATCH_CODES_MAX 64

typedef struct batch_results batch_results;

typedef struct batch_results_counts {
    uint64_t n_lines;
    uint64_t n_answers;    /* custom_ids with an answer */
    uint64_t n_failed;     /* lines with a code */
    uint64_t n_unreadable; /* lines that are no output */
} batch_results_counts;

/* Returns new; batch_results_free(). */
RT_MUST_USE rt_status batch_results_new(batch_results **out, rt_error *err);
void batch_results_free(batch_results *r);
/* Read one file. Keeps it open. RT_NOTFOUND, RT_IO, RT_CORRUPT for a torn compressed file; a line that is no output is only counted. */
RT_MUST_USE rt_status batch_results_add(batch_results *r, const char *path, rt_error *err);
batch_results_counts batch_results_count(const batch_results *r);
/* Codes of failures and how often each came: returns how many distinct (at most BATCH_CODES_MAX;
 * further ones count as "other"). */
size_t batch_results_n_codes(const batch_results *r);
const char *batch_results_code(const batch_results *r, size_t i, uint64_t *count);
bool batch_results_has(const batch_results *r, const char *custom_id);
/* RT_NOTFOUND without an answer. Replaces *out. */
RT_MUST_USE rt_status batch_results_find(const batch_results *r, const char *custom_id,
                                         batch_result *out, rt_error *err);

#endif
