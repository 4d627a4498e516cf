#include "worker/student/pull.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"

#define PULL_AGAIN_MS 1000

typedef struct cached_slice {
    bool whole;
    uint64_t asked; /* the version that was asked for */
    uint64_t version, generation;
} cached_slice;

struct weight_cache {
    shard_links *links;
    model *model;
    wire_element element;
    float *widened;       /* [wire_frame_floats()], one frame; NULL for float32 */
    cached_slice *slices; /* [n] */
    shard_ask *asks;      /* [n] */
    uint32_t n;
    uint64_t wanted;
    pull_terms terms;
    wire_pull_status worst;
    uint64_t waited_ms;
};

rt_status weight_cache_new(shard_links *links, model *m, wire_element element, weight_cache **out,
                           rt_error *err)
{
    weight_cache *cache = rt_calloc(1, sizeof *cache);
    if (cache == NULL) return rt_fail(err, RT_NOMEM, "pulled weights");
    cache->links = links;
    cache->model = m;
    cache->element = element;
    if (element != WIRE_ELEMENT_F32) {
        cache->widened = rt_calloc(wire_frame_floats(element), sizeof *cache->widened);
        if (cache->widened == NULL) {
            free(cache);
            return rt_fail(err, RT_NOMEM, "a frame of weights");
        }
    }
    *out = cache;
    return RT_OK;
}

void weight_cache_free(weight_cache *cache)
{
    if (cache == NULL) return;
    weight_cache_forget(cache);
    free(cache->widened);
    free(cache);
}

void weight_cache_forget(weight_cache *cache)
{
    free(cache->slices);
    free(cache->asks);
    cache->slices = NULL;
    cache->asks = NULL;
    cache->n = 0;
}

static rt_status fit_to_links(weight_cache *cache, rt_error *err)
{
    uint32_t n = shard_links_count(cache->links);
    if (cache->n == n) return RT_OK;
    weight_cache_forget(cache);
    cache->slices = rt_calloc(n, sizeof *cache->slices);
    cache->asks = rt_calloc(n, sizeof *cache->asks);
    if (cache->slices == NULL || cache->asks == NULL) {
        weight_cache_forget(cache);
        return rt_fail(err, RT_NOMEM, "weights of %" PRIu32 " shards", n);
    }
    cache->n = n;
    return RT_OK;
}

static rt_status check_frames(const weight_cache *cache, uint32_t shard, const net_incoming *in,
                              rt_error *err)
{
    const param_slice *slice = shard_links_slice(cache->links, shard);
    size_t n_each = wire_element_bytes(cache->element), total = 0, n = 0;
    if (in->message.pulled.element != cache->element)
        return rt_fail(err, RT_CORRUPT,
                       "shard %" PRIu32 ": found parameters as %s, expected %s: give all processes "
                       "of a run the same net.wire",
                       shard, wire_element_name(in->message.pulled.element),
                       wire_element_name(cache->element));
    for (size_t i = 0; i < in->n_frames; i++) {
        net_frame_data(in, i, &n);
        if (n % n_each != 0 || n > WIRE_FRAME_BYTES)
            return rt_fail(err, RT_CORRUPT,
                           "shard %" PRIu32 ": found a frame of %zu bytes, expected whole %s "
                           "numbers in at most %u",
                           shard, n, wire_element_name(cache->element), WIRE_FRAME_BYTES);
        total += n / n_each;
    }
    if (in->message.pulled.n_floats != slice->n_floats || total != slice->n_floats)
        return rt_fail(err, RT_CORRUPT,
                       "shard %" PRIu32 ": found %zu of %" PRIu64
                       " announced floats, expected %zu: shard and student differ in the model's "
                       "shape",
                       shard, total, in->message.pulled.n_floats, slice->n_floats);
    return RT_OK;
}

/* Frames of the answer into the model; their sizes are checked before a float is written. */
static rt_status take_frames(weight_cache *cache, uint32_t shard, const net_incoming *in,
                             rt_error *err)
{
    const param_slice *slice = shard_links_slice(cache->links, shard);
    const param_table *table = model_table(cache->model);
    size_t n_each = wire_element_bytes(cache->element), at = 0, n = 0;
    rt_status st = check_frames(cache, shard, in, err);
    if (st != RT_OK) return st;
    cache->slices[shard].whole = false;
    for (size_t i = 0; i < in->n_frames; i++, at += n / n_each) {
        const void *data = net_frame_data(in, i, &n);
        if (cache->widened != NULL) {
            wire_floats_unpack(cache->element, data, n / n_each, cache->widened);
            data = cache->widened;
        }
        param_slice_scatter_part(slice, table, at, n / n_each, data, model_weights(cache->model));
    }
    cache->slices[shard] = (cached_slice){.whole = true,
                                          .asked = cache->wanted,
                                          .version = in->message.pulled.version,
                                          .generation = in->message.pulled.generation};
    return RT_OK;
}

static bool will_do(const weight_cache *cache, uint64_t version)
{
    return version <= cache->wanted && cache->wanted - version <= cache->terms.staleness;
}

/* Shards that were asked while the run went back: some before, some after. */
static bool is_of_one_time(const weight_cache *cache)
{
    for (uint32_t i = 1; i < cache->n; i++)
        if (cache->slices[i].generation != cache->slices[0].generation) return false;
    return true;
}

static rt_status hear_pulled(void *context, uint32_t shard, const net_incoming *in, rt_error *err)
{
    weight_cache *cache = context;
    const wire_message *m = &in->message;
    if (m->type == WIRE_REFUSED)
        return rt_fail(err, RT_REFUSED, "shard %" PRIu32 ": %s", shard, m->refused.text);
    fault_point("student.mid_pull");
    cache->waited_ms = RT_MAX(cache->waited_ms, m->pulled.waited_ms);
    if (m->pulled.status == PULL_OK && will_do(cache, m->pulled.version))
        return take_frames(cache, shard, in, err);
    if (m->pulled.status == PULL_GONE || cache->worst == PULL_GONE)
        cache->worst = PULL_GONE;
    else
        cache->worst = PULL_NOT_YET;
    return RT_OK;
}

rt_status weight_cache_pull(weight_cache *cache, uint64_t version, pull_terms terms,
                            uint64_t timeout_ms, wire_pull_status *status, rt_error *err)
{
    rt_status st = fit_to_links(cache, err);
    if (st != RT_OK) return st;
    bool all_there = true;
    cache->wanted = version;
    cache->terms = terms;
    cache->worst = PULL_OK;
    cache->waited_ms = 0;
    for (uint32_t i = 0; i < cache->n; i++) {
        const cached_slice *slice = &cache->slices[i];
        bool there = slice->whole && slice->asked == version && !terms.anew &&
                     will_do(cache, slice->version);
        cache->asks[i] = (shard_ask){.skip = there,
                                     .ask = {.type = WIRE_PULL,
                                             .pull = {.version = version,
                                                      .element = cache->element,
                                                      .staleness = terms.staleness}}};
        all_there = all_there && there;
    }
    if (!all_there) {
        shard_listener listener = {.awaited = WIRE_PULLED, .hear = hear_pulled, .context = cache};
        st = shard_links_ask(cache->links, cache->asks, timeout_ms, PULL_AGAIN_MS, true, &listener,
                             err);
        if (st != RT_OK) return st;
    }
    if (cache->worst == PULL_OK && terms.staleness > 0 && !is_of_one_time(cache)) {
        weight_cache_forget(cache);
        cache->worst = PULL_NOT_YET;
    }
    *status = cache->worst;
    return RT_OK;
}

weight_origin weight_cache_origin(const weight_cache *cache)
{
    weight_origin origin = {.version = cache->wanted};
    for (uint32_t i = 0; i < cache->n; i++) {
        origin.version = RT_MIN(origin.version, cache->slices[i].version);
        origin.generation = cache->slices[i].generation;
    }
    return origin;
}

uint64_t weight_cache_waited_ms(const weight_cache *cache)
{
    return cache->waited_ms;
}
