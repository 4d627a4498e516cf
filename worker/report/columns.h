/* The columns of JSON lines, found by looking: what a dataset card must declare so that every block of
 * a file is read with the same types.
 *
 *     columns *all = NULL;
 *     if ((st = columns_new(&all, err)) != RT_OK) goto out;
 *     st = columns_add(all, object, err);             // for each line
 *     st = columns_to_yaml(all, "  ", &out, err);     // the list under `features:`
 *     columns_free(all);
 */
#ifndef RT_WORKER_REPORT_COLUMNS_H
#define RT_WORKER_REPORT_COLUMNS_H

#include <jansson.h>

#include "common/base/bytes.h"

/* Columns, nested ones included. Objects whose keys are data, such as labels of votes, go beyond it. */
#define COLUMNS_MAX 400

typedef struct columns columns;

/* Returns new; columns_free(). */
RT_MUST_USE rt_status columns_new(columns **out, rt_error *err);
void columns_free(columns *c);
/* What is no object adds nothing. */
RT_MUST_USE rt_status columns_add(columns *c, const json_t *object, rt_error *err);
/* NULL when they can be declared; else why not, a sentence. */
const char *columns_problem(const columns *c);
/* Append "- name: ..." with types as the library `datasets` names them, each line behind `indent`. Whole
 * numbers and reals in one column make it float64; one that was always null is a string. */
RT_MUST_USE rt_status columns_to_yaml(const columns *c, const char *indent, rt_buf *out,
                                      rt_error *err);

#endif
