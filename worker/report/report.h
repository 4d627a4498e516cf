/* A run as one page that a colleague can read: report.html.
 *
 *     report_request ask = {.run_dir = "runs/x", .config = c, .now_ms = rt_clock_wall_ms()};
 *     if ((st = report_gather(&ask, &data, err)) != RT_OK) goto out;    // the figures, as JSON
 *     if ((st = report_render(data, &page, err)) != RT_OK) goto out;    // the page, from them alone
 *     json_decref(data);
 *
 *     result.json summary.json eval.json control/ spend.json ─┐
 *     metrics.jsonl history.jsonl ────────────────────────────┼─► data ─► report.html
 *     dataset/ corpus/manifest.json config.yaml ──────────────┘
 *
 * A run that is not finished, or whose files are not all there, has a report too: it says what is
 * missing and why. Nothing on the page that is not in the data; docs/report.md lists its fields.
 */
#ifndef RT_WORKER_REPORT_REPORT_H
#define RT_WORKER_REPORT_REPORT_H

#include <jansson.h>

#include "common/base/bytes.h"
#include "common/conf/config.h"

#define REPORT_NAME "report.html"

/* Borrows everything. */
typedef struct report_request {
    const char *run_dir;
    const char *dataset;        /* its folder; NULL: <run_dir>/dataset */
    const config *config;       /* NULL: not known, answers are not compared with true ones then */
    const char *config_problem; /* why it is not known; NULL: nobody tried */
    uint64_t now_ms;            /* since 1970 */
} report_request;

/* RT_NOTFOUND when there is no such folder or nothing of a run in it. What is there but cannot be read
 * is said in the data. Returns new: json_decref(). */
RT_MUST_USE rt_status report_gather(const report_request *ask, json_t **out, rt_error *err);
/* Append the page. Takes any JSON: what is missing or of another type is passed over. */
RT_MUST_USE rt_status report_render(const json_t *data, rt_buf *out, rt_error *err);

/* A JSON file of a run; *out is NULL when it does not exist. RT_CORRUPT names file and line. Returns
 * new. */
RT_MUST_USE rt_status run_json_load(const char *run_dir, const char *name, json_t **out,
                                    rt_error *err);

#endif
