/* Making and copying the snapshot of the coordinator's RunState. Private to worker/runtime. */
#ifndef RT_WORKER_RUNTIME_RUNTIME_VIEW_H
#define RT_WORKER_RUNTIME_RUNTIME_VIEW_H

#include "worker/runtime/runtime.h"

/* New copies of everything; on failure *out is untouched. */
RT_MUST_USE rt_status runtime_view_of(const wire_run_state *state, runtime_view *out,
                                      rt_error *err);
RT_MUST_USE rt_status runtime_view_copy(const runtime_view *from, runtime_view *out, rt_error *err);

#endif
