#include "worker/param_server/serve_students.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/log.h"

/* ---- answers ---- */

static void send_answer(student_desk *desk, const net_peer *to, uint64_t message_id,
                        wire_message *m, const net_frame *frames, size_t n_frames)
{
    rt_error err = {0};
    m->message_id = message_id;
    if (net_server_send(desk->net, to, m, frames, n_frames, &err) != RT_OK)
        rt_log_warn("server.send", "%s", err.text);
}

static void refuse(student_desk *desk, const net_incoming *in, const rt_error *why)
{
    wire_message m = {
        .type = WIRE_REFUSED,
        .refused = {.status = (char *)rt_status_name(why->status), .text = (char *)why->text}};
    desk->n_refused++;
    rt_log_warn("server.refused", "sender=%s type=%s text=\"%s\"", in->message.sender,
                wire_type_name(in->message.type), why->text);
    send_answer(desk, &in->peer, in->message.message_id, &m, NULL, 0);
}

/* The fingerprint of the configuration says the same; this holds without it too. */
static rt_status check_element(const student_desk *desk, const net_incoming *in, wire_element found,
                               rt_error *err)
{
    if (found == desk->element) return RT_OK;
    return rt_fail(err, RT_INVALID,
                   "net.wire: found %s in a %s of %s, expected %s as this shard has it: give all "
                   "processes of a run the same configuration",
                   wire_element_name(found), wire_type_name(in->message.type), in->message.sender,
                   wire_element_name(desk->element));
}

/* ---- pull ---- */

static void release_weights(void *data, void *hint)
{
    (void)data;
    shard_weights_unref(hint);
}

/* Frames straight out of the parameter vector; each holds a reference until ZeroMQ has sent it. */
static void send_weights(student_desk *desk, const net_peer *to, uint64_t message_id,
                         uint64_t waited_ms)
{
    shard_weights *w = shard_state_model(desk->state)->weights;
    size_t n_bytes = w->n_floats * wire_element_bytes(desk->element);
    size_t n_frames = wire_frames_of(desk->element, w->n_floats);
    const char *bytes = desk->element == WIRE_ELEMENT_BF16 ? (const char *)shard_weights_half(w)
                                                           : (const char *)w->floats;
    net_frame *frames = rt_calloc(n_frames, sizeof *frames);
    if (frames == NULL || bytes == NULL) { /* the student asks again */
        free(frames);
        return;
    }
    for (size_t i = 0; i < n_frames; i++) {
        size_t first = i * WIRE_FRAME_BYTES;
        frames[i] = (net_frame){.data = bytes + first,
                                .n_bytes = RT_MIN(n_bytes - first, (size_t)WIRE_FRAME_BYTES),
                                .release = release_weights,
                                .hint = shard_weights_ref(w)};
    }
    wire_message m = {.type = WIRE_PULLED,
                      .pulled = {.status = PULL_OK,
                                 .version = shard_state_version(desk->state),
                                 .generation = shard_state_generation(desk->state),
                                 .n_floats = w->n_floats,
                                 .waited_ms = waited_ms,
                                 .element = desk->element}};
    send_answer(desk, to, message_id, &m, frames, n_frames);
    free(frames);
}

/* Instead of frames, where the version lies. False: it has to travel. */
static bool tell_where(student_desk *desk, const parked_pull *pull, uint64_t waited_ms)
{
    shard_weights *w = shard_state_model(desk->state)->weights;
    if (!desk->shares || !pull->pull.shares) return false;
    const shared_block_ref *where = shard_weights_where(w, desk->element == WIRE_ELEMENT_BF16);
    if (where == NULL) return false;
    wire_message m = {.type = WIRE_PULLED,
                      .pulled = {.status = PULL_OK,
                                 .version = shard_state_version(desk->state),
                                 .generation = shard_state_generation(desk->state),
                                 .n_floats = w->n_floats,
                                 .waited_ms = waited_ms,
                                 .element = desk->element,
                                 .shared = *where}};
    desk->n_pulls_shared++;
    send_answer(desk, &pull->peer, pull->message_id, &m, NULL, 0);
    return true;
}

static void answer_pull(student_desk *desk, const parked_pull *pull, uint64_t now_ms)
{
    uint64_t needed = 0;
    wire_pull_status status = shard_state_pull(desk->state, &pull->pull, &needed);
    uint64_t waited_ms = now_ms > pull->since_ms ? now_ms - pull->since_ms : 0;
    if (status == PULL_OK) {
        fault_point("server.serving_pull");
        if (!tell_where(desk, pull, waited_ms))
            send_weights(desk, &pull->peer, pull->message_id, waited_ms);
        return;
    }
    wire_message m = {.type = WIRE_PULLED,
                      .pulled = {.status = status,
                                 .version = shard_state_version(desk->state),
                                 .waited_ms = waited_ms}};
    send_answer(desk, &pull->peer, pull->message_id, &m, NULL, 0);
}

static void handle_pull(student_desk *desk, const net_incoming *in, uint64_t now_ms)
{
    parked_pull pull = {.peer = in->peer,
                        .message_id = in->message.message_id,
                        .pull = in->message.pull,
                        .since_ms = now_ms,
                        .until_ms = now_ms + PULL_PARK_MS};
    rt_error err = {0};
    desk->n_pulls++;
    if (check_element(desk, in, in->message.pull.element, &err) != RT_OK) {
        refuse(desk, in, &err);
        return;
    }
    if (shard_state_pull(desk->state, &pull.pull, &pull.version) == PULL_NOT_YET &&
        parked_pulls_add(desk->parked, &pull))
        return;
    answer_pull(desk, &pull, now_ms);
}

void student_desk_answer_parked(student_desk *desk, uint64_t now_ms)
{
    parked_pull pull;
    bool has_params = shard_state_model(desk->state) != NULL;
    uint64_t version = shard_state_version(desk->state);
    while (parked_pulls_take(desk->parked, has_params, version, now_ms, &pull))
        answer_pull(desk, &pull, now_ms);
}

/* ---- push ---- */

/* Copied, because the bytes of a frame need not lie where a float may lie. */
static rt_status copy_frames(const student_desk *desk, const net_incoming *in, size_t n_floats,
                             float *out, rt_error *err)
{
    size_t n_each = wire_element_bytes(desk->element), at = 0;
    for (size_t i = 0; i < in->n_frames; i++) {
        size_t n = 0, n_max = RT_MIN((size_t)WIRE_FRAME_BYTES, (n_floats - at) * n_each);
        const void *data = net_frame_data(in, i, &n);
        if (n > n_max || n % n_each != 0)
            return rt_fail(err, RT_INVALID,
                           "gradient frame %zu of %zu: found %zu bytes, expected whole %s numbers "
                           "in at most %zu",
                           i, in->n_frames, n, wire_element_name(desk->element), n_max);
        wire_floats_unpack(desk->element, data, n / n_each, out + at);
        at += n / n_each;
    }
    if (at != n_floats)
        return rt_fail(err, RT_INVALID, "gradient: found %zu bytes in %zu frames, expected %zu",
                       at * n_each, in->n_frames, n_floats * n_each);
    return RT_OK;
}

/* A gradient that lies in the student's memory. False: it has to come in frames. */
static bool read_shared(student_desk *desk, const net_incoming *in, size_t n_floats, float *out)
{
    rt_error why = {0};
    const wire_push *push = &in->message.push;
    size_t n_bytes = n_floats * wire_element_bytes(desk->element);
    bool packed = desk->element != WIRE_ELEMENT_F32;
    if (!desk->shares || push->shared.n_bytes != n_bytes) return false;
    if (packed && desk->n_scratch < n_bytes) {
        free(desk->scratch);
        desk->scratch = rt_calloc(n_bytes, 1);
        desk->n_scratch = desk->scratch == NULL ? 0 : n_bytes;
        if (desk->scratch == NULL) return false;
    }
    if (shared_block_read(&push->shared, packed ? (void *)desk->scratch : out, &why) != RT_OK) {
        rt_log_info("server.not_shared", "sender=%s why=\"%s\"", in->message.sender, why.text);
        return false;
    }
    if (packed) wire_floats_unpack(desk->element, desk->scratch, n_floats, out);
    desk->n_shared++;
    return true;
}

static rt_status take_gradient(student_desk *desk, const net_incoming *in, wire_push_status *status,
                               rt_error *err)
{
    const wire_push *push = &in->message.push;
    rt_status st = check_element(desk, in, push->element, err);
    slice_rows rows;
    if (st == RT_OK) st = shard_state_check(desk->state, push, &rows, status, err);
    if (st != RT_OK || *status != PUSH_ACCEPTED) return st;
    float *buffer = shard_state_take_buffer(desk->state);
    if (buffer == NULL)
        return rt_fail(err, RT_NOMEM, "a gradient of %" PRIu64 " floats", push->n_floats);
    size_t n_floats = slice_rows_packed(&rows);
    if (push->shared.n_bytes == 0)
        st = copy_frames(desk, in, n_floats, buffer, err);
    else if (!read_shared(desk, in, n_floats, buffer))
        *status = PUSH_SEND_FRAMES;
    if (st == RT_OK && *status != PUSH_SEND_FRAMES)
        st = shard_state_push(desk->state, push, &buffer, status, err);
    shard_state_give_back(desk->state, buffer);
    return st;
}

static void handle_push(student_desk *desk, const net_incoming *in)
{
    rt_error err = {0};
    double start_s = rt_clock_mono_s();
    wire_push_status status = PUSH_STALE;
    if (take_gradient(desk, in, &status, &err) != RT_OK) {
        refuse(desk, in, &err);
        return;
    }
    if (status == PUSH_ACCEPTED) fault_point("server.gathering");
    desk->n_accepted += status == PUSH_ACCEPTED;
    desk->n_duplicates += status == PUSH_DUPLICATE;
    desk->n_stale += status == PUSH_STALE;
    wire_message m = {.type = WIRE_PUSHED,
                      .pushed = {.status = status,
                                 .version = shard_state_version(desk->state),
                                 .took_us = (uint64_t)((rt_clock_mono_s() - start_s) * 1e6)}};
    send_answer(desk, &in->peer, in->message.message_id, &m, NULL, 0);
}

void student_desk_handle(student_desk *desk, const net_incoming *in, uint64_t now_ms)
{
    rt_error err = {0};
    switch (in->message.type) {
    case WIRE_PULL: handle_pull(desk, in, now_ms); return;
    case WIRE_PUSH: handle_push(desk, in); return;
    default:
        rt_fail(&err, RT_UNSUPPORTED, "a shard answers pull and push, found %s",
                wire_type_name(in->message.type));
        refuse(desk, in, &err);
    }
}
