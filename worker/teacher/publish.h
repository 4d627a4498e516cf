/* Records of a shard into the stream LABELS, not faster than the coordinator archives them. */
#ifndef RT_WORKER_TEACHER_PUBLISH_H
#define RT_WORKER_TEACHER_PUBLISH_H

#include "common/dataset/label_record.h"
#include "worker/runtime/runtime.h"

/* Append every record that has an outcome (label or reason). Waits while the stream holds
 * queue.labels_max entries, and while Redis is away or its stream is gone. A repeat after a failure
 * in the middle is harmless: the archive drops it by id. RT_CANCELLED when asked to stop and the
 * stream does not take the records within grace_ms. */
RT_MUST_USE rt_status publish_records(runtime *rt, queue *q, const char *stream,
                                      const label_record *records, size_t n, uint64_t grace_ms,
                                      rt_error *err);

#endif
