#include "worker/student/push.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct gradient_pusher {
    shard_links *links;
    const param_table *table;
    wire_element element;
    float *floats;     /* [table->n_total], shard after shard */
    char *packed;      /* the same in `element`; NULL for float32 */
    net_frame *frames; /* shard after shard */
    size_t n_frames_max;
    shard_ask *asks;
    uint32_t n_asks;
    wire_push_status worst;
};

rt_status gradient_pusher_new(shard_links *links, const param_table *table, wire_element element,
                              gradient_pusher **out, rt_error *err)
{
    gradient_pusher *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "gradients on their way");
    p->links = links;
    p->table = table;
    p->element = element;
    p->floats = rt_calloc(table->n_total, sizeof *p->floats);
    if (element != WIRE_ELEMENT_F32)
        p->packed = rt_calloc(table->n_total, wire_element_bytes(element));
    if (p->floats == NULL || (element != WIRE_ELEMENT_F32 && p->packed == NULL)) {
        gradient_pusher_free(p);
        return rt_fail(err, RT_NOMEM, "gradients of %zu floats", table->n_total);
    }
    *out = p;
    return RT_OK;
}

void gradient_pusher_free(gradient_pusher *p)
{
    if (p == NULL) return;
    free(p->floats);
    free(p->packed);
    free(p->frames);
    free(p->asks);
    free(p);
}

static rt_status fit_to_links(gradient_pusher *p, rt_error *err)
{
    uint32_t n = shard_links_count(p->links);
    if (n == p->n_asks) return RT_OK;
    /* A shard's last frame may be short: one more for each. */
    size_t n_frames = wire_frames_of(p->element, p->table->n_total) + n;
    shard_ask *asks = rt_calloc(n, sizeof *asks);
    net_frame *frames = rt_calloc(n_frames, sizeof *frames);
    if (asks == NULL || frames == NULL) {
        free(asks);
        free(frames);
        return rt_fail(err, RT_NOMEM, "gradients for %" PRIu32 " shards", n);
    }
    free(p->asks);
    free(p->frames);
    p->asks = asks;
    p->frames = frames;
    p->n_frames_max = n_frames;
    p->n_asks = n;
    return RT_OK;
}

/* The frames of the floats [at, at + n_floats); returns how many. */
static size_t cut_frames(gradient_pusher *p, size_t at, size_t n_floats, net_frame *frames)
{
    size_t n_each = wire_element_bytes(p->element), n = 0;
    const char *bytes = (const char *)(p->floats + at);
    if (p->packed != NULL) {
        char *packed = p->packed + at * n_each;
        wire_floats_pack(p->element, p->floats + at, n_floats, packed);
        bytes = packed;
    }
    for (size_t i = 0; i < n_floats * n_each; i += WIRE_FRAME_BYTES)
        frames[n++] = (net_frame){
            .data = bytes + i, .n_bytes = RT_MIN(n_floats * n_each - i, (size_t)WIRE_FRAME_BYTES)};
    return n;
}

/* Of several shards' answers the one that decides: stale, then ahead, then accepted. */
static wire_push_status worse(wire_push_status a, wire_push_status b)
{
    if (a == PUSH_STALE || b == PUSH_STALE) return PUSH_STALE;
    if (a == PUSH_AHEAD || b == PUSH_AHEAD) return PUSH_AHEAD;
    return PUSH_ACCEPTED;
}

static rt_status hear_pushed(void *context, uint32_t shard, const net_incoming *in, rt_error *err)
{
    gradient_pusher *p = context;
    const wire_message *m = &in->message;
    if (m->type == WIRE_REFUSED) {
        rt_status st = strcmp(m->refused.status, rt_status_name(RT_UNAVAILABLE)) == 0
                           ? RT_UNAVAILABLE
                           : RT_REFUSED;
        return rt_fail(err, st, "shard %" PRIu32 ": %s", shard, m->refused.text);
    }
    p->worst = worse(p->worst, m->pushed.status);
    return RT_OK;
}

rt_status gradient_pusher_push(gradient_pusher *p, const micro_batch *batch, const wire_sums *sums,
                               const float *grads, uint64_t timeout_ms, wire_push_status *status,
                               rt_error *err)
{
    rt_status st = fit_to_links(p, err);
    if (st != RT_OK) return st;
    size_t n_frames = 0, at = 0;
    for (uint32_t i = 0; i < p->n_asks; i++) {
        const param_slice *slice = shard_links_slice(p->links, i);
        shard_ask *ask = &p->asks[i];
        param_slice_gather(slice, p->table, grads, p->floats + at);
        *ask = (shard_ask){.ask = {.type = WIRE_PUSH,
                                   .push = {.step = batch->step,
                                            .index = batch->index,
                                            .n_micro_batches = batch->n_micro_batches,
                                            .sums = *sums,
                                            .n_floats = slice->n_floats,
                                            .element = p->element}},
                           .frames = p->frames + n_frames};
        ask->n_frames = cut_frames(p, at, slice->n_floats, ask->frames);
        n_frames += ask->n_frames;
        at += slice->n_floats;
    }
    RT_ASSERT(n_frames <= p->n_frames_max && at <= p->table->n_total);
    p->worst = PUSH_ACCEPTED;
    shard_listener listener = {.awaited = WIRE_PUSHED, .hear = hear_pushed, .context = p};
    /* Gradients are large and answered as soon as they are there: no second copy before the end. */
    st = shard_links_ask(p->links, p->asks, timeout_ms, timeout_ms, false, &listener, err);
    if (st == RT_OK) *status = p->worst;
    return st;
}
