/* Asking the coordinator for a shard, and telling it that one is done. */
#ifndef RT_WORKER_TEACHER_TAKE_SHARD_H
#define RT_WORKER_TEACHER_TAKE_SHARD_H

#include "worker/runtime/runtime.h"

/* A granted shard; owns the message it came in. Zero-initialise; leased_shard_free(). */
typedef struct leased_shard {
    net_incoming message;
    const wire_lease_grant *grant; /* inside message */
} leased_shard;
void leased_shard_free(leased_shard *shard);

/* RT_OK with a shard; RT_END with *retry_ms when there is none now, also when the coordinator is
 * away, asks us to register again (the heartbeat does that), or all is over. */
RT_MUST_USE rt_status take_shard(runtime *rt, leased_shard *out, uint64_t *retry_ms);
/* Records of the shard are all in the stream. A lost report is harmless: the archive tells. */
void report_shard_done(runtime *rt, const wire_lease_grant *grant, uint64_t n_labelled,
                       uint64_t n_rejected);
/* The shard will not be finished: this process was asked to stop. One line that may be lost: then its lease
 * ends with the silence of its holder. */
void give_shard_back(runtime *rt, const wire_lease_grant *grant);

#endif
