#include "tests/integration/toy_coordinator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/ckpt/manifest.h"
#include "common/wire/seal.h"

#define SHARDS_MAX   4
#define PARAMS_MAX   256
#define EVAL_BATCHES 2
#define SEQS         4

typedef struct toy_shard {
    bool known, has_params, gathered, has_saved;
    net_peer peer;
    char endpoint[128];
    uint64_t incarnation, generation, version;
    wire_sums sums;
    uint64_t staleness[WIRE_STALE_MAX];
    ckpt_file files[2];
} toy_shard;

struct toy_coordinator {
    net_server *net;
    queue *queue;
    queue_names names;
    char url[256];
    char partial[512];
    uint32_t n_shards, n_vocab;
    uint64_t n_steps, generation, version;
    uint64_t fed; /* micro-batches of steps below this are in the stream */
    bool evaluating;
    bool scored[EVAL_BATCHES];
    wire_sums scores;
    bool applying;
    uint64_t n_counted, staleness_max;
    double norm;
    double squares[PARAMS_MAX];
    size_t n_params;
    toy_shard shards[SHARDS_MAX];
    net_incoming beat; /* student-0's newest */
};

static void must(rt_status st, const rt_error *err)
{
    if (st == RT_OK) return;
    fprintf(stderr, "toy coordinator: %s\n", err->text);
    abort();
}

toy_coordinator *toy_coordinator_new(const char *run, const char *queue_url, uint32_t n_shards,
                                     uint64_t n_steps, uint32_t n_vocab, const char *checkpoints)
{
    rt_error err = {0};
    net_identity identity = {
        .run_id = run, .sender = "coordinator", .incarnation = rt_clock_wall_ms()};
    toy_coordinator *t = rt_calloc(1, sizeof *t);
    RT_ASSERT(t != NULL && n_shards <= SHARDS_MAX);
    snprintf(t->url, sizeof t->url, "%s", queue_url);
    queue_names_of(run, &t->names);
    t->n_shards = n_shards;
    t->n_steps = n_steps;
    t->n_vocab = n_vocab;
    t->generation = 1;
    must(net_server_open(&identity, "tcp://127.0.0.1:*", NULL, &t->net, &err), &err);
    must(queue_open_redis(queue_url, "", &t->queue, &err), &err);
    must(queue_drop(t->queue, t->names.batches, &err), &err);
    must(queue_ensure(t->queue, t->names.batches, NULL, &err), &err);
    must(ckpt_folder(checkpoints, n_steps, true, t->partial, sizeof t->partial, &err), &err);
    return t;
}

void toy_coordinator_free(toy_coordinator *t)
{
    net_incoming_free(&t->beat);
    net_server_close(t->net);
    queue_close(t->queue);
    free(t);
}

const char *toy_endpoint(const toy_coordinator *t)
{
    return net_server_endpoint(t->net);
}

/* ---- micro-batches ---- */

static void publish(toy_coordinator *t, micro_batch_kind kind, uint64_t step, uint32_t index,
                    uint32_t n)
{
    rt_error err = {0};
    rt_buf bytes = {0};
    uint32_t ids[SEQS * 32];
    micro_batch_seq seqs[SEQS];
    micro_batch b = {.kind = kind,
                     .step = step,
                     .index = index,
                     .n_micro_batches = n,
                     .seed = 3,
                     .task_weight = {0.5f, 0.5f},
                     .task_count = {SEQS * n / 2, SEQS * n / 2 * 8},
                     .ids = ids,
                     .seqs = seqs,
                     .n_seqs = SEQS};
    for (uint32_t i = 0; i < SEQS; i++) {
        rt_id id = {.high = step * 1000 + index, .low = i + 1};
        rng_key key = rng_key_make(3, kind == MICRO_BATCH_TRAIN ? "toy" : "eval", id, 0);
        uint32_t n_prompt = 4 + (uint32_t)rng_below(key, 0, 9), n_target = i % 2 == 0 ? 1 : 8;
        seqs[i] = (micro_batch_seq){.record_id = id,
                                    .task = i % 2 == 0 ? TASK_PREDICT : TASK_EXPLAIN,
                                    .weight = 1,
                                    .first = (uint32_t)b.n_ids,
                                    .n_prompt = n_prompt,
                                    .n_target = n_target};
        for (uint32_t j = 0; j < n_prompt + n_target; j++)
            ids[b.n_ids++] = (uint32_t)rng_below(key, j + 1, t->n_vocab);
    }
    must(wire_encode_micro_batch(&b, &bytes, &err), &err);
    must(wire_seal(&bytes, &err), &err); /* or the id 249 at the right place is taken for a seal */
    must(queue_add(t->queue, t->names.batches, bytes.data, bytes.n, 0, &err), &err);
    rt_buf_free(&bytes);
}

static void feed(toy_coordinator *t)
{
    uint64_t limit = RT_MIN(t->version + TOY_LOOKAHEAD, t->n_steps);
    for (; t->fed < limit; t->fed++)
        for (uint32_t i = 0; i < TOY_MICRO_BATCHES; i++)
            publish(t, MICRO_BATCH_TRAIN, t->fed, i, TOY_MICRO_BATCHES);
    if (t->version < t->n_steps || t->evaluating) return;
    for (uint32_t i = 0; i < EVAL_BATCHES; i++)
        publish(t, MICRO_BATCH_EVALUATE, t->n_steps, i, EVAL_BATCHES);
    t->evaluating = true;
}

/* ---- shards ---- */

static bool all_hold(const toy_coordinator *t, uint64_t version, bool gathered)
{
    for (uint32_t i = 0; i < t->n_shards; i++) {
        const toy_shard *s = &t->shards[i];
        if (!s->has_params || s->generation != t->generation || s->version != version ||
            (gathered && !s->gathered))
            return false;
    }
    return true;
}

static wire_server_order order_for(const toy_coordinator *t, const toy_shard *s)
{
    wire_server_order order = {.kind = ORDER_WAIT,
                               .generation = t->generation,
                               .version = t->version,
                               .grad_norm = t->norm,
                               .n_steps = t->n_steps,
                               .folder = "",
                               .n_shards = t->n_shards,
                               .n_vocab = t->n_vocab,
                               .bos_id = 1,
                               .eos_id = 2,
                               .pad_id = 3,
                               .limit = t->n_steps};
    if (!s->has_params || s->generation < t->generation)
        order.kind = ORDER_RESTORE;
    else if (t->applying && s->version == t->version)
        order.kind = ORDER_APPLY;
    else if (t->version == t->n_steps && !s->has_saved)
        order.kind = ORDER_SAVE;
    else if (toy_is_finished(t))
        order.kind = ORDER_STOP;
    if (order.kind == ORDER_SAVE) order.folder = (char *)t->partial;
    return order;
}

static void send(toy_coordinator *t, const net_peer *to, uint64_t id, wire_message *m)
{
    rt_error err = {0};
    m->message_id = id;
    must(net_server_send(t->net, to, m, NULL, 0, &err), &err);
}

static void send_orders(toy_coordinator *t)
{
    for (uint32_t i = 0; i < t->n_shards; i++) {
        wire_message m = {.type = WIRE_SERVER_ORDER, .server_order = order_for(t, &t->shards[i])};
        if (t->shards[i].peer.n > 0 && m.server_order.kind != ORDER_WAIT)
            send(t, &t->shards[i].peer, 0, &m);
    }
}

static void count_step(toy_coordinator *t)
{
    for (uint32_t i = 0; i < t->n_shards; i++) {
        uint64_t n = 0;
        for (uint64_t k = 0; k < WIRE_STALE_MAX; k++) {
            n += t->shards[i].staleness[k];
            if (t->shards[i].staleness[k] > 0) t->staleness_max = RT_MAX(t->staleness_max, k);
        }
        RT_ASSERT(n == 0 || n == TOY_MICRO_BATCHES); /* mode sync counts none */
        if (i == 0) t->n_counted += n;
    }
}

static void advance(toy_coordinator *t)
{
    if (!t->applying && t->version < t->n_steps && all_hold(t, t->version, true)) {
        double sum = 0;
        for (size_t i = 0; i < t->n_params; i++) sum += t->squares[i];
        t->norm = sqrt(sum);
        count_step(t);
        t->applying = true;
        send_orders(t);
    }
    if (t->applying && all_hold(t, t->version + 1, false)) {
        t->applying = false;
        t->version++;
        send_orders(t);
    }
}

static void take_report(toy_coordinator *t, const net_incoming *in)
{
    const wire_server_report *r = &in->message.server_report;
    RT_ASSERT(r->shard < t->n_shards);
    toy_shard *s = &t->shards[r->shard];
    if (in->message.incarnation + 2000 < s->incarnation) return; /* of a dead process */
    bool lost = s->has_params && !r->has_params;
    s->peer = in->peer;
    s->has_params = r->has_params;
    s->generation = r->generation;
    s->version = r->version;
    s->gathered = r->gathered;
    s->has_saved = r->has_saved && r->saved_version == t->n_steps;
    s->sums = r->sums;
    memcpy(s->staleness, r->staleness, sizeof s->staleness);
    if (r->problem[0] != '\0') fprintf(stderr, "shard %u: %s\n", r->shard, r->problem);
    for (size_t i = 0; i < r->n_params; i++) {
        RT_ASSERT(r->param_index[i] < PARAMS_MAX);
        t->squares[r->param_index[i]] = r->sum_squares[i];
        t->n_params = RT_MAX(t->n_params, (size_t)r->param_index[i] + 1);
    }
    if (lost) toy_rewind(t);
    advance(t);
    wire_message m = {.type = WIRE_SERVER_ORDER, .server_order = order_for(t, s)};
    send(t, &in->peer, in->message.message_id, &m);
}

/* ---- everybody ---- */

static void answer_state(toy_coordinator *t, const net_incoming *in)
{
    wire_server_address addresses[SHARDS_MAX];
    wire_message m = {.type = WIRE_RUN_STATE,
                      .run_state = {.phase = toy_is_finished(t) ? PHASE_FINISHED : PHASE_RUNNING,
                                    .generation = t->generation,
                                    .n_vocab = t->n_vocab,
                                    .bos_id = 1,
                                    .eos_id = 2,
                                    .pad_id = 3,
                                    .tokenizer_path = "",
                                    .tokenizer_sha256 = "",
                                    .n_servers = t->n_shards,
                                    .servers = addresses,
                                    .n_addresses = t->n_shards,
                                    .queue_url = t->url,
                                    .version = t->version}};
    for (uint32_t i = 0; i < t->n_shards; i++) {
        addresses[i] = (wire_server_address){.shard = i, .endpoint = t->shards[i].endpoint};
        if (!t->shards[i].known) m.run_state.n_addresses = 0;
    }
    send(t, &in->peer, in->message.message_id, &m);
}

/* Takes the message when it is student-0's. */
static void take_heartbeat(toy_coordinator *t, net_incoming *in)
{
    answer_state(t, in);
    if (strcmp(in->message.sender, "student-0") != 0) return;
    net_incoming_free(&t->beat);
    t->beat = *in;
    *in = (net_incoming){0};
}

static void take_register(toy_coordinator *t, const net_incoming *in)
{
    const wire_register *r = &in->message.register_;
    if (r->role == ROLE_SERVER) {
        RT_ASSERT(r->shard < t->n_shards);
        toy_shard *s = &t->shards[r->shard];
        s->known = true;
        s->incarnation = in->message.incarnation;
        snprintf(s->endpoint, sizeof s->endpoint, "%s", r->endpoint);
    }
    answer_state(t, in);
}

static void take_scores(toy_coordinator *t, const net_incoming *in)
{
    const wire_eval_result *r = &in->message.eval_result;
    RT_ASSERT(r->version == t->n_steps && r->index < EVAL_BATCHES);
    if (!t->scored[r->index])
        for (int i = 0; i < WIRE_TASKS_MAX; i++) {
            t->scores.loss[i] += r->sums.loss[i];
            t->scores.count[i] += r->sums.count[i];
        }
    t->scored[r->index] = true;
    wire_message m = {.type = WIRE_ACK};
    send(t, &in->peer, in->message.message_id, &m);
}

void toy_turn(toy_coordinator *t)
{
    net_incoming in = {0};
    rt_error err = {0};
    feed(t);
    rt_status st = net_server_receive(t->net, 20, &in, &err);
    if (st == RT_TIMEOUT) return;
    must(st, &err);
    switch (in.message.type) {
    case WIRE_REGISTER: take_register(t, &in); break;
    case WIRE_HEARTBEAT: take_heartbeat(t, &in); break;
    case WIRE_SERVER_REPORT: take_report(t, &in); break;
    case WIRE_EVAL_RESULT: take_scores(t, &in); break;
    default: fprintf(stderr, "toy coordinator: %s?\n", wire_type_name(in.message.type)); abort();
    }
    net_incoming_free(&in);
}

bool toy_is_finished(const toy_coordinator *t)
{
    bool done = t->version == t->n_steps;
    for (uint32_t i = 0; i < t->n_shards; i++) done = done && t->shards[i].has_saved;
    for (uint32_t i = 0; i < EVAL_BATCHES; i++) done = done && t->scored[i];
    return done;
}

uint64_t toy_version(const toy_coordinator *t)
{
    return t->version;
}

void toy_requeue(toy_coordinator *t, const char *consumer)
{
    rt_error err = {0};
    size_t n = 0, n_dead = 0;
    must(queue_requeue(t->queue, t->names.batches, consumer, 0, 100, t->names.dead, "died", &n,
                       &n_dead, &err),
         &err);
}

void toy_flush(toy_coordinator *t)
{
    rt_error err = {0};
    must(queue_drop(t->queue, t->names.batches, &err), &err);
    must(queue_ensure(t->queue, t->names.batches, NULL, &err), &err);
    t->fed = t->version;
    t->evaluating = false;
}

void toy_rewind(toy_coordinator *t)
{
    t->generation++;
    t->version = 0;
    t->fed = 0;
    t->n_counted = 0;
    t->applying = false;
    t->evaluating = false;
    send_orders(t);
}

wire_sums toy_scores(const toy_coordinator *t)
{
    return t->scores;
}

double toy_last_norm(const toy_coordinator *t)
{
    return t->norm;
}

const char *toy_student_busy(const toy_coordinator *t)
{
    const char *busy = t->beat.message.heartbeat.busy_with;
    return busy == NULL ? "" : busy;
}

uint64_t toy_n_counted(const toy_coordinator *t)
{
    return t->n_counted;
}

uint64_t toy_staleness_max(const toy_coordinator *t)
{
    return t->staleness_max;
}

double toy_student_counter(const toy_coordinator *t, const char *name)
{
    const wire_heartbeat *h = &t->beat.message.heartbeat;
    for (size_t i = 0; i < h->n_counters; i++)
        if (strcmp(h->counters[i].name, name) == 0) return h->counters[i].value;
    return 0;
}
