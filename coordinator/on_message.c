/* One handler for each kind of message. All of them accept a repeat. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fault_point.h"
#include "common/base/log.h"
#include "coordinator/shell.h"

#define LEASE_RETRY_MS    500
#define WRONG_ROLE_LOG_MS 1000
#define SMOKE_RETRY_MS    50 /* the first rows are soon there, and nobody should sleep on */

static void send_answer(coordinator *co, const net_incoming *in, wire_message *m)
{
    rt_error why = {0};
    m->message_id = in->message.message_id;
    if (net_server_send(co->net, &in->peer, m, NULL, 0, &why) != RT_OK)
        rt_log_debug("message.answer", "to=%s %s", in->message.sender, why.text);
}

static void refuse(coordinator *co, const net_incoming *in, rt_status status, bool register_again,
                   const char *text)
{
    wire_message m = {.type = WIRE_REFUSED,
                      .refused = {.status = (char *)(uintptr_t)rt_status_name(status),
                                  .text = (char *)(uintptr_t)text,
                                  .register_again = register_again}};
    co->n_refusals++;
    if (!register_again) {
        rt_log_warn("member.refused", "name=%s incarnation=%" PRIu64 " why=\"%s\"",
                    in->message.sender, in->message.incarnation, text);
        tell(co, EVENT_PROBLEM, in->message.sender, "was refused: %s", text);
    }
    send_answer(co, in, &m);
}

static void ack(coordinator *co, const net_incoming *in)
{
    wire_message m = {.type = WIRE_ACK};
    send_answer(co, in, &m);
}

wire_phase phase_of_role(const coordinator *co, wire_role role)
{
    if (co->ending == RUN_COMPLETE || co->ending == RUN_FAILED) return PHASE_FINISHED;
    if (role == ROLE_TEACHER) {
        if (co->stage == STAGE_TRAIN || labelling_is_done(co)) return PHASE_FINISHED;
        return co->ending == RUN_DRAINING ? PHASE_DRAINING : PHASE_RUNNING;
    }
    if (co->stage == STAGE_LABEL || train_stage_is_done(co)) return PHASE_FINISHED;
    if (co->ending == RUN_DRAINING) return PHASE_DRAINING;
    if (co->plan == NULL) return PHASE_STARTING;
    if (role == ROLE_SERVER) return PHASE_RUNNING;
    for (uint32_t i = 0; i < co->config->launch.servers; i++)
        if (membership_server(co->members, i) == NULL) return PHASE_STARTING;
    return PHASE_RUNNING;
}

/* Complete or empty. */
static size_t list_servers(const coordinator *co, wire_server_address *out)
{
    uint32_t n = (uint32_t)co->config->launch.servers;
    for (uint32_t i = 0; i < n; i++) {
        const member *server = membership_server(co->members, i);
        if (server == NULL) return 0;
        out[i] = (wire_server_address){.shard = i, .endpoint = (char *)(uintptr_t)server->endpoint};
    }
    return n;
}

static void answer_run_state(coordinator *co, const net_incoming *in, member *who)
{
    const tokenizer *t = co->tokenizer == NULL ? NULL : tokenizer_stage_get(co->tokenizer);
    wire_server_address *servers =
        rt_calloc(co->config->launch.servers, sizeof(wire_server_address));
    char none[] = "";
    wire_run_state state = {
        .phase = phase_of_role(co, who->role),
        .generation = step_control_generation(co->steps) + co->feeder.n_resends,
        .tokenizer_path = none,
        .tokenizer_sha256 = none,
        .n_servers = (uint32_t)co->config->launch.servers,
        .queue_url = co->config->queue.url,
        .version = step_control_version(co->steps),
        .servers = servers,
        .n_addresses = servers == NULL ? 0 : list_servers(co, servers),
    };
    if (t != NULL) {
        state.n_vocab = (uint32_t)tokenizer_size(t);
        state.bos_id = tokenizer_bos(t);
        state.eos_id = tokenizer_eos(t);
        state.pad_id = tokenizer_pad(t);
        state.tokenizer_path = (char *)(uintptr_t)tokenizer_stage_path(co->tokenizer);
        state.tokenizer_sha256 = (char *)(uintptr_t)tokenizer_sha256(t);
    }
    if (state.phase == PHASE_FINISHED) who->told_finished = true;
    wire_message m = {.type = WIRE_RUN_STATE, .run_state = state};
    send_answer(co, in, &m);
    free(servers);
}

/* What a dead or replaced worker held goes back. */
static void take_work_back(coordinator *co, const member *who)
{
    if (who->role == ROLE_TEACHER) {
        size_t n = lease_table_return(co->leases, who->name);
        if (n == 0) return;
        rt_log_info("lease.returned", "worker=%s shards=%zu", who->name, n);
        tell(co, EVENT_LEASE, who->name, "%zu shards of its earlier life go back", n);
    } else if (who->role == ROLE_STUDENT) {
        train_stage_requeue(co, who->name);
    }
}

/* What a key allows its holder to be; without keys, and with one for all, anything. */
static bool key_fits(coordinator *co, const net_incoming *in, wire_role claimed)
{
    static const wire_role of_key[NET_ROLE_COUNT] = {[NET_ROLE_SERVER] = ROLE_SERVER,
                                                     [NET_ROLE_TEACHER] = ROLE_TEACHER,
                                                     [NET_ROLE_STUDENT] = ROLE_STUDENT};
    char text[256];
    bool any = in->key_role == NET_ROLE_NONE || in->key_role == NET_ROLE_CLUSTER;
    if (any || of_key[in->key_role] == claimed) return true;
    co->n_wrong_roles++;
    snprintf(text, sizeof text, "it comes as a %s with the key of a %s: give it its own key",
             wire_role_name(claimed), net_role_name(in->key_role));
    /* The right key may be on its way: it is not sent off for good. */
    refuse(co, in, RT_REFUSED, true, text);
    if (co->now_ms >= co->wrong_role_log_ms) {
        rt_log_warn("member.wrong_key", "name=%s why=\"%s\" times=%" PRIu64, in->message.sender,
                    text, co->n_wrong_roles);
        co->wrong_role_log_ms = co->now_ms + WRONG_ROLE_LOG_MS;
        tell(co, EVENT_PROBLEM, in->message.sender, "was refused: %s", text);
    }
    return false;
}

static bool register_fits(coordinator *co, const net_incoming *in)
{
    char text[256];
    const wire_register *r = &in->message.register_;
    if (!key_fits(co, in, r->role)) return false;
    if (strcmp(r->fingerprint, co->folder.fingerprint) != 0) {
        snprintf(text, sizeof text,
                 "its config has fingerprint %.40s, the run's is %s: start it with the same config "
                 "file and --set as the coordinator",
                 r->fingerprint, co->folder.fingerprint);
        refuse(co, in, RT_REFUSED, false, text);
        return false;
    }
    if (r->role != ROLE_TEACHER && r->role != ROLE_STUDENT && r->role != ROLE_SERVER) {
        refuse(co, in, RT_INVALID, false, "unknown role");
        return false;
    }
    if (r->role == ROLE_SERVER && r->shard >= co->config->launch.servers) {
        snprintf(text, sizeof text, "shard %" PRIu32 " of launch.servers = %" PRIu64, r->shard,
                 co->config->launch.servers);
        refuse(co, in, RT_INVALID, false, text);
        return false;
    }
    return true;
}

static void on_register(coordinator *co, const net_incoming *in)
{
    member *who = NULL;
    const wire_message *m = &in->message;
    if (!register_fits(co, in)) return;
    const member *old = membership_find(co->members, m->sender);
    bool had_left = old != NULL && old->told_finished;
    member_verdict verdict = membership_register(co->members, m->sender, m->incarnation,
                                                 &m->register_, co->now_ms, &who);
    switch (verdict) {
    case MEMBER_OLDER:
        refuse(co, in, RT_REFUSED, false, "a newer process of this name is in the run");
        return;
    case MEMBER_SHARD_TAKEN:
        refuse(co, in, RT_UNAVAILABLE, false, "another living server has this shard");
        return;
    case MEMBER_TOO_MANY: refuse(co, in, RT_FULL, false, "too many members"); return;
    case MEMBER_BAD_NAME:
        refuse(co, in, RT_INVALID, false, "its name is empty or longer than 63 bytes");
        return;
    case MEMBER_UNKNOWN: return; /* not an answer to a registration */
    case MEMBER_SAME:
    case MEMBER_NEW:
    case MEMBER_REPLACED:
    case MEMBER_REVIVED: break;
    }
    if (verdict == MEMBER_REPLACED) {
        co->n_restarts += !had_left;
        take_work_back(co, who);
    }
    if (verdict != MEMBER_SAME) {
        rt_log_info("member.joined", "name=%s role=%s host=%s pid=%" PRId64 " endpoint=%s again=%d",
                    who->name, wire_role_name(who->role), who->host, who->pid, who->endpoint,
                    verdict != MEMBER_NEW);
        tell(co, EVENT_MEMBER, who->name, "%s, process %" PRId64 " on %s",
             verdict == MEMBER_NEW ? "joined" : "joined again", who->pid, who->host);
    }
    answer_run_state(co, in, who);
}

static void on_lease_request(coordinator *co, const net_incoming *in, const member *who)
{
    lease l;
    bool granted = false;
    rt_error why = {0};
    rt_status st = RT_OK;
    wire_leased_example *list = NULL;
    example *examples = NULL;
    uint64_t n = 0;
    wire_message m = {.type = WIRE_LEASE_GRANT,
                      .lease_grant = {.retry_ms = co->smoke.state == SMOKE_WAITING
                                                      ? SMOKE_RETRY_MS
                                                      : LEASE_RETRY_MS}};
    if (phase_of_role(co, ROLE_TEACHER) == PHASE_RUNNING)
        st = lease_table_grant(co->leases, who->name, in->message.lease_request.n_shards_held,
                               co->now_ms, &l, &granted, &why);
    if (st != RT_OK || !granted) goto out;
    uint64_t first = lease_table_range(co->leases, l.shard, &n);
    list = rt_calloc(n, sizeof *list);
    examples = rt_calloc(n, sizeof *examples);
    if (list == NULL || examples == NULL) goto out;
    for (uint64_t i = 0; i < n; i++) {
        example *e = &examples[i];
        if ((st = corpus_source_read(co->corpus, first + i, e, &why)) != RT_OK) goto out;
        list[i] = (wire_leased_example){.id = e->id,
                                        .input = e->input,
                                        .source_id = e->source_id == NULL ? "" : e->source_id,
                                        .gold = e->gold,
                                        .done = lease_table_is_archived(co->leases, first + i) ||
                                                (l.only != LEASE_WHOLE && l.only != first + i)};
    }
    m.lease_grant = (wire_lease_grant){.granted = true,
                                       .shard = l.shard,
                                       .lease = l.id,
                                       .lease_ms = co->config->label.lease_ms,
                                       .retry_ms = LEASE_RETRY_MS,
                                       .examples = list,
                                       .n_examples = n};
    fault_point("coordinator.leasing");
    rt_log_debug("lease.granted", "shard=%" PRIu64 " lease=%" PRIu64 " alone=%d worker=%s", l.shard,
                 l.id, l.only != LEASE_WHOLE, who->name);
out:
    if (st != RT_OK) rt_log_error("lease.grant", "worker=%s %s", who->name, why.text);
    send_answer(co, in, &m);
    for (uint64_t i = 0; examples != NULL && i < n; i++) example_free(&examples[i]);
    free(examples);
    free(list);
}

static void on_lease_done(coordinator *co, const net_incoming *in, const member *who)
{
    const wire_lease_done *d = &in->message.lease_done;
    if (d->given_back) {
        if (lease_table_give_back(co->leases, who->name, d->shard, d->lease)) {
            rt_log_info("lease.given_back", "shard=%" PRIu64 " worker=%s", d->shard, who->name);
            tell(co, EVENT_LEASE, who->name, "stops, and gives a shard back");
        }
    } else {
        bool known = lease_table_told_done(co->leases, who->name, d->shard, d->lease);
        rt_log_debug("lease.done", "shard=%" PRIu64 " worker=%s known=%d", d->shard, who->name,
                     known);
    }
    ack(co, in);
}

static void on_eval_result(coordinator *co, const net_incoming *in)
{
    const wire_eval_result *r = &in->message.eval_result;
    if (eval_board_result(co->board, r->version, r->index, &r->sums))
        co->eval_progress_ms = co->now_ms;
    ack(co, in);
}

static void send_order(coordinator *co, const net_peer *to, uint32_t shard, uint64_t message_id,
                       const wire_server_order *order)
{
    rt_error why = {0};
    wire_message m = {.type = WIRE_SERVER_ORDER, .message_id = message_id, .server_order = *order};
    co->peers[shard].last = *order;
    co->peers[shard].last.folder = NULL;
    if (net_server_send(co->net, to, &m, NULL, 0, &why) != RT_OK)
        rt_log_debug("order.send", "shard=%" PRIu32 " %s", shard, why.text);
}

void send_orders(coordinator *co)
{
    char folder[RUN_PATH_SIZE];
    for (uint32_t i = 0; i < co->config->launch.servers; i++) {
        wire_server_order o;
        shard_peer *p = &co->peers[i];
        if (!p->known) continue;
        train_stage_order(co, i, &o, folder);
        bool is_same = o.kind == p->last.kind && o.generation == p->last.generation &&
                       o.version == p->last.version;
        /* Beyond a mark shards take gradients only when they are told: at once. */
        bool opens = co->config->train.mode != TRAIN_SYNC && o.limit != p->last.limit;
        if ((o.kind != ORDER_WAIT && !is_same) || opens) send_order(co, &p->peer, i, 0, &o);
    }
}

static void on_server_report(coordinator *co, const net_incoming *in, const member *who)
{
    rt_error why = {0};
    wire_server_order o;
    char folder[RUN_PATH_SIZE];
    const wire_server_report *r = &in->message.server_report;
    if (who->role != ROLE_SERVER || r->shard != who->shard) {
        refuse(co, in, RT_INVALID, false, "a report of a shard that the sender does not hold");
        return;
    }
    rt_status st = step_control_report(co->steps, r, who->session, &why);
    if (st != RT_OK) rt_log_error("server.report", "%s", why.text);
    co->peers[r->shard].known = true;
    co->peers[r->shard].peer = in->peer;
    train_stage_order(co, r->shard, &o, folder);
    send_order(co, &in->peer, r->shard, in->message.message_id, &o);
    send_orders(co);
}

static void on_quota_report(coordinator *co, const net_incoming *in, const member *who)
{
    wire_message m = {.type = WIRE_QUOTA_GRANT};
    if (who->role != ROLE_TEACHER) {
        refuse(co, in, RT_INVALID, false, "only teachers share limits and money");
        return;
    }
    /* No answer is as good as a lost one: the teacher reports again. */
    if (quota_stage_report(&co->money, who->name, in->message.incarnation,
                           &in->message.quota_report, co->now_ms, &m.quota_grant))
        send_answer(co, in, &m);
}

/* The sender of anything but a registration must be a member; others are told what to do. */
static member *known_sender(coordinator *co, const net_incoming *in)
{
    member *who = NULL;
    const wire_message *m = &in->message;
    const member *named = membership_find(co->members, m->sender);
    if (named != NULL && !key_fits(co, in, named->role)) return NULL;
    switch (membership_touch(co->members, m->sender, m->incarnation, co->now_ms, &who)) {
    case MEMBER_REVIVED:
        rt_log_info("member.back", "name=%s", m->sender);
        tell(co, EVENT_MEMBER, m->sender, "is back");
        return who;
    case MEMBER_SAME: return who;
    case MEMBER_OLDER:
        refuse(co, in, RT_REFUSED, false, "a newer process of this name is in the run");
        return NULL;
    case MEMBER_UNKNOWN:
    case MEMBER_NEW:
    case MEMBER_REPLACED:
    case MEMBER_SHARD_TAKEN:
    case MEMBER_TOO_MANY:
    case MEMBER_BAD_NAME: break;
    }
    refuse(co, in, RT_NOTFOUND, true, "not a member of this run: register first");
    return NULL;
}

void on_message(coordinator *co, const net_incoming *in)
{
    if (in->message.type == WIRE_REGISTER) {
        on_register(co, in);
        return;
    }
    member *who = known_sender(co, in);
    if (who == NULL) return;
    if (who->role == ROLE_TEACHER) lease_table_renew(co->leases, who->name, co->now_ms);
    switch (in->message.type) {
    case WIRE_HEARTBEAT:
        membership_heartbeat(who, &in->message.heartbeat);
        answer_run_state(co, in, who);
        break;
    case WIRE_LEASE_REQUEST: on_lease_request(co, in, who); break;
    case WIRE_LEASE_DONE: on_lease_done(co, in, who); break;
    case WIRE_EVAL_RESULT: on_eval_result(co, in); break;
    case WIRE_SERVER_REPORT: on_server_report(co, in, who); break;
    case WIRE_QUOTA_REPORT: on_quota_report(co, in, who); break;
    default:
        refuse(co, in, RT_UNSUPPORTED, false, "the coordinator does not take this kind of message");
        break;
    }
}
