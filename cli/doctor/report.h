/* All findings of one `retort doctor`, in the order of the checks.
 *
 *     report *r = NULL;
 *     if ((st = report_new(stdout, colours, &r, err)) != RT_OK) goto out;
 *     report_add(r, "redis", finding_ok("Redis 7.0.15 starts"));
 *     code = report_exit_code(r);
 *     report_free(r);
 *
 * A finding is printed when it is added, so that slow checks are seen to work.
 */
#ifndef RT_CLI_DOCTOR_REPORT_H
#define RT_CLI_DOCTOR_REPORT_H

#include <stdio.h>

#include "cli/doctor/finding.h"
#include "cli/exit_codes.h"

#define REPORT_FINDINGS_MAX 100 /* what is beyond is counted, and makes the last line */

typedef struct report report;

/* `lines`: where each finding is printed as a line; NULL for none. Returns new; report_free(). */
RT_MUST_USE rt_status report_new(FILE *lines, bool colours, report **out, rt_error *err);
void report_free(report *r);

/* Names the finding after its check and cleans its texts. */
void report_add(report *r, const char *check, finding f);
/* Say how many findings were left out for want of room, if any, and the worst of them. */
void report_end(report *r);

size_t report_n(const report *r);
const finding *report_at(const report *r, size_t i);
size_t report_count(const report *r, finding_level level);
/* "9 ok, 1 warning, 2 failures\n"; adds to *out. */
RT_MUST_USE rt_status report_sum(const report *r, rt_buf *out, rt_error *err);
/* An array of finding_to_json(); NULL when out of memory. */
json_t *report_to_json(const report *r);
/* EXIT_CODE_OK without a failure, else the code of the first one. */
exit_code report_exit_code(const report *r);

#endif
