#include "worker/param_server/run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/fault_point.h"
#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/base/stop.h"
#include "common/nn/model.h"
#include "worker/model_shape/large_blocks.h"
#include "worker/param_server/advertise.h"
#include "worker/param_server/serve_students.h"
#include "worker/param_server/shard_files.h"
#include "worker/runtime/runtime.h"

#define IDLE_MS            100 /* longest time without looking at phase and signals */
#define GATHERED_AGAIN_MS  200 /* the order that follows `gathered` must not wait for a heartbeat */
#define PROGRESS_REPORT_MS 50  /* gradients that came meanwhile go into one report */
#define LEAVING_REPORT_MS  50  /* of one that was asked to stop */
#define LEAVE_MS           5000 /* after a request to stop, or its save, until it leaves unheard */
#define BURST_MAX          64   /* messages of one side before the other gets its turn */

typedef struct shard_process {
    const config *config;
    uint32_t shard;
    net_keyring *ring; /* of the students' socket; NULL without keys */
    runtime *rt;
    net_client *coordinator;
    parked_pulls parked;
    student_desk desk;
    bool stop;
    uint64_t leave_by_ms; /* 0: nobody asked for it */
    uint64_t reported_at_ms;
    uint64_t reported_changes;
    uint64_t reported_accepted;
    char refusal[256]; /* the coordinator's last one, so that it is logged once */
} shard_process;

/* ---- orders ---- */

static void restore(shard_process *p, const wire_server_order *order)
{
    rt_error err = {0};
    shard_model *loaded = NULL;
    runtime_busy(p->rt, "restoring version %" PRIu64, order->version);
    rt_status st = shard_load(p->config, p->shard, order, &loaded, &err);
    if (st == RT_OK) st = shard_state_restored(p->desk.state, order, &loaded, &err);
    shard_model_free(loaded);
    if (st != RT_OK) {
        rt_log_error("server.restore", "version=%" PRIu64 " %s", order->version, err.text);
        shard_state_failed(p->desk.state, err.text, rt_clock_mono_ms());
        return;
    }
    rt_log_info(
        "server.restored", "version=%" PRIu64 " generation=%" PRIu64 " floats=%zu shards=%" PRIu32,
        order->version, order->generation, shard_state_n_floats(p->desk.state), order->n_shards);
}

static void save(shard_process *p, const wire_server_order *order)
{
    rt_error err = {0};
    ckpt_file files[2];
    runtime_busy(p->rt, "saving version %" PRIu64, order->version);
    rt_status st =
        shard_save(shard_state_model(p->desk.state), order->version, order->folder, files, &err);
    if (st == RT_OK) {
        fault_point("server.after_rename");
        wire_saved_file saved[2];
        for (size_t i = 0; i < 2; i++)
            saved[i] = (wire_saved_file){
                .name = files[i].name, .n_bytes = files[i].n_bytes, .sha256 = files[i].sha256};
        st = shard_state_saved(p->desk.state, order, saved, 2, &err);
    }
    if (st != RT_OK) {
        rt_log_error("server.save", "version=%" PRIu64 " %s", order->version, err.text);
        shard_state_failed(p->desk.state, err.text, rt_clock_mono_ms());
        return;
    }
    rt_log_info("server.saved", "version=%" PRIu64 " folder=%s", order->version, order->folder);
}

static void obey(shard_process *p, const wire_server_order *order)
{
    double start_s = rt_clock_mono_s();
    switch (shard_state_order(p->desk.state, order, rt_clock_mono_ms())) {
    case SHARD_NOTHING: break;
    case SHARD_APPLIED: runtime_observe(p->rt, "apply_seconds", rt_clock_mono_s() - start_s); break;
    case SHARD_RESTORE: restore(p, order); break;
    case SHARD_SAVE:
        save(p, order);
        if (p->leave_by_ms != 0) p->leave_by_ms = rt_clock_mono_ms() + LEAVE_MS;
        break;
    case SHARD_STOP: p->stop = true; break;
    }
}

static void hear_coordinator(shard_process *p, const net_incoming *in)
{
    const wire_message *m = &in->message;
    if (m->type == WIRE_SERVER_ORDER) {
        obey(p, &m->server_order);
    } else if (m->type == WIRE_REFUSED && strcmp(p->refusal, m->refused.text) != 0) {
        /* The heartbeat thread registers again; reports are repeated anyway. */
        rt_log_info("server.report_refused", "text=\"%s\"", m->refused.text);
        snprintf(p->refusal, sizeof p->refusal, "%.255s", m->refused.text);
    }
}

/* ---- reports ---- */

/* Files of a committed save were renamed away, and those of a lost one are gone: either way they
 * must not be promised again. */
static void check_saved(shard_process *p)
{
    char path[1200];
    wire_server_report r;
    const char *folder = shard_state_saved_folder(p->desk.state);
    shard_state_report(p->desk.state, &r);
    for (size_t i = 0; folder != NULL && i < r.n_saved_files; i++) {
        if (rt_fs_join(path, sizeof path, folder, r.saved_files[i].name, NULL) == RT_OK &&
            rt_fs_exists(path))
            continue;
        shard_state_forget_saved(p->desk.state);
        return;
    }
}

static uint64_t report_due_ms(const shard_process *p)
{
    const shard_state *s = p->desk.state;
    uint64_t pause_ms = p->config->net.heartbeat_ms;
    if (shard_state_n_changes(s) != p->reported_changes)
        pause_ms = 0;
    else if (p->leave_by_ms != 0)
        pause_ms = RT_MIN(pause_ms, LEAVING_REPORT_MS);
    else if (p->desk.n_accepted != p->reported_accepted)
        pause_ms = RT_MIN(pause_ms, PROGRESS_REPORT_MS);
    else if (shard_state_is_gathered(s))
        pause_ms = RT_MIN(pause_ms, GATHERED_AGAIN_MS);
    return p->reported_at_ms + pause_ms;
}

static void tell_heartbeat(shard_process *p, const wire_server_report *r)
{
    runtime_gauge(p->rt, "version", (double)r->version);
    runtime_gauge(p->rt, "pulls", (double)p->desk.n_pulls);
    runtime_gauge(p->rt, "pulls_shared", (double)p->desk.n_pulls_shared);
    runtime_gauge(p->rt, "pushes_accepted", (double)p->desk.n_accepted);
    runtime_gauge(p->rt, "pushes_shared", (double)p->desk.n_shared);
    runtime_gauge(p->rt, "pushes_duplicate", (double)p->desk.n_duplicates);
    runtime_gauge(p->rt, "pushes_stale", (double)p->desk.n_stale);
    runtime_gauge(p->rt, "requests_refused", (double)p->desk.n_refused);
    const net_counts *net = net_server_counts(p->desk.net);
    runtime_gauge(p->rt, "messages_dropped", (double)net->n_dropped);
    runtime_gauge(p->rt, "connections_failed", (double)net->n_foreign);
    runtime_gauge(p->rt, "connections_denied", (double)net->n_denied);
    if (r->problem[0] != '\0')
        runtime_busy(p->rt, "%.120s", r->problem);
    else if (!r->has_params)
        runtime_busy(p->rt, "waiting for an order to restore");
    else
        runtime_busy(p->rt, "%s step %" PRIu64, r->gathered ? "gathered" : "gathering", r->version);
}

static void report(shard_process *p, uint64_t now_ms)
{
    rt_error err = {0};
    uint64_t id = 0;
    if (shard_state_n_changes(p->desk.state) == p->reported_changes) check_saved(p);
    wire_message m = {.type = WIRE_SERVER_REPORT};
    shard_state_report(p->desk.state, &m.server_report);
    tell_heartbeat(p, &m.server_report);
    if (net_client_send(p->coordinator, &m, NULL, 0, &id, &err) != RT_OK)
        rt_log_debug("server.report", "%s", err.text);
    p->reported_at_ms = now_ms;
    p->reported_changes = shard_state_n_changes(p->desk.state);
    p->reported_accepted = p->desk.n_accepted;
}

/* ---- the loop ---- */

static void serve_burst(shard_process *p)
{
    for (int i = 0; i < BURST_MAX && net_server_ready(p->desk.net); i++) {
        net_incoming in = {0};
        if (net_server_receive(p->desk.net, 0, &in, NULL) != RT_OK) return;
        student_desk_handle(&p->desk, &in, rt_clock_mono_ms());
        net_incoming_free(&in);
    }
}

static void obey_burst(shard_process *p)
{
    for (int i = 0; i < BURST_MAX && net_client_ready(p->coordinator); i++) {
        net_incoming in = {0};
        if (net_client_receive(p->coordinator, 0, &in, NULL) != RT_OK) return;
        hear_coordinator(p, &in);
        net_incoming_free(&in);
    }
}

static rt_status wait_for_work(shard_process *p, rt_error *err)
{
    net_poll_item items[] = {{.server = p->desk.net}, {.client = p->coordinator}};
    uint64_t now_ms = rt_clock_mono_ms();
    uint64_t until_ms = RT_MIN(now_ms + IDLE_MS, report_due_ms(p));
    until_ms = RT_MIN(until_ms, parked_pulls_next_ms(&p->parked));
    rt_status st = net_poll(items, RT_COUNT(items), p->config->net.spin_us,
                            until_ms > now_ms ? until_ms - now_ms : 0, err);
    return st == RT_TIMEOUT || st == RT_CANCELLED ? RT_OK : st;
}

/* Asked to stop, it stays until its version is on disk and the coordinator says so, or does not. */
static bool may_go(shard_process *p, uint64_t now_ms)
{
    if (p->stop || runtime_phase(p->rt) == PHASE_FINISHED) return true;
    if (!runtime_stopping(p->rt)) return false;
    if (rt_stop_requested() != RT_STOP_DRAIN) return true; /* at once, or refused for good */
    if (p->leave_by_ms == 0) {
        if (!shard_state_leave(p->desk.state)) return true;
        p->leave_by_ms = now_ms + LEAVE_MS;
        rt_log_info("server.leaving", "version=%" PRIu64, shard_state_version(p->desk.state));
    }
    return now_ms >= p->leave_by_ms;
}

static rt_status loop(shard_process *p, rt_error *err)
{
    while (!may_go(p, rt_clock_mono_ms())) {
        rt_status st = wait_for_work(p, err);
        if (st != RT_OK) return st;
        obey_burst(p);
        student_desk_answer_parked(&p->desk, rt_clock_mono_ms());
        serve_burst(p);
        uint64_t now_ms = rt_clock_mono_ms();
        if (now_ms >= report_due_ms(p)) report(p, now_ms);
    }
    return runtime_refusal(p->rt, err);
}

/* The students' socket comes before registration, which tells its endpoint. */
static rt_status bind_students(shard_process *p, const net_identity *identity, rt_buf *endpoint,
                               rt_error *err)
{
    const net_config *n = &p->config->net;
    rt_buf bind = {0};
    rt_status st = net_keyring_open(n->keys, n->curve_key_file, NET_ROLE_SERVER, &p->ring, err);
    if (st != RT_OK) goto out;
    if ((st = endpoint_fill(n->server_bind, p->shard, "", &bind, err)) != RT_OK) goto out;
    net_lock lock = {p->ring, NET_BIT(NET_ROLE_STUDENT)};
    st = net_server_open(identity, bind.data, &lock, &p->desk.net, err);
    if (st != RT_OK) {
        st = rt_wrap(err, st, "net.server_bind");
        goto out;
    }
    const char *bound = net_server_endpoint(p->desk.net);
    st = endpoint_fill(n->server_advertise[0] != '\0' ? n->server_advertise : bound, p->shard,
                       bound, endpoint, err);
out:
    rt_buf_free(&bind);
    return st;
}

rt_status param_server_run(const config *c, uint32_t shard, rt_error *err)
{
    rt_status st = RT_OK;
    char name[32];
    rt_buf endpoint = {0};
    shard_settings settings = shard_settings_of(c, shard);
    shard_process *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "shard %" PRIu32, shard);
    large_blocks_keep();
    nn_set_threads(1); /* a shard is one thread: what it computes is short */
    snprintf(name, sizeof name, "server-%" PRIu32, shard);
    net_identity identity = {.run_id = c->name, .sender = name, .incarnation = rt_clock_wall_ms()};
    p->config = c;
    p->shard = shard;
    p->desk.parked = &p->parked;
    p->desk.element = wire_element_of(c->net.wire);
    p->desk.shares = c->net.shared_memory;
    if ((st = shard_state_new(&settings, &p->desk.state, err)) != RT_OK) goto out;
    if ((st = bind_students(p, &identity, &endpoint, err)) != RT_OK) goto out;
    st = runtime_open(c, ROLE_SERVER, name, shard, endpoint.data, &p->rt, err);
    if (st != RT_OK) goto out;
    p->coordinator = runtime_coordinator(p->rt);
    rt_log_info("server.ready", "shard=%" PRIu32 " endpoint=%s", shard, endpoint.data);
    st = loop(p, err);
out:
    runtime_close(p->rt);
    net_server_close(p->desk.net);
    net_keyring_free(p->ring);
    shard_state_free(p->desk.state);
    free(p->desk.scratch);
    rt_buf_free(&endpoint);
    free(p);
    return st;
}
