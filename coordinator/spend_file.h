/* <run>/spend.json: what the run has cost so far, for people and for the next coordinator.
 *
 *     {"currency": "USD", "budget": 5.0, "spent": 1.25, "lost_in_flight": 0.01, "requests": 840,
 *      "prompt_tokens": 590000, "cached_tokens": 0, "completion_tokens": 75000,
 *      "stopped": "",                        "budget": labelling ended here
 *      "typical_cost": 1500000,              10^-9 of the currency, like all below
 *      "closed": {"requests": ..., "cost": ..., "lost": ...},
 *      "accounts": [{"name": "teacher-0", "incarnation": ..., "cost": ..., "held": ...}]}
 *
 * Of an account everything up to `held` may be paid: it is in the file before the teacher hears of
 * it. Read again, all of it counts as spent until its process comes back and says what it used.
 */
#ifndef RT_COORDINATOR_SPEND_FILE_H
#define RT_COORDINATOR_SPEND_FILE_H

#include "common/base/bytes.h"
#include "coordinator/quota.h"

#define SPEND_FILE_BYTES_MAX (16u << 20)

/* What is not in the quota. */
typedef struct spend_facts {
    const char *currency;
    uint64_t budget; /* 0: none */
    bool stopped;    /* labelling ended because the budget was spent */
} spend_facts;

/* Marks as durable what it writes: with `ahead`, some more than is held now, so that not every
 * grant needs a write. */
RT_MUST_USE rt_status spend_to_json(quota *q, const spend_facts *facts, bool ahead, rt_buf *out,
                                    rt_error *err);
/* Into a quota without accounts. RT_CORRUPT says what is wrong; the quota is then of no use. */
RT_MUST_USE rt_status spend_from_json(const char *text, size_t n, quota *q, bool *stopped,
                                      rt_error *err);

#endif
