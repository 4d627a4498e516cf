/* The smoke phase as a person sees it: what the teacher made of the first rows.
 *
 *     the first 50 rows: 49 labelled, 1 rejected
 *       Adam buys 7 shells for 2 dollars each and a lamp for 5 dollars. How many dollars does…
 *         19 ← 7*2=14. 14+5=19.
 *       What is missing?
 *         rejected: no_marker · no marker here
 */
#ifndef RT_CLI_LAUNCH_SMOKE_LINES_H
#define RT_CLI_LAUNCH_SMOKE_LINES_H

#include "common/base/bytes.h"

/* From smoke.json to lines of at most `columns`, each ended. RT_CORRUPT when it is not one. */
RT_MUST_USE rt_status smoke_lines(const char *json, size_t n, size_t columns, rt_buf *out,
                                  rt_error *err);
/* Of smoke.json: the phase was passed. False too when it is not one. */
bool smoke_has_passed(const char *json, size_t n);

#endif
