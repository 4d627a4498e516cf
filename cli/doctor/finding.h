/* What one check found: one line of the report.
 *
 *     finding f = finding_fail(RT_UNAVAILABLE, "nobody listens at %s", url);
 *     finding_expect(&f, "a server that answers");
 *     finding_fix(&f, "start it, or correct teacher.base_url");
 *
 * Plain values, no allocation. Texts may hold what a server or a file said: they are made one line
 * of valid UTF-8 when the finding is reported, not before.
 */
#ifndef RT_CLI_DOCTOR_FINDING_H
#define RT_CLI_DOCTOR_FINDING_H

#include <jansson.h>

#include "common/base/bytes.h"

typedef enum finding_level { FINDING_OK, FINDING_WARN, FINDING_FAIL } finding_level;

typedef struct finding {
    char check[40]; /* "teacher.server"; set by report_add() */
    finding_level level;
    rt_status why; /* of FINDING_FAIL: the status a run would end with; else RT_OK */
    char found[1200], expected[400], fix[600]; /* "" = nothing to say; cut where longer */
} finding;

finding finding_ok(const char *fmt, ...) RT_PRINTF(1, 2);
finding finding_warn(const char *fmt, ...) RT_PRINTF(1, 2);
finding finding_fail(rt_status why, const char *fmt, ...) RT_PRINTF(2, 3);
void finding_expect(finding *f, const char *fmt, ...) RT_PRINTF(2, 3);
void finding_fix(finding *f, const char *fmt, ...) RT_PRINTF(2, 3);

const char *finding_level_name(finding_level level); /* "ok", "warn", "fail" */

/* Each text as one line of valid UTF-8 without control characters. */
void finding_clean(finding *f);
/* "fail  teacher.server   found; expected: ...; fix: ...\n"; colours only when asked for. Adds to
 * *out. */
RT_MUST_USE rt_status finding_line(const finding *f, bool colours, rt_buf *out, rt_error *err);
/* {"check","status","found","expected","fix"}; NULL when out of memory. */
json_t *finding_to_json(const finding *f);

#endif
