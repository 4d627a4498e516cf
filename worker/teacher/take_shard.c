#include "worker/teacher/take_shard.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/log.h"

#define RETRY_MS_DEFAULT 500
#define RETRY_MS_MAX     10000

void leased_shard_free(leased_shard *shard)
{
    if (shard == NULL) return;
    if (shard->grant != NULL) net_incoming_free(&shard->message);
    memset(shard, 0, sizeof *shard);
}

rt_status take_shard(runtime *rt, leased_shard *out, uint64_t *retry_ms, rt_error *err)
{
    rt_error why = {0};
    net_incoming answer = {0};
    wire_message ask = {.type = WIRE_LEASE_REQUEST, .lease_request = {.n_shards_held = 0}};
    *retry_ms = RETRY_MS_DEFAULT;
    rt_status st = net_client_request(runtime_coordinator(rt), &ask, NULL, 0,
                                      runtime_config(rt)->net.request_timeout_ms, &answer, &why);
    if (st == RT_CANCELLED) return rt_fail(err, st, "%s", why.text);
    if (st == RT_OK && answer.message.type == WIRE_LEASE_GRANT) {
        const wire_lease_grant *grant = &answer.message.lease_grant;
        if (grant->granted && grant->n_examples > 0) {
            out->message = answer;
            out->grant = &out->message.message.lease_grant;
            return RT_OK;
        }
        if (grant->retry_ms > 0) *retry_ms = RT_MIN(grant->retry_ms, RETRY_MS_MAX);
    } else if (st == RT_OK) {
        rt_log_warn("teacher.lease_answer", "type=%s expected=lease_grant",
                    wire_type_name(answer.message.type));
    } else {
        rt_log_debug("teacher.no_lease", "%s", why.text);
    }
    net_incoming_free(&answer);
    return RT_END;
}

void report_shard_done(runtime *rt, const wire_lease_grant *grant, uint64_t n_labelled,
                       uint64_t n_rejected)
{
    rt_error why = {0};
    net_incoming answer = {0};
    wire_message done = {.type = WIRE_LEASE_DONE,
                         .lease_done = {.shard = grant->shard,
                                        .lease = grant->lease,
                                        .n_labelled = n_labelled,
                                        .n_rejected = n_rejected}};
    rt_status st = net_client_request(runtime_coordinator(rt), &done, NULL, 0,
                                      runtime_config(rt)->net.request_timeout_ms, &answer, &why);
    if (st != RT_OK)
        rt_log_info("teacher.done_not_heard", "shard=%" PRIu64 " why=\"%s\"", grant->shard,
                    why.text);
    net_incoming_free(&answer);
}
