/* A student's connections to all shards, and questions to all of them at once.
 *
 *     shard 0  ─ask─►          ◄─answer─
 *     shard 1  ─ask─►  (work)            ◄─answer─     the wait is for the slowest, not the sum
 *
 *     shard_links_update(links, &view, model_table(m), err);
 *     st = shard_links_begin(links, pushing, asks, &terms, &listener, err);
 *     ... compute ...
 *     st = shard_links_wait(links, pushing, err);
 *
 * Several questions may be open: a gradient is on its way while the next version is asked for. Whichever
 * is waited for, answers to all of them are heard.
 */
#ifndef RT_WORKER_STUDENT_SHARD_LINKS_H
#define RT_WORKER_STUDENT_SHARD_LINKS_H

#include "worker/model_shape/param_slice.h"
#include "worker/runtime/runtime.h"

typedef struct shard_links shard_links;

/* Keeps rt and table. Returns new, without connections; freed with shard_links_free(). */
RT_MUST_USE rt_status shard_links_new(runtime *rt, const param_table *table, shard_links **out,
                                      rt_error *err);
void shard_links_free(shard_links *links);

/* Connect to the shards the coordinator names, anew where an endpoint changed. RT_UNAVAILABLE
 * while one is missing: nothing is connected then. *changed tells that slices were cut anew. */
RT_MUST_USE rt_status shard_links_update(shard_links *links, const runtime_view *view,
                                         bool *changed, rt_error *err);

uint32_t shard_links_count(const shard_links *links);
const param_slice *shard_links_slice(const shard_links *links, uint32_t shard);

/* What one shard is asked. `skip`: nothing. Borrows frames. */
typedef struct shard_ask {
    bool skip;
    wire_message ask;
    net_frame *frames;
    size_t n_frames;
} shard_ask;

/* Hears each shard's answer once: one of the type awaited, or WIRE_REFUSED. A failure ends the
 * asking. */
typedef struct shard_listener {
    wire_type awaited;
    rt_status (*hear)(void *context, uint32_t shard, const net_incoming *answer, rt_error *err);
    void *context;
} shard_listener;

typedef struct question_terms {
    uint64_t timeout_ms; /* of waiting; what passes while nobody waits does not count */
    uint64_t
        again_ms; /* what stays unanswered for so long is asked again, then for twice as long, ... */
    bool
        may_cancel; /* when stopping: at once, others after a moment; when stopping at once, always */
} question_terms;

typedef struct shard_question shard_question;

/* Keeps links. Returns new, not open; freed with shard_question_free(). */
RT_MUST_USE rt_status shard_question_new(shard_links *links, shard_question **out, rt_error *err);
void shard_question_free(shard_question *q);
bool shard_question_is_open(const shard_question *q);

/* Ask: asks[shard_links_count()], kept until the question is over, as is what the listener points to. q
 * must not be open. */
RT_MUST_USE rt_status shard_links_begin(shard_links *links, shard_question *q, shard_ask *asks,
                                        const question_terms *terms, const shard_listener *listener,
                                        rt_error *err);
/* Hear what has come, without waiting. *over: every shard has answered. Failures as of
 * shard_links_wait(), after which the question is over too. */
RT_MUST_USE rt_status shard_links_look(shard_links *links, shard_question *q, bool *over,
                                       rt_error *err);
/* Until every shard has answered. RT_TIMEOUT, and then nothing is connected; or RT_UNAVAILABLE when
 * shards moved, connections were made anew or the generation changed meanwhile; RT_CANCELLED; or what
 * the listener said. */
RT_MUST_USE rt_status shard_links_wait(shard_links *links, shard_question *q, rt_error *err);

#endif
