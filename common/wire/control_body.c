/* One pair of functions per body: to_pb borrows, from_pb copies. Relations between fields are
 * checked in wire_body_check(); what holds for a single field is checked in check.c. */
#include "common/wire/body.h"

#include <stdlib.h>
#include <string.h>

bool wire_take_text(char **out, const char *text)
{
    if (text == NULL) text = "";
    *out = rt_strndup(text, strlen(text));
    return *out != NULL;
}

void wire_id_to_bytes(rt_id id, uint8_t out[16])
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(id.high >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(id.low >> (56 - 8 * i));
    }
}

bool wire_id_from_bytes(const ProtobufCBinaryData *bytes, rt_id *out)
{
    if (bytes->len != 16) return false;
    rt_id id = {0, 0};
    for (int i = 0; i < 8; i++) {
        id.high = id.high << 8 | bytes->data[i];
        id.low = id.low << 8 | bytes->data[8 + i];
    }
    *out = id;
    return true;
}

static rt_status no_memory(rt_error *err)
{
    return rt_fail(err, RT_NOMEM, "message body");
}

/* ---- sums ------------------------------------------------------------------------------- */

/* Trailing zeros stay at home: most runs have two tasks. */
Retort__LossSums *wire_sums_to_pb(const wire_sums *in, arena *a)
{
    Retort__LossSums *pb = arena_alloc(a, sizeof *pb);
    wire_sums *copy = arena_alloc(a, sizeof *copy); /* protobuf-c wants arrays that it may write */
    if (pb == NULL || copy == NULL) return NULL;
    retort__loss_sums__init(pb);
    *copy = *in;
    size_t n = WIRE_TASKS_MAX;
    while (n > 0 && in->loss[n - 1] == 0 && in->count[n - 1] == 0 && in->n_seqs[n - 1] == 0 &&
           in->n_exact[n - 1] == 0)
        n--;
    pb->n_loss = pb->n_count = pb->n_n_seqs = pb->n_n_exact = n;
    pb->loss = copy->loss;
    pb->count = copy->count;
    pb->n_seqs = copy->n_seqs;
    pb->n_exact = copy->n_exact;
    return pb;
}

void wire_sums_from_pb(const Retort__LossSums *pb, wire_sums *out)
{
    *out = (wire_sums){0};
    if (pb == NULL) return;
    for (size_t i = 0; i < WIRE_TASKS_MAX; i++) {
        if (i < pb->n_loss) out->loss[i] = pb->loss[i];
        if (i < pb->n_count) out->count[i] = pb->count[i];
        if (i < pb->n_n_seqs) out->n_seqs[i] = pb->n_seqs[i];
        if (i < pb->n_n_exact) out->n_exact[i] = pb->n_exact[i];
    }
}

/* ---- membership ------------------------------------------------------------------------- */

static void register_to_pb(const wire_register *in, Retort__Register *pb)
{
    pb->role = (Retort__Role)in->role;
    pb->shard = in->shard;
    pb->endpoint = in->endpoint;
    pb->pid = in->pid;
    pb->host = in->host;
    pb->fingerprint = in->fingerprint;
}

static bool register_from_pb(const Retort__Register *pb, wire_register *out)
{
    out->role = (wire_role)pb->role;
    out->shard = pb->shard;
    out->pid = pb->pid;
    return wire_take_text(&out->endpoint, pb->endpoint) && wire_take_text(&out->host, pb->host) &&
           wire_take_text(&out->fingerprint, pb->fingerprint);
}

static bool histograms_to_pb(const wire_heartbeat *in, arena *a, Retort__Heartbeat *pb)
{
    Retort__Histogram *histograms = arena_array(a, in->n_histograms, sizeof *histograms);
    pb->histograms = arena_array(a, in->n_histograms, sizeof(void *));
    if (histograms == NULL || pb->histograms == NULL) return false;
    for (size_t i = 0; i < in->n_histograms; i++) {
        const wire_histogram *h = &in->histograms[i];
        retort__histogram__init(&histograms[i]);
        histograms[i].name = h->name;
        histograms[i].first = h->first;
        histograms[i].sum = h->sum;
        histograms[i].buckets = h->buckets;
        histograms[i].n_buckets = h->n_buckets;
        pb->histograms[i] = &histograms[i];
    }
    pb->n_histograms = in->n_histograms;
    return true;
}

static bool heartbeat_to_pb(const wire_heartbeat *in, arena *a, Retort__Heartbeat *pb)
{
    pb->role = (Retort__Role)in->role;
    pb->shard = in->shard;
    pb->busy_with = in->busy_with;
    Retort__Counter *counters = arena_array(a, in->n_counters, sizeof *counters);
    pb->counters = arena_array(a, in->n_counters, sizeof(void *));
    if (counters == NULL || pb->counters == NULL) return false;
    for (size_t i = 0; i < in->n_counters; i++) {
        retort__counter__init(&counters[i]);
        counters[i].name = in->counters[i].name;
        counters[i].value = in->counters[i].value;
        pb->counters[i] = &counters[i];
    }
    pb->n_counters = in->n_counters;
    return histograms_to_pb(in, a, pb);
}

static bool histogram_from_pb(const Retort__Histogram *pb, wire_histogram *out)
{
    out->first = pb->first;
    out->sum = pb->sum;
    out->buckets = rt_calloc(pb->n_buckets, sizeof *out->buckets);
    if (out->buckets == NULL || !wire_take_text(&out->name, pb->name)) return false;
    out->n_buckets = pb->n_buckets;
    for (size_t i = 0; i < pb->n_buckets; i++) out->buckets[i] = pb->buckets[i];
    return true;
}

static bool heartbeat_from_pb(const Retort__Heartbeat *pb, wire_heartbeat *out)
{
    out->role = (wire_role)pb->role;
    out->shard = pb->shard;
    out->counters = rt_calloc(pb->n_counters, sizeof *out->counters);
    if (out->counters == NULL || !wire_take_text(&out->busy_with, pb->busy_with)) return false;
    out->n_counters = pb->n_counters;
    for (size_t i = 0; i < pb->n_counters; i++) {
        out->counters[i].value = pb->counters[i]->value;
        if (!wire_take_text(&out->counters[i].name, pb->counters[i]->name)) return false;
    }
    out->histograms = rt_calloc(pb->n_histograms, sizeof *out->histograms);
    if (out->histograms == NULL) return false;
    out->n_histograms = pb->n_histograms;
    for (size_t i = 0; i < pb->n_histograms; i++)
        if (!histogram_from_pb(pb->histograms[i], &out->histograms[i])) return false;
    return true;
}

static bool run_state_to_pb(const wire_run_state *in, arena *a, Retort__RunState *pb)
{
    pb->phase = (Retort__Phase)in->phase;
    pb->generation = in->generation;
    pb->n_vocab = in->n_vocab;
    pb->bos_id = in->bos_id;
    pb->eos_id = in->eos_id;
    pb->pad_id = in->pad_id;
    pb->tokenizer_path = in->tokenizer_path;
    pb->tokenizer_sha256 = in->tokenizer_sha256;
    pb->server_count = in->n_servers;
    pb->queue_url = in->queue_url;
    pb->version = in->version;
    Retort__ServerAddress *servers = arena_array(a, in->n_addresses, sizeof *servers);
    pb->servers = arena_array(a, in->n_addresses, sizeof(void *));
    if (servers == NULL || pb->servers == NULL) return false;
    for (size_t i = 0; i < in->n_addresses; i++) {
        retort__server_address__init(&servers[i]);
        servers[i].shard = in->servers[i].shard;
        servers[i].endpoint = in->servers[i].endpoint;
        pb->servers[i] = &servers[i];
    }
    pb->n_servers = in->n_addresses;
    return true;
}

static bool run_state_from_pb(const Retort__RunState *pb, wire_run_state *out)
{
    out->phase = (wire_phase)pb->phase;
    out->generation = pb->generation;
    out->n_vocab = pb->n_vocab;
    out->bos_id = pb->bos_id;
    out->eos_id = pb->eos_id;
    out->pad_id = pb->pad_id;
    out->n_servers = pb->server_count;
    out->version = pb->version;
    out->servers = rt_calloc(pb->n_servers, sizeof *out->servers);
    if (out->servers == NULL || !wire_take_text(&out->tokenizer_path, pb->tokenizer_path) ||
        !wire_take_text(&out->tokenizer_sha256, pb->tokenizer_sha256) ||
        !wire_take_text(&out->queue_url, pb->queue_url))
        return false;
    out->n_addresses = pb->n_servers;
    for (size_t i = 0; i < pb->n_servers; i++) {
        out->servers[i].shard = pb->servers[i]->shard;
        if (!wire_take_text(&out->servers[i].endpoint, pb->servers[i]->endpoint)) return false;
    }
    return true;
}

/* ---- leases ----------------------------------------------------------------------------- */

static bool lease_grant_to_pb(const wire_lease_grant *in, arena *a, Retort__LeaseGrant *pb)
{
    pb->granted = in->granted;
    pb->shard = in->shard;
    pb->lease = in->lease;
    pb->lease_ms = in->lease_ms;
    pb->retry_ms = in->retry_ms;
    Retort__LeasedExample *examples = arena_array(a, in->n_examples, sizeof *examples);
    uint8_t *ids = arena_array(a, in->n_examples, 16);
    pb->examples = arena_array(a, in->n_examples, sizeof(void *));
    if (examples == NULL || ids == NULL || pb->examples == NULL) return false;
    for (size_t i = 0; i < in->n_examples; i++) {
        const wire_leased_example *x = &in->examples[i];
        Retort__LeasedExample *y = &examples[i];
        retort__leased_example__init(y);
        wire_id_to_bytes(x->id, ids + 16 * i);
        y->id = (ProtobufCBinaryData){16, ids + 16 * i};
        y->input = x->input;
        y->source_id = x->source_id;
        y->gold = x->gold;
        y->has_gold = x->gold != NULL;
        y->done = x->done;
        pb->examples[i] = y;
    }
    pb->n_examples = in->n_examples;
    return true;
}

static bool lease_grant_from_pb(const Retort__LeaseGrant *pb, wire_lease_grant *out)
{
    out->granted = pb->granted;
    out->shard = pb->shard;
    out->lease = pb->lease;
    out->lease_ms = pb->lease_ms;
    out->retry_ms = pb->retry_ms;
    out->examples = rt_calloc(pb->n_examples, sizeof *out->examples);
    if (out->examples == NULL) return false;
    out->n_examples = pb->n_examples;
    for (size_t i = 0; i < pb->n_examples; i++) {
        const Retort__LeasedExample *x = pb->examples[i];
        wire_leased_example *y = &out->examples[i];
        (void)wire_id_from_bytes(&x->id, &y->id); /* its size was checked before */
        y->done = x->done;
        if (!wire_take_text(&y->input, x->input) || !wire_take_text(&y->source_id, x->source_id) ||
            (x->has_gold && !wire_take_text(&y->gold, x->gold)))
            return false;
    }
    return true;
}

/* ---- parameter servers ------------------------------------------------------------------ */

static bool server_report_to_pb(const wire_server_report *in, arena *a, Retort__ServerReport *pb)
{
    pb->shard = in->shard;
    pb->generation = in->generation;
    pb->has_params = in->has_params;
    pb->version = in->version;
    pb->gathered = in->gathered;
    pb->param_index = in->param_index;
    pb->sum_squares = in->sum_squares;
    pb->n_param_index = pb->n_sum_squares = in->n_params;
    pb->sums = wire_sums_to_pb(&in->sums, a);
    pb->n_micro_batches = in->n_micro_batches;
    pb->received = (ProtobufCBinaryData){in->n_received, in->received};
    pb->has_saved = in->has_saved;
    pb->saved_version = in->saved_version;
    pb->problem = in->problem;
    pb->diverged = in->diverged;
    pb->mixed = in->mixed;
    pb->leaving = in->leaving;
    pb->staleness = (uint64_t *)(uintptr_t)in->staleness; /* only read */
    for (size_t i = 0; i < WIRE_STALE_MAX; i++)
        if (in->staleness[i] > 0) pb->n_staleness = i + 1;
    Retort__SavedFile *files = arena_array(a, in->n_saved_files, sizeof *files);
    pb->saved_files = arena_array(a, in->n_saved_files, sizeof(void *));
    if (pb->sums == NULL || files == NULL || pb->saved_files == NULL) return false;
    for (size_t i = 0; i < in->n_saved_files; i++) {
        retort__saved_file__init(&files[i]);
        files[i].name = in->saved_files[i].name;
        files[i].n_bytes = in->saved_files[i].n_bytes;
        files[i].sha256 = in->saved_files[i].sha256;
        pb->saved_files[i] = &files[i];
    }
    pb->n_saved_files = in->n_saved_files;
    return true;
}

static bool report_lists_from_pb(const Retort__ServerReport *pb, wire_server_report *out)
{
    /* A reader may look at every bit up to n_micro_batches, so a short bitmap is filled up. */
    size_t n_bits_bytes = ((size_t)pb->n_micro_batches + 7) / 8;
    size_t n_received = RT_MAX(pb->received.len, n_bits_bytes);
    out->param_index = rt_calloc(pb->n_param_index, sizeof *out->param_index);
    out->sum_squares = rt_calloc(pb->n_param_index, sizeof *out->sum_squares);
    out->received = rt_calloc(n_received, 1);
    out->saved_files = rt_calloc(pb->n_saved_files, sizeof *out->saved_files);
    if (out->param_index == NULL || out->sum_squares == NULL || out->received == NULL ||
        out->saved_files == NULL)
        return false;
    out->n_params = pb->n_param_index;
    out->n_received = n_received;
    out->n_saved_files = pb->n_saved_files;
    for (size_t i = 0; i < pb->n_param_index; i++) {
        out->param_index[i] = pb->param_index[i];
        out->sum_squares[i] = pb->sum_squares[i];
    }
    if (pb->received.len > 0) memcpy(out->received, pb->received.data, pb->received.len);
    return true;
}

static bool server_report_from_pb(const Retort__ServerReport *pb, wire_server_report *out)
{
    out->shard = pb->shard;
    out->generation = pb->generation;
    out->has_params = pb->has_params;
    out->version = pb->version;
    out->gathered = pb->gathered;
    out->n_micro_batches = pb->n_micro_batches;
    out->has_saved = pb->has_saved;
    out->saved_version = pb->saved_version;
    out->diverged = pb->diverged;
    out->mixed = pb->mixed;
    out->leaving = pb->leaving;
    for (size_t i = 0; i < pb->n_staleness; i++) out->staleness[i] = pb->staleness[i];
    wire_sums_from_pb(pb->sums, &out->sums);
    if (!report_lists_from_pb(pb, out) || !wire_take_text(&out->problem, pb->problem)) return false;
    for (size_t i = 0; i < pb->n_saved_files; i++) {
        wire_saved_file *f = &out->saved_files[i];
        f->n_bytes = pb->saved_files[i]->n_bytes;
        if (!wire_take_text(&f->name, pb->saved_files[i]->name) ||
            !wire_take_text(&f->sha256, pb->saved_files[i]->sha256))
            return false;
    }
    return true;
}

static void server_order_to_pb(const wire_server_order *in, Retort__ServerOrder *pb)
{
    pb->kind = (Retort__OrderKind)in->kind;
    pb->generation = in->generation;
    pb->version = in->version;
    pb->grad_norm = in->grad_norm;
    pb->n_steps = in->n_steps;
    pb->folder = in->folder;
    pb->n_shards = in->n_shards;
    pb->n_vocab = in->n_vocab;
    pb->bos_id = in->bos_id;
    pb->eos_id = in->eos_id;
    pb->pad_id = in->pad_id;
    pb->limit = in->limit;
}

static bool server_order_from_pb(const Retort__ServerOrder *pb, wire_server_order *out)
{
    out->kind = (wire_order)pb->kind;
    out->generation = pb->generation;
    out->version = pb->version;
    out->grad_norm = pb->grad_norm;
    out->n_steps = pb->n_steps;
    out->n_shards = pb->n_shards;
    out->n_vocab = pb->n_vocab;
    out->bos_id = pb->bos_id;
    out->eos_id = pb->eos_id;
    out->pad_id = pb->pad_id;
    out->limit = pb->limit;
    return wire_take_text(&out->folder, pb->folder);
}

static bool refused_from_pb(const Retort__Refused *pb, wire_refused *out)
{
    out->register_again = pb->register_again;
    return wire_take_text(&out->status, pb->status) && wire_take_text(&out->text, pb->text);
}

/* ---- dispatch --------------------------------------------------------------------------- */

/* True when the body could be made: in the arena, initialised, in the envelope's union. */
#define MAKE(member, init) \
    ((e->member = arena_alloc(a, sizeof *e->member)) != NULL && (init(e->member), true))

static bool small_to_pb(const wire_message *m, arena *a, Retort__Envelope *e)
{
    switch (m->type) {
    case WIRE_LEASE_REQUEST:
        if (!MAKE(lease_request, retort__lease_request__init)) return false;
        e->lease_request->n_shards_held = m->lease_request.n_shards_held;
        return true;
    case WIRE_LEASE_DONE:
        if (!MAKE(lease_done, retort__lease_done__init)) return false;
        e->lease_done->shard = m->lease_done.shard;
        e->lease_done->lease = m->lease_done.lease;
        e->lease_done->n_labelled = m->lease_done.n_labelled;
        e->lease_done->n_rejected = m->lease_done.n_rejected;
        e->lease_done->given_back = m->lease_done.given_back;
        return true;
    case WIRE_EVAL_RESULT:
        if (!MAKE(eval_result, retort__eval_result__init)) return false;
        e->eval_result->version = m->eval_result.version;
        e->eval_result->index = m->eval_result.index;
        e->eval_result->sums = wire_sums_to_pb(&m->eval_result.sums, a);
        return e->eval_result->sums != NULL;
    case WIRE_ACK: return MAKE(ack, retort__ack__init);
    case WIRE_REFUSED:
        if (!MAKE(refused, retort__refused__init)) return false;
        e->refused->status = m->refused.status;
        e->refused->text = m->refused.text;
        e->refused->register_again = m->refused.register_again;
        return true;
    default: return false;
    }
}

rt_status wire_body_to_pb(const wire_message *m, arena *a, Retort__Envelope *e, rt_error *err)
{
    bool ok = false;
    e->body_case = (Retort__Envelope__BodyCase)m->type;
    switch (m->type) {
    case WIRE_REGISTER:
        ok = MAKE(register_, retort__register__init);
        if (ok) register_to_pb(&m->register_, e->register_);
        break;
    case WIRE_HEARTBEAT:
        ok = MAKE(heartbeat, retort__heartbeat__init) &&
             heartbeat_to_pb(&m->heartbeat, a, e->heartbeat);
        break;
    case WIRE_RUN_STATE:
        ok = MAKE(run_state, retort__run_state__init) &&
             run_state_to_pb(&m->run_state, a, e->run_state);
        break;
    case WIRE_LEASE_GRANT:
        ok = MAKE(lease_grant, retort__lease_grant__init) &&
             lease_grant_to_pb(&m->lease_grant, a, e->lease_grant);
        break;
    case WIRE_SERVER_REPORT:
        ok = MAKE(server_report, retort__server_report__init) &&
             server_report_to_pb(&m->server_report, a, e->server_report);
        break;
    case WIRE_SERVER_ORDER:
        ok = MAKE(server_order, retort__server_order__init);
        if (ok) server_order_to_pb(&m->server_order, e->server_order);
        break;
    case WIRE_QUOTA_REPORT:
        ok = MAKE(quota_report, retort__quota_report__init) &&
             wire_quota_report_to_pb(&m->quota_report, a, e->quota_report);
        break;
    case WIRE_QUOTA_GRANT:
        ok = MAKE(quota_grant, retort__quota_grant__init) &&
             wire_quota_grant_to_pb(&m->quota_grant, a, e->quota_grant);
        break;
    case WIRE_PULL:
        ok = MAKE(pull, retort__pull__init);
        if (ok) wire_pull_to_pb(&m->pull, e->pull);
        break;
    case WIRE_PULLED:
        ok = MAKE(pulled, retort__pulled__init) && wire_pulled_to_pb(&m->pulled, a, e->pulled);
        break;
    case WIRE_PUSH:
        ok = MAKE(push, retort__push__init) && wire_push_to_pb(&m->push, a, e->push);
        break;
    case WIRE_PUSHED:
        ok = MAKE(pushed, retort__pushed__init);
        if (ok) wire_pushed_to_pb(&m->pushed, e->pushed);
        break;
    case WIRE_LEASE_REQUEST:
    case WIRE_LEASE_DONE:
    case WIRE_EVAL_RESULT:
    case WIRE_ACK:
    case WIRE_REFUSED: ok = small_to_pb(m, a, e); break;
    default: return rt_fail(err, RT_INVALID, "message type %d is not in the contract", m->type);
    }
    return ok ? RT_OK : no_memory(err);
}

static bool small_from_pb(const Retort__Envelope *e, wire_message *m)
{
    switch (m->type) {
    case WIRE_LEASE_REQUEST:
        m->lease_request.n_shards_held = e->lease_request->n_shards_held;
        return true;
    case WIRE_LEASE_DONE:
        m->lease_done =
            (wire_lease_done){e->lease_done->shard, e->lease_done->lease, e->lease_done->n_labelled,
                              e->lease_done->n_rejected, e->lease_done->given_back != 0};
        return true;
    case WIRE_EVAL_RESULT:
        m->eval_result.version = e->eval_result->version;
        m->eval_result.index = e->eval_result->index;
        wire_sums_from_pb(e->eval_result->sums, &m->eval_result.sums);
        return true;
    default: return true; /* WIRE_ACK has no fields */
    }
}

/* What holds between fields; nothing when all is well. */
static const char *wrong_relation(const Retort__Envelope *e)
{
    if (e->body_case == RETORT__ENVELOPE__BODY_RUN_STATE && e->run_state->n_servers != 0 &&
        e->run_state->n_servers != e->run_state->server_count)
        return "run_state: servers are neither complete nor empty";
    if (e->body_case == RETORT__ENVELOPE__BODY_LEASE_GRANT)
        for (size_t i = 0; i < e->lease_grant->n_examples; i++)
            if (e->lease_grant->examples[i]->id.len != 16)
                return "lease_grant: an example's id is not 16 bytes long";
    if (e->body_case == RETORT__ENVELOPE__BODY_SERVER_REPORT) {
        const Retort__ServerReport *r = e->server_report;
        if (r->n_param_index != r->n_sum_squares)
            return "server_report: param_index and sum_squares differ in length";
        if (r->n_micro_batches > WIRE_MICRO_BATCHES_MAX)
            return "server_report: n_micro_batches is beyond its limit";
        if (r->received.len > WIRE_MICRO_BATCHES_MAX / 8)
            return "server_report: received is beyond its limit";
    }
    if (e->body_case == RETORT__ENVELOPE__BODY_PUSH) return wire_push_wrong(e->push);
    if (e->body_case == RETORT__ENVELOPE__BODY_QUOTA_REPORT)
        return wire_quota_report_wrong(e->quota_report);
    if (e->body_case == RETORT__ENVELOPE__BODY_QUOTA_GRANT)
        return wire_quota_grant_wrong(e->quota_grant);
    return NULL;
}

rt_status wire_body_check(const Retort__Envelope *e, rt_status bad, rt_error *err)
{
    const char *wrong = wrong_relation(e);
    return wrong == NULL ? RT_OK : rt_fail(err, bad, "%s", wrong);
}

rt_status wire_body_from_pb(const Retort__Envelope *e, wire_message *m, rt_error *err)
{
    bool ok = false;
    switch (m->type) {
    case WIRE_REGISTER: ok = register_from_pb(e->register_, &m->register_); break;
    case WIRE_HEARTBEAT: ok = heartbeat_from_pb(e->heartbeat, &m->heartbeat); break;
    case WIRE_RUN_STATE: ok = run_state_from_pb(e->run_state, &m->run_state); break;
    case WIRE_LEASE_GRANT: ok = lease_grant_from_pb(e->lease_grant, &m->lease_grant); break;
    case WIRE_SERVER_REPORT: ok = server_report_from_pb(e->server_report, &m->server_report); break;
    case WIRE_SERVER_ORDER: ok = server_order_from_pb(e->server_order, &m->server_order); break;
    case WIRE_REFUSED: ok = refused_from_pb(e->refused, &m->refused); break;
    case WIRE_PULL: wire_pull_from_pb(e->pull, &m->pull); return RT_OK;
    case WIRE_PULLED: wire_pulled_from_pb(e->pulled, &m->pulled); return RT_OK;
    case WIRE_PUSH: ok = wire_push_from_pb(e->push, &m->push); break;
    case WIRE_PUSHED: wire_pushed_from_pb(e->pushed, &m->pushed); return RT_OK;
    case WIRE_QUOTA_REPORT:
        wire_quota_report_from_pb(e->quota_report, &m->quota_report);
        return RT_OK;
    case WIRE_QUOTA_GRANT: wire_quota_grant_from_pb(e->quota_grant, &m->quota_grant); return RT_OK;
    default: ok = small_from_pb(e, m); break;
    }
    return ok ? RT_OK : no_memory(err);
}
