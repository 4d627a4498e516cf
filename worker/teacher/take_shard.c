#include "worker/teacher/take_shard.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"

#define RETRY_MS_DEFAULT 500
#define RETRY_MS_MAX     10000
#define WAIT_MS          50

void leased_shard_free(leased_shard *shard)
{
    if (shard == NULL) return;
    if (shard->grant != NULL) net_incoming_free(&shard->message);
    memset(shard, 0, sizeof *shard);
}

/* Over: stopping, or every example is accounted for. */
static bool is_over(runtime *rt)
{
    return runtime_stopping(rt) || runtime_phase(rt) == PHASE_FINISHED;
}

/* The answer to `message_id`, in short waits: the coordinator may be gone for good once the
 * heartbeat has brought its last word. A grant that comes too late is given again, because we say
 * that we hold nothing. RT_TIMEOUT also when it is over. */
static rt_status wait_answer(runtime *rt, uint64_t message_id, net_incoming *out, rt_error *err)
{
    uint64_t until_ms = rt_clock_mono_ms() + runtime_config(rt)->net.request_timeout_ms;
    while (!is_over(rt) && rt_clock_mono_ms() < until_ms) {
        net_incoming in = {0};
        rt_status st = net_client_receive(runtime_coordinator(rt), WAIT_MS, &in, err);
        if (st == RT_TIMEOUT) continue;
        if (st != RT_OK) return st;
        if (in.message.message_id == message_id) {
            *out = in;
            return RT_OK;
        }
        net_incoming_free(&in);
    }
    return rt_fail(err, RT_TIMEOUT, "no answer from the coordinator");
}

rt_status take_shard(runtime *rt, leased_shard *out, uint64_t *retry_ms)
{
    rt_error why = {0};
    uint64_t id = 0;
    net_incoming answer = {0};
    wire_message ask = {.type = WIRE_LEASE_REQUEST, .lease_request = {.n_shards_held = 0}};
    *retry_ms = RETRY_MS_DEFAULT;
    rt_status st = net_client_send(runtime_coordinator(rt), &ask, NULL, 0, &id, &why);
    if (st == RT_OK) st = wait_answer(rt, id, &answer, &why);
    if (st == RT_OK && answer.message.type == WIRE_LEASE_GRANT) {
        const wire_lease_grant *grant = &answer.message.lease_grant;
        if (grant->granted && grant->n_examples > 0) {
            out->message = answer;
            out->grant = &out->message.message.lease_grant;
            return RT_OK;
        }
        if (grant->retry_ms > 0) *retry_ms = RT_MIN(grant->retry_ms, RETRY_MS_MAX);
    } else if (st == RT_OK && answer.message.type == WIRE_REFUSED) {
        rt_log_debug("teacher.lease_refused", "why=\"%s\"", answer.message.refused.text);
    } else {
        rt_log_debug("teacher.no_lease", "%s", why.text);
    }
    if (st == RT_OK) net_incoming_free(&answer);
    return RT_END;
}

void give_shard_back(runtime *rt, const wire_lease_grant *grant)
{
    rt_error why = {0};
    uint64_t id = 0;
    wire_message m = {
        .type = WIRE_LEASE_DONE,
        .lease_done = {.shard = grant->shard, .lease = grant->lease, .given_back = true}};
    rt_log_info("teacher.gives_back", "shard=%" PRIu64, grant->shard);
    if (net_client_send(runtime_coordinator(rt), &m, NULL, 0, &id, &why) != RT_OK)
        rt_log_debug("teacher.gives_back", "%s", why.text);
}

void report_shard_done(runtime *rt, const wire_lease_grant *grant, uint64_t n_labelled,
                       uint64_t n_rejected)
{
    rt_error why = {0};
    uint64_t id = 0;
    net_incoming answer = {0};
    wire_message done = {.type = WIRE_LEASE_DONE,
                         .lease_done = {.shard = grant->shard,
                                        .lease = grant->lease,
                                        .n_labelled = n_labelled,
                                        .n_rejected = n_rejected}};
    rt_status st = net_client_send(runtime_coordinator(rt), &done, NULL, 0, &id, &why);
    if (st == RT_OK) st = wait_answer(rt, id, &answer, &why);
    if (st == RT_OK)
        net_incoming_free(&answer);
    else
        rt_log_debug("teacher.done_not_heard", "shard=%" PRIu64 " why=\"%s\"", grant->shard,
                     why.text);
}
