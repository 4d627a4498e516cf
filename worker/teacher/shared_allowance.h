/* The allowance of a teacher in a run: its account, and the messages that keep it and the
 * coordinator of one mind.
 *
 *     allowance *a = NULL;
 *     if ((st = shared_allowance_open(rt, &a, err)) != RT_OK) goto out;
 *     labeller_use(&labeller, &(backend_means){.allowance = a});
 *     ...
 *     allowance_close(a);       // says goodbye; before runtime_close()
 *
 * Uses the main thread's client to the coordinator and never waits for it, but for a moment in
 * close. Answers that somebody else reads from that client and drops are lost answers like any.
 */
#ifndef RT_WORKER_TEACHER_SHARED_ALLOWANCE_H
#define RT_WORKER_TEACHER_SHARED_ALLOWANCE_H

#include "worker/runtime/runtime.h"
#include "worker/teacher/allowance.h"

/* Keeps rt. Returns new; allowance_close(). */
RT_MUST_USE rt_status shared_allowance_open(runtime *rt, allowance **out, rt_error *err);

#endif
