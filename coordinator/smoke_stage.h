/* The smoke phase of a run: the gate's first rows, and what became of them, in <run>/smoke.json:
 *
 *     {"passed":true,"rows":50,"labelled":49,"rejected":1,"shown":[{"input","label","rationale"},
 *      {"input","reason","raw"}, ...]}                     texts on one line, cut
 *
 * A run that has passed once does not repeat it.
 */
#ifndef RT_COORDINATOR_SMOKE_STAGE_H
#define RT_COORDINATOR_SMOKE_STAGE_H

#include "common/base/status.h"

typedef struct coordinator coordinator;

/* Archive and leases are open. */
RT_MUST_USE rt_status smoke_begin(coordinator *co, rt_error *err);
/* After records were archived. RT_CORRUPT says that too many of the first rows were rejected. */
RT_MUST_USE rt_status smoke_turn(coordinator *co, rt_error *err);

#endif
