/* The median of the latest latencies, for telling a straggler. Pure. */
#ifndef RT_WORKER_TEACHER_OPENAI_LATENCY_H
#define RT_WORKER_TEACHER_OPENAI_LATENCY_H

#include "common/base/status.h"

#define LATENCIES_KEPT 64
#define LATENCIES_MIN  16 /* fewer make no median */

/* Zero-initialise. */
typedef struct latencies {
    uint64_t ms[LATENCIES_KEPT]; /* ring */
    uint64_t n;
} latencies;

void latencies_add(latencies *l, uint64_t ms);
/* False when there are too few. */
bool latencies_median(const latencies *l, uint64_t *out_ms);

#endif
