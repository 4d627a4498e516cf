#include "cli/doctor/redis_verdict.h"

#include <string.h>

#include "cli/doctor/needs.h"

#define RECORD_BYTES      1000 /* beside its texts: meta, the stream's own */
#define MICRO_BATCH_BYTES 2000
#define TOKEN_BYTES       8 /* its id, and its share of positions and weights */

uint64_t redis_need_of(const config *c, uint64_t input_bytes_mean, uint64_t answer_bytes_max)
{
    double label = (double)input_bytes_mean + (double)answer_bytes_max + RECORD_BYTES;
    double batch = TOKEN_BYTES * (double)c->train.micro_batch_tokens + MICRO_BATCH_BYTES;
    double sum = (double)c->queue.labels_max * label + (double)c->queue.batches_max * batch;
    return sum < 9e18 ? (uint64_t)sum : (uint64_t)9e18;
}

finding redis_verdict(const char *where, const queue_server_info *info, uint64_t need)
{
    char most[BYTES_TEXT_SIZE], free_text[BYTES_TEXT_SIZE], text[BYTES_TEXT_SIZE];
    uint64_t n_free = info->maxmemory - RT_MIN(info->used_memory, info->maxmemory);
    finding f;
    bytes_text(need, text);
    if (strcmp(info->role, "slave") == 0) {
        f = finding_fail(RT_REFUSED, "Redis %s at %s is a replica: it takes no writes",
                         info->version, where);
        finding_expect(&f, "the primary");
        finding_fix(&f, "set queue.url to the primary");
        return f;
    }
    if (info->maxmemory == 0) { /* then nothing is evicted, whatever the policy */
        f = finding_ok("Redis %s at %s, without a limit of memory; the queues take up to %s",
                       info->version, where, text);
        finding_expect(&f, "Redis 6.2 or newer");
        return f;
    }
    bytes_text(info->maxmemory, most);
    bytes_text(n_free, free_text);
    if (strcmp(info->policy, "noeviction") != 0) {
        f = finding_warn("Redis %s at %s has maxmemory %s and maxmemory-policy %s: a whole queue "
                         "may be evicted, and is then filled again",
                         info->version, where, most, info->policy);
        finding_expect(&f, "maxmemory-policy noeviction");
        finding_fix(&f, "CONFIG SET maxmemory-policy noeviction");
        return f;
    }
    if (n_free < need) {
        f = finding_warn("Redis %s at %s has %s left of maxmemory %s; the queues take up to %s",
                         info->version, where, free_text, most, text);
        finding_expect(&f, "%s or more", text);
        finding_fix(&f, "raise maxmemory, or lower queue.labels_max or queue.batches_max");
        return f;
    }
    f = finding_ok("Redis %s at %s, %s left of maxmemory %s; the queues take up to %s",
                   info->version, where, free_text, most, text);
    finding_expect(&f, "Redis 6.2 or newer, noeviction, %s or more", text);
    return f;
}
