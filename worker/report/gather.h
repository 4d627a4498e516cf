/* The parts of report_gather(): each reads some files of the run and adds its fields to the data. */
#ifndef RT_WORKER_REPORT_GATHER_H
#define RT_WORKER_REPORT_GATHER_H

#include "worker/report/report.h"

typedef struct gathering {
    const report_request *ask;
    const char *dataset; /* folder */
    json_t *data;
    json_t *missing; /* list of texts; borrowed from data */
    json_t *result;  /* result.json; NULL: the run is not finished */
    json_t *eval;    /* eval.json; NULL: not scored */
} gathering;

/* Say what is not there. */
void gather_miss(gathering *g, const char *fmt, ...) RT_PRINTF(2, 3);
/* run_json_load(), where a file that cannot be read is said and counts as absent. */
json_t *gather_load(gathering *g, const char *name);
/* Text for the data: repaired, and cut at `n_max` bytes with an ellipsis. NULL gives null. */
json_t *gather_text(const char *text, size_t n_max);

/* "rejections", "teacher" and what the dataset holds: counts, confusion, examples, columns of the files.
 * Only what runs out of memory fails. */
RT_MUST_USE rt_status gather_dataset(gathering *g, rt_error *err);
/* "rows": how rows read become labels, as a sum. Needs what gather_dataset() found. */
void gather_rows(gathering *g);
/* "curves": of metrics.jsonl and history.jsonl. */
RT_MUST_USE rt_status gather_curves(gathering *g, rt_error *err);
/* "checksums" of the files that others rely on. */
void gather_checksums(gathering *g);

#endif
