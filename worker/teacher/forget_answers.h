/* Taking examples' answers out of the answer cache, so that the next run asks about them afresh.
 *
 *     forgetter *f = NULL;
 *     if ((st = forgetter_open(config, cache, &f, err)) != RT_OK) goto out;
 *     st = forgetter_forget(f, examples, n, &n_forgotten, err);
 *     forgetter_close(f);
 *
 * Which questions a run asked about an example depends on the answers: a text that could not be
 * parsed led to another. So each shard is labelled once more out of the cache alone, and what was
 * found there is removed, the last question first: whoever is killed in between has left a
 * beginning from which doing it again finds the rest. Each teacher is looked at by itself, because
 * the second one was asked about what the first had rejected.
 */
#ifndef RT_WORKER_TEACHER_FORGET_ANSWERS_H
#define RT_WORKER_TEACHER_FORGET_ANSWERS_H

#include "worker/teacher/label_shard.h"

typedef struct forgetter forgetter;

/* Teachers without answers in the cache (recorded, native) are passed over. No key is needed. Keeps
 * config and cache. Returns new; forgetter_close(). */
RT_MUST_USE rt_status forgetter_open(const config *c, answer_cache *cache, forgetter **out,
                                     rt_error *err);
void forgetter_close(forgetter *f);
/* Adds the answers that were removed to *n_forgotten. */
RT_MUST_USE rt_status forgetter_forget(forgetter *f, const shard_example *examples, size_t n,
                                       uint64_t *n_forgotten, rt_error *err);

#endif
