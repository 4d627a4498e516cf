/* Whether a Redis will do as the run's pipe. Pure.
 *
 *     finding f = redis_verdict("unix:/run/redis.sock", &info, redis_need_of(config, 800, 2048));
 */
#ifndef RT_CLI_DOCTOR_REDIS_VERDICT_H
#define RT_CLI_DOCTOR_REDIS_VERDICT_H

#include "cli/doctor/finding.h"
#include "common/conf/config.h"
#include "common/queue/server_info.h"

/* Bytes that lie in Redis when both streams are full: queue.labels_max records and
 * queue.batches_max micro-batches. Saturates. */
uint64_t redis_need_of(const config *c, uint64_t input_bytes_mean, uint64_t answer_bytes_max);

/* `where`: its URL. A server that cannot be reached has no info and is not judged here. */
finding redis_verdict(const char *where, const queue_server_info *info, uint64_t need);

#endif
