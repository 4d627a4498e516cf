/* A student's connections to all shards, and questions to all of them at once.
 *
 *     shard 0  ─ask─►          ◄─answer─
 *     shard 1  ─ask─►  (work)            ◄─answer─     the wait is for the slowest, not the sum
 *
 *     shard_links_update(links, &view, model_table(m), err);
 *     st = shard_links_ask(links, asks, timeout_ms, &listener, err);
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

/* asks[shard_links_count()]. Sends all, then waits for all. Asks again what stays unanswered for
 * `again_ms`, then twice as long, and so on. RT_TIMEOUT, and then nothing is connected; or
 * RT_UNAVAILABLE when shards moved or the generation changed meanwhile; RT_CANCELLED when stopping
 * and `may_cancel`, or when stopping at once. */
RT_MUST_USE rt_status shard_links_ask(shard_links *links, shard_ask *asks, uint64_t timeout_ms,
                                      uint64_t again_ms, bool may_cancel,
                                      const shard_listener *listener, rt_error *err);

#endif
