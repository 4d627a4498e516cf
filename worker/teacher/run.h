/* The teacher's process: lease a shard, label it, publish its records, say so; again.
 *
 *     st = teacher_run(config, "teacher-0", err);
 *
 * May die at any time: its lease expires and the shard is labelled again.
 */
#ifndef RT_WORKER_TEACHER_RUN_H
#define RT_WORKER_TEACHER_RUN_H

#include "common/conf/config.h"
#include "worker/teacher/label_shard.h"

/* Until the coordinator says that every example is accounted for (RT_OK), or on request
 * (RT_CANCELLED), or until it cannot go on. On SIGTERM a shard in hand is finished when only its
 * records are left to publish, else left to its lease. */
RT_MUST_USE rt_status teacher_run(const config *c, const char *name, rt_error *err);

/* A labeller as the config describes it, for the process and for commands that ask the teacher in
 * their own. Keeps config. labeller_close() frees what it opened. */
RT_MUST_USE rt_status labeller_open(const config *c, labeller *out, rt_error *err);
void labeller_close(labeller *l);
/* Whether the first or the second teacher is a server of somebody else. */
bool labeller_asks_server(const labeller *l);
/* Its prompts alone, without a backend. Returns new; prompt_profile_free(). */
RT_MUST_USE rt_status labeller_prompts(const config *c, prompt_profile **out, rt_error *err);
/* The cache of paid answers, shared by runs; *out stays NULL where the teacher costs nothing or
 * cache.dir is off. Returns new; answer_cache_close(). */
RT_MUST_USE rt_status labeller_open_cache(const config *c, answer_cache **out, rt_error *err);
/* What its backends may use, see backend_use(). */
void labeller_use(const labeller *l, const backend_means *means);

#endif
