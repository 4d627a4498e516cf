#include "worker/student/push.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "worker/model_shape/slice_rows.h"

/* What one shard gets. */
typedef struct shard_part {
    size_t at, n;      /* floats of `floats` */
    bool wants_frames; /* it could not read the block */
} shard_part;

struct gradient_pusher {
    shard_links *links;
    shard_question *question; /* owned; open while a gradient is under way */
    const param_table *table;
    wire_element element;
    shared_block *block; /* holds what is sent; NULL: not shared */
    float *floats;       /* [table->n_total], shard after shard; in the block for float32 */
    char *packed;        /* the same in `element`, in the block; NULL for float32 */
    net_frame *frames;   /* shard after shard */
    size_t n_frames_max;
    uint32_t *row_ids; /* of the gradient under way; NULL until one travels in rows */
    shard_ask *asks;   /* [n_asks] */
    shard_part *parts; /* [n_asks] */
    uint32_t n_asks;
    uint64_t timeout_ms;
    push_told told;
    uint64_t version, generation; /* of the parameters; modes other than sync */
    double norm;
};

static void *block_bytes(const gradient_pusher *p)
{
    return p->block == NULL ? NULL : shared_block_bytes(p->block);
}

/* Where there is no shared memory, gradients are sent. */
static bool make_buffers(gradient_pusher *p, bool share)
{
    rt_error why = {0};
    bool packs = p->element != WIRE_ELEMENT_F32;
    size_t n = p->table->n_total, n_each = wire_element_bytes(p->element);
    if (share && shared_block_new(n * n_each, &p->block, &why) != RT_OK)
        rt_log_info("student.not_shared", "why=\"%s\"", why.text);
    void *sent = p->block != NULL ? shared_block_bytes(p->block) : rt_calloc(n, n_each);
    if (packs) p->packed = sent;
    p->floats = packs ? rt_calloc(n, sizeof *p->floats) : sent;
    return p->floats != NULL && sent != NULL;
}

rt_status gradient_pusher_new(shard_links *links, const param_table *table, wire_element element,
                              bool share, gradient_pusher **out, rt_error *err)
{
    gradient_pusher *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "gradients on their way");
    p->links = links;
    p->table = table;
    p->element = element;
    rt_status st = shard_question_new(links, &p->question, err);
    if (st == RT_OK && !make_buffers(p, share))
        st = rt_fail(err, RT_NOMEM, "gradients of %zu floats", table->n_total);
    if (st != RT_OK)
        gradient_pusher_free(p);
    else
        *out = p;
    return st;
}

void gradient_pusher_free(gradient_pusher *p)
{
    if (p == NULL) return;
    if (p->floats != block_bytes(p)) free(p->floats);
    if (p->packed != block_bytes(p)) free(p->packed);
    shared_block_free(p->block);
    shard_question_free(p->question);
    free(p->row_ids);
    free(p->parts);
    free(p->frames);
    free(p->asks);
    free(p);
}

void gradient_pusher_describe(gradient_pusher *p, uint64_t version, uint64_t generation,
                              double norm)
{
    p->version = version;
    p->generation = generation;
    p->norm = norm;
}

static rt_status fit_to_links(gradient_pusher *p, rt_error *err)
{
    uint32_t n = shard_links_count(p->links);
    if (n == p->n_asks) return RT_OK;
    /* A shard's last frame may be short: one more for each. */
    size_t n_frames = wire_frames_of(p->element, p->table->n_total) + n;
    shard_ask *asks = rt_calloc(n, sizeof *asks);
    shard_part *parts = rt_calloc(n, sizeof *parts);
    net_frame *frames = rt_calloc(n_frames, sizeof *frames);
    if (asks == NULL || frames == NULL || parts == NULL) {
        free(asks);
        free(parts);
        free(frames);
        return rt_fail(err, RT_NOMEM, "gradients for %" PRIu32 " shards", n);
    }
    free(p->asks);
    free(p->frames);
    free(p->parts);
    p->asks = asks;
    p->parts = parts;
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
    fault_point("student.mid_push");
    if (m->type == WIRE_REFUSED) {
        rt_status st = strcmp(m->refused.status, rt_status_name(RT_UNAVAILABLE)) == 0
                           ? RT_UNAVAILABLE
                           : RT_REFUSED;
        return rt_fail(err, st, "shard %" PRIu32 ": %s", shard, m->refused.text);
    }
    p->told.took_us = RT_MAX(p->told.took_us, m->pushed.took_us);
    if (m->pushed.status == PUSH_SEND_FRAMES)
        p->parts[shard].wants_frames = true;
    else
        p->told.status = worse(p->told.status, m->pushed.status);
    return RT_OK;
}

/* Point one question at its shard's part: a reference, or frames. */
static void fill_ask(gradient_pusher *p, uint32_t shard)
{
    shard_ask *ask = &p->asks[shard];
    const shard_part *part = &p->parts[shard];
    size_t n_each = wire_element_bytes(p->element);
    ask->ask.push.shared = (shared_block_ref){0};
    ask->n_frames = cut_frames(p, part->at, part->n, ask->frames);
    if (p->block == NULL || part->wants_frames || part->n == 0) return;
    ask->ask.push.shared = shared_block_refer(p->block, part->at * n_each, part->n * n_each);
    ask->n_frames = 0;
}

static rt_status ask(gradient_pusher *p, rt_error *err)
{
    shard_listener listener = {.awaited = WIRE_PUSHED, .hear = hear_pushed, .context = p};
    /* Gradients are large and answered as soon as they are there: no second copy before the end. */
    question_terms terms = {.timeout_ms = p->timeout_ms, .again_ms = p->timeout_ms};
    return shard_links_begin(p->links, p->question, p->asks, &terms, &listener, err);
}

/* Ask those again, with frames, who could not read what is shared. */
static rt_status ask_again(gradient_pusher *p, bool *asked, rt_error *err)
{
    *asked = false;
    for (uint32_t i = 0; i < p->n_asks; i++) {
        p->asks[i].skip = p->asks[i].ask.push.shared.n_bytes == 0 || !p->parts[i].wants_frames;
        *asked = *asked || !p->asks[i].skip;
        if (!p->asks[i].skip) fill_ask(p, i);
    }
    return *asked ? ask(p, err) : RT_OK;
}

/* Whether most rows are 0, and then a copy of their ids: the model goes on before all is answered. */
static rt_status keep_rows(gradient_pusher *p, const grad_rows *rows, wire_rows *out, rt_error *err)
{
    if (rows == NULL) return RT_OK;
    size_t n_max = p->table->params[rows->i_param].shape[0] / 2;
    if (rows->n > n_max || rows->n > WIRE_ROWS_MAX) return RT_OK;
    if (p->row_ids == NULL) p->row_ids = rt_calloc(n_max, sizeof *p->row_ids);
    if (p->row_ids == NULL) return rt_fail(err, RT_NOMEM, "%zu rows of a gradient", n_max);
    if (rows->n > 0) memcpy(p->row_ids, rows->ids, rows->n * sizeof *p->row_ids);
    *out = (wire_rows){
        .param = (uint32_t)rows->i_param, .ids = p->row_ids, .n = rows->n, .present = true};
    return RT_OK;
}

static bool holds(const param_slice *slice, uint32_t i_param)
{
    for (size_t i = 0; i < slice->n_params; i++)
        if (slice->params[i] == i_param) return true;
    return false;
}

/* What travels to one shard, behind what travels to those before it. */
static rt_status gather_part(gradient_pusher *p, uint32_t shard, const wire_rows *rows, size_t at,
                             const float *grads, rt_error *err)
{
    slice_rows part;
    const param_slice *slice = shard_links_slice(p->links, shard);
    rt_status st = slice_rows_of(slice, p->table, rows, &part, err);
    if (st != RT_OK) return st;
    p->parts[shard].at = at;
    p->parts[shard].n = slice_rows_packed(&part);
    slice_rows_gather(&part, slice, p->table, grads, p->floats + at);
    return RT_OK;
}

rt_status gradient_pusher_begin(gradient_pusher *p, const micro_batch *batch, const wire_sums *sums,
                                const float *grads, const grad_rows *rows, uint64_t timeout_ms,
                                rt_error *err)
{
    RT_ASSERT(!shard_question_is_open(p->question));
    wire_rows kept = {0};
    size_t n_frames = 0, at = 0;
    rt_status st = fit_to_links(p, err);
    if (st == RT_OK) st = keep_rows(p, rows, &kept, err);
    for (uint32_t i = 0; st == RT_OK && i < p->n_asks; i++) {
        shard_ask *to = &p->asks[i];
        const param_slice *slice = shard_links_slice(p->links, i);
        wire_push push = {.step = batch->step,
                          .index = batch->index,
                          .n_micro_batches = batch->n_micro_batches,
                          .sums = *sums,
                          .n_floats = slice->n_floats,
                          .element = p->element,
                          .version = p->version,
                          .generation = p->generation,
                          .norm = p->norm};
        if (kept.present && holds(slice, kept.param)) push.rows = kept;
        st = gather_part(p, i, &push.rows, at, grads, err);
        if (st != RT_OK) return st;
        *to = (shard_ask){.ask = {.type = WIRE_PUSH, .push = push}, .frames = p->frames + n_frames};
        fill_ask(p, i);
        n_frames += wire_frames_of(p->element, p->parts[i].n);
        at += p->parts[i].n;
    }
    if (st != RT_OK) return st;
    RT_ASSERT(n_frames <= p->n_frames_max && at <= p->table->n_total);
    p->timeout_ms = timeout_ms;
    p->told = (push_told){.status = PUSH_ACCEPTED};
    return ask(p, err);
}

rt_status gradient_pusher_end(gradient_pusher *p, bool wait, bool *over, push_told *told,
                              rt_error *err)
{
    rt_status st = RT_OK;
    bool all = true, asked = true;
    while (st == RT_OK && all && asked) {
        st = wait ? shard_links_wait(p->links, p->question, err)
                  : shard_links_look(p->links, p->question, &all, err);
        if (st == RT_OK && all) st = ask_again(p, &asked, err);
    }
    if (st != RT_OK) return st;
    *over = all;
    if (all) *told = p->told;
    return RT_OK;
}
