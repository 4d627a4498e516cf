/* A shard's desk over a real socket: what is in the frames that a student gets and gives. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "toy_shards.h"
#include "worker/param_server/serve_students.h"

#define LONG_MS 10000 /* for what must come */

typedef struct office {
    toy_cluster *cluster;
    parked_pulls parked;
    student_desk desk;
    net_client *student;
} office;

static office *office_open(wire_element element)
{
    static const net_identity server = {"run-1", "server-0", 1},
                              student = {"run-1", "student-0", 7};
    office *o = calloc(1, sizeof *o);
    rt_error err = {0};
    o->cluster = toy_cluster_new(1);
    o->desk.state = o->cluster->shards[0];
    o->desk.parked = &o->parked;
    o->desk.element = element;
    cr_assert_eq(net_server_open(&server, "tcp://127.0.0.1:*", NULL, &o->desk.net, &err), RT_OK,
                 "%s", err.text);
    cr_assert_eq(
        net_client_open(&student, net_server_endpoint(o->desk.net), NULL, &o->student, &err), RT_OK,
        "%s", err.text);
    return o;
}

static void office_close(office *o)
{
    net_client_close(o->student);
    free(o->desk.scratch);
    net_server_close(o->desk.net);
    toy_cluster_free(o->cluster);
    free(o);
}

/* The student asks, the desk handles it at now_ms. */
static void ask(office *o, wire_message m, const net_frame *frames, size_t n_frames,
                uint64_t now_ms)
{
    rt_error err = {0};
    net_incoming in = {0};
    uint64_t id = 0;
    cr_assert_eq(net_client_send(o->student, &m, frames, n_frames, &id, &err), RT_OK, "%s",
                 err.text);
    cr_assert_eq(net_server_receive(o->desk.net, LONG_MS, &in, &err), RT_OK, "%s", err.text);
    student_desk_handle(&o->desk, &in, now_ms);
    net_incoming_free(&in);
}

static net_incoming hear(office *o)
{
    rt_error err = {0};
    net_incoming in = {0};
    cr_assert_eq(net_client_receive(o->student, LONG_MS, &in, &err), RT_OK, "%s", err.text);
    return in;
}

static wire_message pull_of(uint64_t version, wire_element element)
{
    return (wire_message){.type = WIRE_PULL, .pull = {.version = version, .element = element}};
}

static wire_message push_of(const office *o, uint32_t index, uint32_t n, wire_element element)
{
    wire_message m = {.type = WIRE_PUSH, .push = toy_push_header(0, index, n)};
    m.push.n_floats = o->cluster->table.n_total;
    m.push.element = element;
    return m;
}

static void expect_refused(office *o, const char *part)
{
    net_incoming in = hear(o);
    cr_assert_eq(in.message.type, WIRE_REFUSED);
    cr_expect(strstr(in.message.refused.text, part) != NULL, "'%s' lacks '%s'",
              in.message.refused.text, part);
    net_incoming_free(&in);
}

/* What a pull brings equals the master weights, rounded; before and after a step. */
static void expect_pulled(office *o, uint64_t version, wire_element element)
{
    const shard_weights *w = shard_state_model(o->desk.state)->weights;
    uint16_t *half = calloc(w->n_floats, sizeof *half);
    size_t n = 0;
    ask(o, pull_of(version, element), NULL, 0, 0);
    net_incoming in = hear(o);
    cr_assert_eq(in.message.type, WIRE_PULLED);
    cr_expect_eq(in.message.pulled.element, element);
    cr_expect_eq(in.message.pulled.n_floats, w->n_floats);
    cr_assert_eq(in.n_frames, 1);
    const void *data = net_frame_data(&in, 0, &n);
    cr_assert_eq(n, w->n_floats * wire_element_bytes(element));
    wire_floats_pack(WIRE_ELEMENT_BF16, w->floats, w->n_floats, half);
    cr_expect(memcmp(data, element == WIRE_ELEMENT_BF16 ? (const void *)half : w->floats, n) == 0);
    net_incoming_free(&in);
    free(half);
}

Test(serve_students, parameters_leave_in_the_format_of_the_run_at_every_version)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        office *o = office_open((wire_element)e);
        expect_pulled(o, 0, (wire_element)e);
        toy_step(o->cluster, 3, NULL);
        expect_pulled(o, 1, (wire_element)e);
        toy_step(o->cluster, 3, NULL);
        expect_pulled(o, 2, (wire_element)e);
        office_close(o);
    }
}

Test(serve_students, a_gradient_of_bf16_counts_as_its_rounded_floats)
{
    office *o = office_open(WIRE_ELEMENT_BF16);
    size_t n = o->cluster->table.n_total;
    uint16_t *half = calloc(n, sizeof *half);
    float *rounded = calloc(n, sizeof *rounded);
    toy_gradient(o->cluster, 0, 0);
    wire_floats_pack(WIRE_ELEMENT_BF16, o->cluster->grad, n, half);
    wire_floats_unpack(WIRE_ELEMENT_BF16, half, n, rounded);
    net_frame frames[] = {{.data = half, .n_bytes = n / 2 * 2},
                          {.data = (char *)half + n / 2 * 2, .n_bytes = 2 * n - n / 2 * 2}};
    ask(o, push_of(o, 0, 1, WIRE_ELEMENT_BF16), frames, 2, 0);
    net_incoming in = hear(o);
    cr_assert_eq(in.message.type, WIRE_PUSHED);
    cr_expect_eq(in.message.pushed.status, PUSH_ACCEPTED);
    cr_expect(shard_state_is_gathered(o->desk.state));
    const shard_model *model = shard_state_model(o->desk.state);
    wire_server_report r;
    shard_state_report(o->desk.state, &r);
    for (size_t i = 0; i < r.n_params; i++) {
        const param *p = &model->table.params[r.param_index[i]];
        cr_expect_eq(r.sum_squares[i], grad_sum_squares(rounded + model->slice.offsets[i], p->n),
                     "%s", p->name);
    }
    net_incoming_free(&in);
    office_close(o);
    free(half);
    free(rounded);
}

Test(serve_students, another_format_is_refused_with_both_names)
{
    office *o = office_open(WIRE_ELEMENT_BF16);
    size_t n = o->cluster->table.n_total;
    net_frame frame = {.data = o->cluster->grad, .n_bytes = n * sizeof(float)};
    ask(o, pull_of(0, WIRE_ELEMENT_F32), NULL, 0, 0);
    expect_refused(o, "net.wire: found f32 in a pull of student-0, expected bf16");
    ask(o, push_of(o, 0, 1, WIRE_ELEMENT_F32), &frame, 1, 0);
    expect_refused(o, "net.wire: found f32 in a push of student-0, expected bf16");
    office_close(o);
    o = office_open(WIRE_ELEMENT_F32);
    ask(o, pull_of(0, WIRE_ELEMENT_BF16), NULL, 0, 0);
    expect_refused(o, "net.wire: found bf16 in a pull of student-0, expected f32");
    office_close(o);
}

Test(serve_students, frames_that_hold_no_whole_numbers_or_too_many_are_refused)
{
    office *o = office_open(WIRE_ELEMENT_BF16);
    size_t n = 2 * o->cluster->table.n_total;
    char *bytes = calloc(n + 2, 1);
    wire_message m = push_of(o, 0, 1, WIRE_ELEMENT_BF16);
    net_frame odd[] = {{.data = bytes, .n_bytes = 3}, {.data = bytes, .n_bytes = n - 3}};
    ask(o, m, odd, 2, 0);
    expect_refused(o, "expected whole bf16 numbers");
    net_frame more = {.data = bytes, .n_bytes = n + 2}, less = {.data = bytes, .n_bytes = n - 2};
    ask(o, m, &more, 1, 0);
    expect_refused(o, "gradient frame 0 of 1");
    ask(o, m, &less, 1, 0);
    expect_refused(o, "bytes in 1 frames");
    cr_expect_not(shard_state_is_gathered(o->desk.state));
    office_close(o);
    free(bytes);
}

Test(serve_students, a_parked_pull_tells_how_long_it_waited_for_the_version)
{
    office *o = office_open(WIRE_ELEMENT_F32);
    ask(o, pull_of(1, WIRE_ELEMENT_F32), NULL, 0, 1000);
    toy_step(o->cluster, 3, NULL);
    student_desk_answer_parked(&o->desk, 1042);
    net_incoming in = hear(o);
    cr_assert_eq(in.message.type, WIRE_PULLED);
    cr_expect_eq(in.message.pulled.status, PULL_OK);
    cr_expect_eq(in.message.pulled.waited_ms, 42);
    net_incoming_free(&in);
    office_close(o);
}

static wire_pulled pull_shared(office *o, uint64_t version, wire_element element)
{
    wire_message m = pull_of(version, element);
    m.pull.shares = true;
    ask(o, m, NULL, 0, 0);
    net_incoming in = hear(o);
    wire_pulled pulled = in.message.pulled;
    cr_assert_eq(in.message.type, WIRE_PULLED);
    cr_assert_eq(pulled.status, PULL_OK);
    cr_expect_eq(in.n_frames == 0, pulled.shared.n_bytes != 0);
    net_incoming_free(&in);
    return pulled;
}

static void share_weights(office *o)
{
    o->desk.shares = true;
    shard_weights_share(shard_state_model(o->desk.state)->weights);
}

/* The same bits as in frames, at every version; what is read late is noticed. */
Test(serve_students, parameters_in_shared_memory_are_those_of_the_frames)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        office *o = office_open((wire_element)e);
        wire_pulled old = {0};
        share_weights(o);
        for (uint64_t version = 0; version < 3; version++) {
            size_t n = 0, n_bytes = o->cluster->table.n_total * wire_element_bytes((wire_element)e);
            char *read = calloc(n_bytes, 1);
            rt_error err = {0};
            wire_pulled pulled = pull_shared(o, version, (wire_element)e);
            cr_assert_eq(pulled.shared.n_bytes, n_bytes);
            cr_assert_eq(shared_block_read(&pulled.shared, read, &err), RT_OK, "%s", err.text);
            if (version > 0) cr_expect_eq(shared_block_read(&old.shared, read, NULL), RT_CORRUPT);
            cr_assert_eq(shared_block_read(&pulled.shared, read, &err), RT_OK, "%s", err.text);
            ask(o, pull_of(version, (wire_element)e), NULL, 0, 0);
            net_incoming in = hear(o);
            cr_assert_eq(in.n_frames, 1);
            const void *sent = net_frame_data(&in, 0, &n);
            cr_assert_eq(n, n_bytes);
            cr_expect(memcmp(sent, read, n) == 0, "version %d", (int)version);
            net_incoming_free(&in);
            free(read);
            old = pulled;
            toy_step(o->cluster, 3, NULL);
        }
        cr_expect_eq(o->desk.n_pulls_shared, 3);
        office_close(o);
    }
}

Test(serve_students, a_student_that_cannot_share_gets_frames)
{
    office *o = office_open(WIRE_ELEMENT_F32);
    expect_pulled(o, 0, WIRE_ELEMENT_F32);
    cr_expect_eq(pull_shared(o, 0, WIRE_ELEMENT_F32).shared.n_bytes, 0, "the setting is off");
    o->desk.shares = true;
    cr_expect_eq(pull_shared(o, 0, WIRE_ELEMENT_F32).shared.n_bytes, 0, "not in such memory");
    share_weights(o);
    cr_expect_neq(pull_shared(o, 0, WIRE_ELEMENT_F32).shared.n_bytes, 0);
    expect_pulled(o, 0, WIRE_ELEMENT_F32);
    office_close(o);
}

/* A push of the toy's gradient that lies in a block; *b stays the caller's. */
static wire_message shared_push(office *o, wire_element element, shared_block **b)
{
    size_t n = o->cluster->table.n_total, n_bytes = n * wire_element_bytes(element);
    wire_message m = push_of(o, 0, 1, element);
    toy_gradient(o->cluster, 0, 0);
    cr_assert_eq(shared_block_new(n_bytes, b, NULL), RT_OK);
    wire_floats_pack(element, o->cluster->grad, n, shared_block_bytes(*b));
    m.push.shared = shared_block_refer(*b, 0, n_bytes);
    return m;
}

static wire_push_status push_answer(office *o)
{
    net_incoming in = hear(o);
    cr_assert_eq(in.message.type, WIRE_PUSHED);
    wire_push_status status = in.message.pushed.status;
    net_incoming_free(&in);
    return status;
}

Test(serve_students, a_gradient_in_shared_memory_counts_as_one_in_frames)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        office *shared = office_open((wire_element)e), *framed = office_open((wire_element)e);
        wire_server_report a, b;
        shared_block *block = NULL;
        shared->desk.shares = true;
        wire_message m = shared_push(shared, (wire_element)e, &block);
        ask(shared, m, NULL, 0, 0);
        cr_expect_eq(push_answer(shared), PUSH_ACCEPTED);
        net_frame frame = {.data = shared_block_bytes(block), .n_bytes = m.push.shared.n_bytes};
        ask(framed, push_of(framed, 0, 1, (wire_element)e), &frame, 1, 0);
        cr_expect_eq(push_answer(framed), PUSH_ACCEPTED);
        shard_state_report(shared->desk.state, &a);
        shard_state_report(framed->desk.state, &b);
        cr_assert_eq(a.n_params, b.n_params);
        cr_expect(memcmp(a.sum_squares, b.sum_squares, a.n_params * sizeof *a.sum_squares) == 0);
        cr_expect_eq(shared->desk.n_shared, 1);
        cr_expect_eq(framed->desk.n_shared, 0);
        shared_block_free(block);
        office_close(shared);
        office_close(framed);
    }
}

Test(serve_students, what_is_shared_and_cannot_be_read_is_asked_for_in_frames)
{
    office *o = office_open(WIRE_ELEMENT_BF16);
    shared_block *block = NULL;
    wire_message m = shared_push(o, WIRE_ELEMENT_BF16, &block), other = m;
    ask(o, m, NULL, 0, 0);
    cr_expect_eq(push_answer(o), PUSH_SEND_FRAMES, "net.shared_memory is off");
    o->desk.shares = true;
    other.push.shared.host++;
    ask(o, other, NULL, 0, 0);
    cr_expect_eq(push_answer(o), PUSH_SEND_FRAMES, "another machine");
    other = m;
    other.push.shared.n_bytes -= 2;
    ask(o, other, NULL, 0, 0);
    cr_expect_eq(push_answer(o), PUSH_SEND_FRAMES, "another size");
    ((char *)shared_block_bytes(block))[7] ^= 1;
    ask(o, m, NULL, 0, 0);
    cr_expect_eq(push_answer(o), PUSH_SEND_FRAMES, "the student went on");
    cr_expect_not(shard_state_is_gathered(o->desk.state));
    net_frame frame = {.data = shared_block_bytes(block), .n_bytes = m.push.shared.n_bytes};
    ask(o, push_of(o, 0, 1, WIRE_ELEMENT_BF16), &frame, 1, 0);
    cr_expect_eq(push_answer(o), PUSH_ACCEPTED);
    shared_block_free(block);
    office_close(o);
}
