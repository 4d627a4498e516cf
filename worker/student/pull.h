/* Parameters of one version, from all shards into the model.
 *
 *     weights    [ shard 0: v7 | shard 1: v7 | shard 2: v6 ]    v7 asks shard 2 alone
 *
 * What is there already is not asked for again: a version has the same bits whoever asks, whenever.
 */
#ifndef RT_WORKER_STUDENT_PULL_H
#define RT_WORKER_STUDENT_PULL_H

#include "common/nn/model.h"
#include "worker/model_shape/wire_floats.h"
#include "worker/student/shard_links.h"

typedef struct weight_cache weight_cache;

/* Keeps links and model. `element` is what the shards send: net.wire. `share`: shards on this machine
 * may let this process read their memory instead; one whose memory it cannot read sends frames.
 * Returns new; freed with weight_cache_free(). */
RT_MUST_USE rt_status weight_cache_new(shard_links *links, model *m, wire_element element,
                                       bool share, weight_cache **out, rt_error *err);
void weight_cache_free(weight_cache *cache);
/* Nothing in the model counts any longer: slices were cut anew. */
void weight_cache_forget(weight_cache *cache);

/* How a version is asked for. */
typedef struct pull_terms {
    uint64_t staleness; /* parameters older by so many versions will do, each shard's its own */
    bool anew;          /* also when those asked for with this version before are there still */
} pull_terms;

/* What the gradients of the weights in the model are to be known by. */
typedef struct weight_origin {
    uint64_t version;    /* the oldest of any shard */
    uint64_t generation; /* of all shards */
} weight_origin;

/* PULL_OK: model_weights() holds `version` whole, or what the terms allow. PULL_GONE when any shard is past it, PULL_NOT_YET
 * when any does not have it yet (each shard waits a moment before it says so). Fails as
 * shard_links_wait() does, and with RT_CORRUPT for an answer of another size. */
RT_MUST_USE rt_status weight_cache_pull(weight_cache *cache, uint64_t version, pull_terms terms,
                                        uint64_t timeout_ms, wire_pull_status *status,
                                        rt_error *err);
weight_origin weight_cache_origin(const weight_cache *cache);
/* How long the slowest shard made the last pull wait for the version, before anything was sent. */
uint64_t weight_cache_waited_ms(const weight_cache *cache);
/* Slices read out of shards' memory so far. */
uint64_t weight_cache_n_shared(const weight_cache *cache);

#endif
