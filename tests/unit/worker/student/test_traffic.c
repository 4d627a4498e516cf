/* A student's traffic with one shard that the test plays: gradients on their way beside other things,
 * and parameters where a shard says that they are. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nn/model.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/worker/runtime/fake_coordinator.h"
#include "worker/student/pull.h"
#include "worker/student/push.h"

#define LONG_MS 10000 /* for what must come */
#define N_VOCAB 40

typedef struct stage {
    char *folder;
    config *config;
    fake_coordinator *coordinator;
    runtime *rt;
    net_server *shard;
    model *model;
    shard_links *links;
    weight_cache *cache;
    gradient_pusher *pusher;
    const param_table *table;
    float *grads; /* [n_total] */
    pthread_t puller;
    wire_pull_status pulled;
    rt_status pull_st;
} stage;

static void must(rt_status st, const rt_error *err)
{
    cr_assert_eq(st, RT_OK, "%s", err->text);
}

static config *config_at(const char *path)
{
    char text[1024];
    config *c = NULL;
    rt_error err = {0};
    int n = snprintf(text, sizeof text,
                     "name: t\ncorpus: {files: [x.jsonl]}\ntask: {answer: text}\n"
                     "teacher: {files: [x.jsonl], match_field: \"{input}\"}\n"
                     "net: {coordinator: \"ipc://%s\"}\n",
                     path);
    must(config_parse("test", text, (size_t)n, NULL, &c, &err), &err);
    return c;
}

static stage *stage_new(bool share)
{
    static const model_config shape = {.arch = MODEL_ARCH_LLAMA,
                                       .n_vocab = N_VOCAB,
                                       .d_model = 8,
                                       .n_layers = 1,
                                       .n_heads = 2,
                                       .n_kv_heads = 1,
                                       .d_head = 4,
                                       .d_ff = 12,
                                       .seq_len_max = 32,
                                       .rope_theta = 10000,
                                       .norm_eps = 1e-5f,
                                       .bos_id = 1,
                                       .eos_id = 2,
                                       .pad_id = 3};
    static const net_identity identity = {"t", "server-0", 1};
    char endpoint[600];
    bool changed = false;
    rt_error err = {0};
    stage *s = calloc(1, sizeof *s);
    s->folder = temp_folder_new();
    s->config = config_at(temp_folder_path(s->folder, "c"));
    snprintf(endpoint, sizeof endpoint, "ipc://%s", temp_folder_path(s->folder, "c"));
    s->coordinator = fake_coordinator_start(endpoint);
    fake_coordinator_set(s->coordinator, (fake_answer){.phase = PHASE_RUNNING});
    must(runtime_open(s->config, ROLE_STUDENT, "student-0", 0, "", &s->rt, &err), &err);
    must(net_server_open(&identity, "tcp://127.0.0.1:*", NULL, &s->shard, &err), &err);
    must(model_new(&shape, &s->model, &err), &err);
    s->table = model_table(s->model);
    s->grads = calloc(s->table->n_total, sizeof *s->grads);
    must(shard_links_new(s->rt, s->table, &s->links, &err), &err);
    char *servers[] = {(char *)(uintptr_t)net_server_endpoint(s->shard)};
    runtime_view view = {.n_servers = 1, .servers = servers};
    must(shard_links_update(s->links, &view, &changed, &err), &err);
    must(weight_cache_new(s->links, s->model, WIRE_ELEMENT_F32, share, &s->cache, &err), &err);
    must(gradient_pusher_new(s->links, s->table, WIRE_ELEMENT_F32, share, &s->pusher, &err), &err);
    return s;
}

static void stage_free(stage *s)
{
    gradient_pusher_free(s->pusher);
    weight_cache_free(s->cache);
    shard_links_free(s->links);
    model_free(s->model);
    net_server_close(s->shard);
    runtime_close(s->rt);
    fake_coordinator_stop(s->coordinator);
    config_free(s->config);
    temp_folder_free(s->folder);
    free(s->grads);
    free(s);
}

/* ---- the shard's side ---- */

static net_incoming hear(stage *s, wire_type type)
{
    net_incoming in = {0};
    rt_error err = {0};
    must(net_server_receive(s->shard, LONG_MS, &in, &err), &err);
    cr_assert_eq(in.message.type, type);
    return in;
}

static void answer(stage *s, net_incoming *to, wire_message m, const void *bytes, size_t n_bytes)
{
    rt_error err = {0};
    net_frame frame = {.data = bytes, .n_bytes = n_bytes};
    m.message_id = to->message.message_id;
    must(net_server_send(s->shard, &to->peer, &m, &frame, bytes == NULL ? 0 : 1, &err), &err);
    net_incoming_free(to);
}

static wire_message pulled(const stage *s, uint64_t version)
{
    return (wire_message){
        .type = WIRE_PULLED,
        .pulled = {.status = PULL_OK, .version = version, .n_floats = s->table->n_total}};
}

static wire_message pushed(wire_push_status status)
{
    return (wire_message){.type = WIRE_PUSHED, .pushed = {.status = status, .took_us = 1234}};
}

/* ---- the student's side ---- */

static void *pull_one(void *context)
{
    stage *s = context;
    rt_error err = {0};
    s->pull_st = weight_cache_pull(s->cache, 7, (pull_terms){0}, LONG_MS, &s->pulled, &err);
    return NULL;
}

static void begin_pull(stage *s)
{
    cr_assert_eq(pthread_create(&s->puller, NULL, pull_one, s), 0);
}

static void expect_pulled(stage *s, const float *floats)
{
    pthread_join(s->puller, NULL);
    cr_assert_eq(s->pull_st, RT_OK);
    cr_expect_eq(s->pulled, PULL_OK);
    cr_expect(memcmp(model_weights(s->model), floats, s->table->n_total * sizeof *floats) == 0);
}

/* A gradient of `value`, of which the embedding has these rows. */
static void begin_push(stage *s, float value, uint32_t *ids, size_t n)
{
    rt_error err = {0};
    wire_sums sums = {0};
    micro_batch b = {.step = 7, .index = 1, .n_micro_batches = 4};
    grad_rows rows = {.i_param = 0, .ids = ids, .n = n};
    for (size_t i = 0; i < s->table->n_total; i++) s->grads[i] = value;
    must(gradient_pusher_begin(s->pusher, &b, &sums, s->grads, ids == NULL ? NULL : &rows, LONG_MS,
                               &err),
         &err);
    for (size_t i = 0; i < s->table->n_total; i++) s->grads[i] = -1; /* the student goes on */
    for (size_t i = 0; i < n; i++) ids[i] = N_VOCAB - 1;
}

static bool all_are(const float *floats, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        if (floats[i] != value) return false;
    return true;
}

static push_told end_push(stage *s)
{
    rt_error err = {0};
    push_told told = {0};
    bool over = false;
    must(gradient_pusher_end(s->pusher, true, &over, &told, &err), &err);
    cr_expect(over);
    return told;
}

/* ---- gradients beside other things ---- */

Test(traffic, a_version_comes_while_a_gradient_is_on_its_way)
{
    stage *s = stage_new(true);
    size_t n = s->table->n_total;
    float *weights = calloc(n, sizeof *weights), *read = calloc(n, sizeof *read);
    bool over = true;
    push_told told = {0};
    for (size_t i = 0; i < n; i++) weights[i] = (float)i;
    begin_push(s, 3, NULL, 0);
    net_incoming push = hear(s, WIRE_PUSH);
    cr_assert_eq(gradient_pusher_end(s->pusher, false, &over, &told, NULL), RT_OK);
    cr_expect_not(over, "the shard has not answered");
    begin_pull(s);
    net_incoming pull = hear(s, WIRE_PULL);
    answer(s, &pull, pulled(s, 7), weights, n * sizeof *weights);
    expect_pulled(s, weights);
    cr_assert_eq(shared_block_read(&push.message.push.shared, read, NULL), RT_OK);
    cr_expect(all_are(read, n, 3), "it is the gradient of then");
    answer(s, &push, pushed(PUSH_ACCEPTED), NULL, 0);
    told = end_push(s);
    cr_expect_eq(told.status, PUSH_ACCEPTED);
    cr_expect_eq(told.took_us, 1234);
    free(weights);
    free(read);
    stage_free(s);
}

/* Answers to both are heard by whoever waits. */
Test(traffic, a_gradient_is_answered_while_a_version_is_waited_for)
{
    stage *s = stage_new(true);
    size_t n = s->table->n_total;
    float *weights = calloc(n, sizeof *weights);
    bool over = false;
    push_told told = {0};
    begin_push(s, 3, NULL, 0);
    net_incoming push = hear(s, WIRE_PUSH);
    begin_pull(s);
    net_incoming pull = hear(s, WIRE_PULL);
    answer(s, &push, pushed(PUSH_STALE), NULL, 0);
    answer(s, &pull, pulled(s, 7), weights, n * sizeof *weights);
    expect_pulled(s, weights);
    cr_assert_eq(gradient_pusher_end(s->pusher, false, &over, &told, NULL), RT_OK);
    cr_expect(over);
    cr_expect_eq(told.status, PUSH_STALE);
    free(weights);
    stage_free(s);
}

Test(traffic, a_refused_gradient_is_told_to_who_pushed_it)
{
    stage *s = stage_new(true);
    size_t n = s->table->n_total;
    float *weights = calloc(n, sizeof *weights);
    bool over = false;
    push_told told = {0};
    rt_error err = {0};
    wire_message no = {.type = WIRE_REFUSED,
                       .refused = {.status = "invalid", .text = "not finite"}};
    begin_push(s, 3, NULL, 0);
    net_incoming push = hear(s, WIRE_PUSH);
    begin_pull(s);
    net_incoming pull = hear(s, WIRE_PULL);
    answer(s, &push, no, NULL, 0);
    answer(s, &pull, pulled(s, 7), weights, n * sizeof *weights);
    expect_pulled(s, weights);
    cr_expect_eq(gradient_pusher_end(s->pusher, false, &over, &told, &err), RT_REFUSED);
    cr_expect(strstr(err.text, "not finite") != NULL, "%s", err.text);
    begin_push(s, 4, NULL, 0); /* none is under way any more */
    push = hear(s, WIRE_PUSH);
    answer(s, &push, pushed(PUSH_ACCEPTED), NULL, 0);
    cr_expect_eq(end_push(s).status, PUSH_ACCEPTED);
    free(weights);
    stage_free(s);
}

Test(traffic, frames_asked_for_late_are_of_the_gradient_that_was_pushed)
{
    stage *s = stage_new(true);
    uint32_t ids[] = {2, 5, 11};
    size_t n_bytes = 0, n = s->table->n_total - (N_VOCAB - RT_COUNT(ids)) * 8;
    bool over = true;
    push_told told = {0};
    begin_push(s, 3, ids, RT_COUNT(ids));
    net_incoming push = hear(s, WIRE_PUSH);
    cr_expect_eq(push.n_frames, 0);
    cr_expect_eq(push.message.push.shared.n_bytes, n * sizeof(float));
    answer(s, &push, pushed(PUSH_SEND_FRAMES), NULL, 0);
    while (!net_server_ready(s->shard))
        cr_assert_eq(gradient_pusher_end(s->pusher, false, &over, &told, NULL), RT_OK);
    cr_expect_not(over);
    push = hear(s, WIRE_PUSH);
    const wire_rows *rows = &push.message.push.rows;
    cr_assert(rows->present && rows->n == RT_COUNT(ids));
    cr_expect(rows->ids[0] == 2 && rows->ids[1] == 5 && rows->ids[2] == 11);
    cr_assert_eq(push.n_frames, 1);
    const float *floats = net_frame_data(&push, 0, &n_bytes);
    cr_assert_eq(n_bytes, n * sizeof *floats);
    cr_expect(all_are(floats, n, 3));
    answer(s, &push, pushed(PUSH_ACCEPTED), NULL, 0);
    cr_expect_eq(end_push(s).status, PUSH_ACCEPTED);
    stage_free(s);
}

Test(traffic, an_embedding_of_which_most_rows_are_touched_travels_whole)
{
    stage *s = stage_new(true);
    uint32_t ids[N_VOCAB];
    for (uint32_t i = 0; i < N_VOCAB; i++) ids[i] = i;
    begin_push(s, 3, ids, N_VOCAB / 2 + 1);
    net_incoming push = hear(s, WIRE_PUSH);
    cr_expect_not(push.message.push.rows.present);
    cr_expect_eq(push.message.push.shared.n_bytes, s->table->n_total * sizeof(float));
    answer(s, &push, pushed(PUSH_AHEAD), NULL, 0);
    cr_expect_eq(end_push(s).status, PUSH_AHEAD);
    stage_free(s);
}

/* ---- parameters where a shard says that they are ---- */

/* What cannot be right, or is not there: each is answered by a question for frames. */
Test(traffic, parameters_that_cannot_be_read_are_asked_for_in_frames)
{
    stage *s = stage_new(true);
    size_t n = s->table->n_total, n_bytes = n * sizeof(float);
    float *weights = calloc(n, sizeof *weights);
    shared_block *block = NULL;
    cr_assert_eq(shared_block_new(n_bytes, &block, NULL), RT_OK);
    for (size_t i = 0; i < n; i++) weights[i] = (float)i * 0.5f;
    for (int i = 0; i < 9; i++) {
        shared_block_ref ref = shared_block_refer(block, 0, n_bytes);
        if (i == 0) ref.n_bytes = UINT64_MAX;
        if (i == 1) ref.n_bytes -= 4;
        if (i == 2) ref.offset = UINT64_MAX - 3;
        if (i == 3) ref.offset = 4;
        if (i == 4) ref.checksum++;
        if (i == 5) ref.host++;
        if (i == 6) ref.pid = UINT64_MAX;
        if (i == 7) ref.fd = 0;
        if (i == 8) ref.token++;
        weight_cache_forget(s->cache);
        memset(model_weights(s->model), 0, n_bytes);
        begin_pull(s);
        net_incoming pull = hear(s, WIRE_PULL);
        cr_expect(pull.message.pull.shares, "case %d", i);
        wire_message m = pulled(s, 7);
        m.pulled.shared = ref;
        answer(s, &pull, m, NULL, 0);
        pull = hear(s, WIRE_PULL);
        cr_expect_not(pull.message.pull.shares, "case %d", i);
        answer(s, &pull, pulled(s, 7), weights, n_bytes);
        expect_pulled(s, weights);
    }
    cr_expect_eq(weight_cache_n_shared(s->cache), 0);
    free(weights);
    shared_block_free(block);
    stage_free(s);
}

Test(traffic, a_shard_that_insists_on_its_memory_is_not_believed)
{
    stage *s = stage_new(true);
    begin_pull(s);
    for (int i = 0; i < 2; i++) {
        net_incoming pull = hear(s, WIRE_PULL);
        wire_message m = pulled(s, 7);
        m.pulled.shared = (shared_block_ref){.pid = 1, .fd = 0, .n_bytes = 1u << 20};
        answer(s, &pull, m, NULL, 0);
    }
    pthread_join(s->puller, NULL);
    cr_expect_eq(s->pull_st, RT_CORRUPT);
    stage_free(s);
}

Test(traffic, parameters_come_out_of_a_shards_memory)
{
    stage *s = stage_new(true);
    size_t n_bytes = s->table->n_total * sizeof(float);
    shared_block *block = NULL;
    cr_assert_eq(shared_block_new(n_bytes, &block, NULL), RT_OK);
    float *weights = shared_block_bytes(block);
    for (size_t i = 0; i < s->table->n_total; i++) weights[i] = (float)i * 0.25f;
    begin_pull(s);
    net_incoming pull = hear(s, WIRE_PULL);
    wire_message m = pulled(s, 7);
    m.pulled.shared = shared_block_refer(block, 0, n_bytes);
    answer(s, &pull, m, NULL, 0);
    expect_pulled(s, weights);
    cr_expect_eq(weight_cache_n_shared(s->cache), 1);
    shared_block_free(block);
    stage_free(s);
}

Test(traffic, nothing_is_shared_where_it_is_turned_off)
{
    stage *s = stage_new(false);
    float *weights = calloc(s->table->n_total, sizeof *weights);
    begin_push(s, 3, NULL, 0);
    net_incoming push = hear(s, WIRE_PUSH);
    cr_expect_eq(push.message.push.shared.n_bytes, 0);
    cr_expect_eq(push.n_frames, 1);
    answer(s, &push, pushed(PUSH_ACCEPTED), NULL, 0);
    begin_pull(s);
    net_incoming pull = hear(s, WIRE_PULL);
    cr_expect_not(pull.message.pull.shares);
    answer(s, &pull, pulled(s, 7), weights, s->table->n_total * sizeof *weights);
    expect_pulled(s, weights);
    cr_expect_eq(end_push(s).status, PUSH_ACCEPTED);
    free(weights);
    stage_free(s);
}
