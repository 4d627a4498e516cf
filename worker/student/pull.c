#include "worker/student/pull.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "common/base/log.h"

#define PULL_AGAIN_MS 1000

typedef struct cached_slice {
    bool whole;
    uint64_t asked; /* the version that was asked for */
    uint64_t version, generation;
    bool unread;       /* what the last answer referred to could not be read: frames, this time */
    bool wants_frames; /* it never can */
} cached_slice;

struct weight_cache {
    shard_links *links;
    shard_question *question; /* owned */
    model *model;
    wire_element element;
    bool share;
    float *widened;       /* [wire_frame_floats()], one frame; NULL for float32 */
    cached_slice *slices; /* [n] */
    shard_ask *asks;      /* [n] */
    uint32_t n;
    uint64_t wanted;
    pull_terms terms;
    wire_pull_status worst;
    uint64_t waited_ms;
    uint64_t n_shared;
};

rt_status weight_cache_new(shard_links *links, model *m, wire_element element, bool share,
                           weight_cache **out, rt_error *err)
{
    weight_cache *cache = rt_calloc(1, sizeof *cache);
    if (cache == NULL) return rt_fail(err, RT_NOMEM, "pulled weights");
    cache->links = links;
    cache->model = m;
    cache->element = element;
    cache->share = share;
    rt_status st = shard_question_new(links, &cache->question, err);
    if (st == RT_OK && element != WIRE_ELEMENT_F32) {
        cache->widened = rt_calloc(wire_frame_floats(element), sizeof *cache->widened);
        if (cache->widened == NULL) st = rt_fail(err, RT_NOMEM, "a frame of weights");
    }
    if (st != RT_OK)
        weight_cache_free(cache);
    else
        *out = cache;
    return st;
}

void weight_cache_free(weight_cache *cache)
{
    if (cache == NULL) return;
    weight_cache_forget(cache);
    shard_question_free(cache->question);
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

/* Numbers of a slice as they came, from its float `first` on, into the model. */
static void take_numbers(weight_cache *cache, uint32_t shard, size_t first, const void *data,
                         size_t n)
{
    if (cache->widened != NULL) {
        RT_ASSERT(n <= wire_frame_floats(cache->element));
        wire_floats_unpack(cache->element, data, n, cache->widened);
        data = cache->widened;
    }
    param_slice_scatter_part(shard_links_slice(cache->links, shard), model_table(cache->model),
                             first, n, data, model_weights(cache->model));
}

static void has_slice(weight_cache *cache, uint32_t shard, const wire_pulled *pulled)
{
    cached_slice *slice = &cache->slices[shard];
    slice->whole = true;
    slice->asked = cache->wanted;
    slice->version = pulled->version;
    slice->generation = pulled->generation;
}

/* Frames of the answer into the model; their sizes are checked before a float is written. */
static rt_status take_frames(weight_cache *cache, uint32_t shard, const net_incoming *in,
                             rt_error *err)
{
    size_t n_each = wire_element_bytes(cache->element), at = 0, n = 0;
    rt_status st = check_frames(cache, shard, in, err);
    if (st != RT_OK) return st;
    cache->slices[shard].whole = false;
    for (size_t i = 0; i < in->n_frames; i++, at += n / n_each) {
        const void *data = net_frame_data(in, i, &n);
        take_numbers(cache, shard, at, data, n / n_each);
    }
    has_slice(cache, shard, &in->message.pulled);
    return RT_OK;
}

typedef struct shared_slice {
    weight_cache *cache;
    uint32_t shard;
} shared_slice;

_Static_assert(SHARED_BLOCK_PART <= WIRE_FRAME_BYTES && SHARED_BLOCK_PART % sizeof(float) == 0,
               "a part fits where a frame fits, and holds whole numbers");

static void hear_part(void *context, size_t at, const void *bytes, size_t n)
{
    shared_slice *s = context;
    size_t n_each = wire_element_bytes(s->cache->element);
    take_numbers(s->cache, s->shard, at / n_each, bytes, n / n_each);
}

/* The version out of the shard's memory. What cannot be read is asked for in frames: the shard may
 * have gone on (for this time), or it may be out of sight (for good). */
static rt_status take_shared(weight_cache *cache, uint32_t shard, const wire_pulled *pulled,
                             rt_error *err)
{
    rt_error why = {0};
    cached_slice *slice = &cache->slices[shard];
    shared_slice to = {.cache = cache, .shard = shard};
    size_t n_floats = shard_links_slice(cache->links, shard)->n_floats;
    rt_status st = RT_CORRUPT;
    slice->whole = false;
    if (cache->share && pulled->element == cache->element && pulled->n_floats == n_floats &&
        pulled->shared.n_bytes == n_floats * wire_element_bytes(cache->element))
        st = shared_block_read_parts(&pulled->shared, hear_part, &to, &why);
    else
        (void)rt_fail(&why, st, "it does not hold %zu %s numbers", n_floats,
                      wire_element_name(cache->element));
    if (st == RT_NOMEM) return rt_fail(err, st, "%s", why.text);
    if (st == RT_OK) {
        cache->n_shared++;
        has_slice(cache, shard, pulled);
        return RT_OK;
    }
    slice->unread = true;
    slice->wants_frames = st == RT_UNAVAILABLE;
    /* In mode async a shard goes on all the time: that is no news. */
    if (slice->wants_frames || cache->terms.staleness == 0)
        rt_log_info("student.not_shared", "shard=%" PRIu32 " why=\"%s\"", shard, why.text);
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
        return m->pulled.shared.n_bytes > 0 ? take_shared(cache, shard, &m->pulled, err)
                                            : take_frames(cache, shard, in, err);
    if (m->pulled.status == PULL_GONE || cache->worst == PULL_GONE)
        cache->worst = PULL_GONE;
    else
        cache->worst = PULL_NOT_YET;
    return RT_OK;
}

/* One question to each shard whose slice is not there, or none. `again`: to those whose answer could
 * not be read. */
static rt_status ask_missing(weight_cache *cache, bool again, uint64_t timeout_ms, rt_error *err)
{
    bool any = false;
    for (uint32_t i = 0; i < cache->n; i++) {
        cached_slice *slice = &cache->slices[i];
        bool there = slice->whole && slice->asked == cache->wanted && !cache->terms.anew &&
                     will_do(cache, slice->version);
        bool shares = cache->share && !slice->wants_frames && !slice->unread;
        cache->asks[i] = (shard_ask){.skip = again ? !slice->unread : there,
                                     .ask = {.type = WIRE_PULL,
                                             .pull = {.version = cache->wanted,
                                                      .element = cache->element,
                                                      .staleness = cache->terms.staleness,
                                                      .shares = shares}}};
        slice->unread = false;
        any = any || !cache->asks[i].skip;
    }
    if (!any) return RT_OK;
    shard_listener listener = {.awaited = WIRE_PULLED, .hear = hear_pulled, .context = cache};
    question_terms terms = {
        .timeout_ms = timeout_ms, .again_ms = PULL_AGAIN_MS, .may_cancel = true};
    rt_status st =
        shard_links_begin(cache->links, cache->question, cache->asks, &terms, &listener, err);
    return st == RT_OK ? shard_links_wait(cache->links, cache->question, err) : st;
}

static bool any_unread(const weight_cache *cache)
{
    bool any = false;
    for (uint32_t i = 0; i < cache->n; i++) any = any || cache->slices[i].unread;
    return any;
}

rt_status weight_cache_pull(weight_cache *cache, uint64_t version, pull_terms terms,
                            uint64_t timeout_ms, wire_pull_status *status, rt_error *err)
{
    rt_status st = fit_to_links(cache, err);
    if (st != RT_OK) return st;
    cache->wanted = version;
    cache->terms = terms;
    cache->worst = PULL_OK;
    cache->waited_ms = 0;
    st = ask_missing(cache, false, timeout_ms, err);
    if (st == RT_OK && any_unread(cache)) st = ask_missing(cache, true, timeout_ms, err);
    if (st != RT_OK) return st;
    if (any_unread(cache)) /* it refers although it was asked for frames */
        return rt_fail(err, RT_CORRUPT,
                       "a shard did not send the parameters that it was asked for");
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

uint64_t weight_cache_n_shared(const weight_cache *cache)
{
    return cache->n_shared;
}
