/* A teacher that asks nobody: what the answer cache knows it answers, what it does not know it hands
 * to whoever writes batches or has their results.
 *
 *     batch_handler write = {.missing = write_line, .context = &files};
 *     st = batch_labeller_open(config, cache, &write, &l, err);
 *     st = label_shard(&l.labeller, examples, n, records, &counts, err);
 *     batch_labeller_close(&l);
 *
 * Because the shard is labelled as in a run, its questions are those of a run: a row whose first
 * text could not be parsed is asked about again, warmer, in the next batch, and not before.
 * Of two steps the second question is handed out once the first is answered, by the cache or by the
 * handler. Records without an answer have the reason REASON_BATCH_PENDING; none of them is for keeps.
 */
#ifndef RT_WORKER_TEACHER_BATCH_BATCH_BACKEND_H
#define RT_WORKER_TEACHER_BATCH_BATCH_BACKEND_H

#include "worker/teacher/batch/batch_line.h"
#include "worker/teacher/run.h"

#define REASON_BATCH_PENDING "batch_pending"

/* Called for each question; texts are borrowed. */
typedef struct batch_handler {
    /* The cache has no answer. An answer that the handler has goes into *reply: the JSON that a
     * server would have sent; it is kept in the cache. An empty one: there is none. */
    rt_status (*missing)(void *context, const batch_ticket *ticket, const char *body, size_t n_body,
                         rt_buf *reply, rt_error *err);
    /* The cache has it; `is_last`: with it there is an answer, and not only a thought. May be NULL. */
    rt_status (*known)(void *context, const batch_ticket *ticket, bool is_last, rt_error *err);
    void *context;
} batch_handler;

typedef struct batch_labeller {
    labeller labeller;
    backend *openai;
    uint64_t n_taken, n_unusable; /* replies kept, and those in which nothing was */
} batch_labeller;

/* RT_UNSUPPORTED for other backends than openai. Keeps config, cache and
 * handler; *out may not move until it is closed. */
RT_MUST_USE rt_status batch_labeller_open(const config *c, answer_cache *cache,
                                          const batch_handler *handler, batch_labeller *out,
                                          rt_error *err);
void batch_labeller_close(batch_labeller *l);
/* What a batch line calls the endpoint. */
const char *batch_url(const config *c);

#endif
