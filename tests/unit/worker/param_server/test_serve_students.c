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

static office *office_of(toy_cluster *cluster, wire_element element)
{
    static const net_identity server = {"run-1", "server-0", 1},
                              student = {"run-1", "student-0", 7};
    office *o = calloc(1, sizeof *o);
    rt_error err = {0};
    o->cluster = cluster;
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

static office *office_open(wire_element element)
{
    return office_of(toy_cluster_new(1), element);
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

/* The same bits as in frames, at every version. What is read late is noticed, or still what it was: the
 * shard goes on in another place while frames of the old version are under way. */
Test(serve_students, parameters_in_shared_memory_are_those_of_the_frames)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        office *o = office_open((wire_element)e);
        wire_pulled old = {0};
        size_t n_bytes = o->cluster->table.n_total * wire_element_bytes((wire_element)e);
        char *read = calloc(n_bytes, 1), *before = calloc(n_bytes, 1);
        share_weights(o);
        for (uint64_t version = 0; version < 3; version++) {
            size_t n = 0;
            rt_error err = {0};
            wire_pulled pulled = pull_shared(o, version, (wire_element)e);
            cr_assert_eq(pulled.shared.n_bytes, n_bytes);
            if (version > 0 && shared_block_read(&old.shared, read, NULL) == RT_OK)
                cr_expect(memcmp(read, before, n_bytes) == 0);
            cr_assert_eq(shared_block_read(&pulled.shared, read, &err), RT_OK, "%s", err.text);
            ask(o, pull_of(version, (wire_element)e), NULL, 0, 0);
            net_incoming in = hear(o);
            cr_assert_eq(in.n_frames, 1);
            const void *sent = net_frame_data(&in, 0, &n);
            cr_assert_eq(n, n_bytes);
            cr_expect(memcmp(sent, read, n) == 0, "version %d", (int)version);
            net_incoming_free(&in);
            memcpy(before, read, n_bytes);
            old = pulled;
            toy_step(o->cluster, 3, NULL);
        }
        cr_expect_eq(o->desk.n_pulls_shared, 3);
        free(read);
        free(before);
        office_close(o);
    }
}

Test(serve_students, a_version_that_is_read_too_late_is_noticed)
{
    office *o = office_open(WIRE_ELEMENT_F32);
    float *read = calloc(o->cluster->table.n_total, sizeof *read);
    share_weights(o);
    wire_pulled old = pull_shared(o, 0, WIRE_ELEMENT_F32);
    toy_step(o->cluster, 3, NULL);
    cr_expect_eq(shared_block_read(&old.shared, read, NULL), RT_CORRUPT);
    wire_pulled now = pull_shared(o, 1, WIRE_ELEMENT_F32);
    cr_expect_eq(shared_block_read(&now.shared, read, NULL), RT_OK);
    cr_expect_eq(shared_block_read(&old.shared, read, NULL), RT_CORRUPT);
    free(read);
    office_close(o);
}

Test(serve_students, a_student_that_cannot_share_gets_frames)
{
    office *o = office_open(WIRE_ELEMENT_F32);
    expect_pulled(o, 0, WIRE_ELEMENT_F32);
    cr_expect_eq(pull_shared(o, 0, WIRE_ELEMENT_F32).shared.n_bytes, 0, "the setting is off");
    o->desk.shares = true;
    cr_expect_eq(pull_shared(o, 0, WIRE_ELEMENT_F32).shared.n_bytes, 0, "not in such memory");
    office_close(o);
    o = office_open(WIRE_ELEMENT_F32);
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

/* ---- rows ---- */

#define N_ROWS 5

/* The gradient of (step, index) with an embedding of which only these rows are not 0; some of what is
 * there is -0. Into the cluster's grad. */
static void gradient_in_rows(office *o, uint64_t step, uint32_t index, uint32_t ids[N_ROWS])
{
    toy_cluster *t = o->cluster;
    const param *embed = &t->table.params[0];
    size_t n_cols = embed->shape[1];
    toy_gradient(t, step, index);
    for (uint32_t k = 0; k < N_ROWS; k++) ids[k] = k * 7 + (index * 2 + (uint32_t)step) % 3;
    for (size_t row = 0, k = 0; row < embed->shape[0]; row++) {
        bool named = k < N_ROWS && ids[k] == row;
        k += named;
        for (size_t j = 0; j < n_cols; j++)
            if (!named)
                t->grad[row * n_cols + j] = 0;
            else if (j < 4)
                t->grad[row * n_cols + j] = -0.0f;
    }
}

/* Push it whole or as rows, in frames or out of a block. */
static void push_gradient(office *o, uint64_t step, uint32_t index, bool in_rows,
                          shared_block *block)
{
    uint32_t ids[N_ROWS];
    const shard_model *model = shard_state_model(o->desk.state);
    size_t n_each = wire_element_bytes(o->desk.element);
    float *floats = calloc(model->slice.n_floats, sizeof *floats);
    char *bytes = calloc(model->slice.n_floats, n_each);
    gradient_in_rows(o, step, index, ids);
    wire_message m = push_of(o, index, 4, o->desk.element);
    m.push.step = step;
    if (in_rows) m.push.rows = (wire_rows){.param = 0, .ids = ids, .n = N_ROWS, .present = true};
    slice_rows part;
    cr_assert_eq(slice_rows_of(&model->slice, &model->table, &m.push.rows, &part, NULL), RT_OK);
    size_t n = slice_rows_packed(&part);
    slice_rows_gather(&part, &model->slice, &model->table, o->cluster->grad, floats);
    wire_floats_pack(o->desk.element, floats, n, bytes);
    net_frame frame = {.data = bytes, .n_bytes = n * n_each};
    if (block != NULL) {
        memcpy(shared_block_bytes(block), bytes, n * n_each);
        m.push.shared = shared_block_refer(block, 0, n * n_each);
    }
    ask(o, m, &frame, block == NULL ? 1 : 0, 0);
    cr_expect_eq(push_answer(o), PUSH_ACCEPTED);
    free(floats);
    free(bytes);
}

/* Weights and moments after some steps, [3 * n_total]. */
static float *train_in(wire_element element, bool in_rows, bool shared, size_t *n_bytes)
{
    static const uint32_t order[] = {3, 1, 0, 2};
    office *o = office_of(toy_cluster_new_untied(1), element);
    size_t n = o->cluster->table.n_total;
    float *all = calloc(3 * n, sizeof *all);
    shared_block *block = NULL;
    o->desk.shares = shared;
    if (shared) cr_assert_eq(shared_block_new(n * sizeof(float), &block, NULL), RT_OK);
    for (uint64_t step = 0; step < 4; step++) {
        for (size_t i = 0; i < RT_COUNT(order); i++)
            push_gradient(o, step, order[i], in_rows && (step != 2 || i != 1), block);
        toy_apply(o->cluster);
    }
    cr_expect_eq(o->desk.n_shared, shared ? 16 : 0);
    toy_collect(o->cluster, all, all + n, all + 2 * n);
    shared_block_free(block);
    office_close(o);
    *n_bytes = 3 * n * sizeof *all;
    return all;
}

Test(serve_students, gradients_in_rows_give_the_weights_of_whole_ones)
{
    for (int e = WIRE_ELEMENT_F32; e <= WIRE_ELEMENT_BF16; e++) {
        size_t n = 0;
        float *whole = train_in((wire_element)e, false, false, &n);
        float *rows = train_in((wire_element)e, true, false, &n);
        float *shared = train_in((wire_element)e, true, true, &n);
        cr_expect(memcmp(whole, rows, n) == 0, "format %d, in frames", e);
        cr_expect(memcmp(whole, shared, n) == 0, "format %d, in shared memory", e);
        free(whole);
        free(rows);
        free(shared);
    }
}

Test(serve_students, rows_that_cannot_be_are_refused)
{
    office *tied = office_open(WIRE_ELEMENT_F32);
    office *o = office_of(toy_cluster_new_untied(1), WIRE_ELEMENT_F32);
    uint32_t ids[] = {1, 37}; /* of 37 words */
    wire_message m = push_of(o, 0, 1, WIRE_ELEMENT_F32);
    net_frame frame = {.data = o->cluster->grad, .n_bytes = 64};
    m.push.rows = (wire_rows){.param = 0, .ids = ids, .n = 2, .present = true};
    ask(o, m, &frame, 1, 0);
    expect_refused(o, "expected below 37");
    m.push.rows.n = 1;
    m.push.rows.param = 4;
    ask(o, m, &frame, 1, 0);
    expect_refused(o, "it travels whole");
    m.push.rows.param = 0;
    ask(o, m, &frame, 1, 0); /* fewer bytes than one row and the rest */
    expect_refused(o, "gradient: found 64 bytes");
    m.push.n_floats = tied->cluster->table.n_total;
    ask(tied, m, &frame, 1, 0);
    expect_refused(tied, "it travels whole");
    cr_expect_not(shard_state_is_gathered(o->desk.state));
    office_close(o);
    office_close(tied);
}
