/* Max-min fairness among those who wait: everybody gets as many requests as everybody else, nobody
 * more than it asked for, and what is too little for all goes to who has waited longest. Pure.
 *
 *     n = fair_share(wishes, n_wishes, pool, i_mine);
 *
 * A share is a whole number of requests, because a request needs all of its resources at once: a
 * quarter of its tokens for each of four teachers would help none of them. When the pool cannot pay
 * for the next one in line, nobody behind it gets anything either, so that large requests are not
 * starved by small ones.
 */
#ifndef RT_COORDINATOR_FAIR_SHARE_H
#define RT_COORDINATOR_FAIR_SHARE_H

#include "common/wire/messages.h"

typedef struct share_wish {
    uint64_t n_wanted;  /* requests */
    wire_amounts need;  /* of each of them */
    uint64_t served_ms; /* when it got something last: the smallest is first in line */
} share_wish;

/* What is there for all; INT64_MAX where there is no limit. */
typedef struct share_pool {
    int64_t of[RESOURCE_COUNT];
} share_pool;

/* Requests for wishes[i_mine]. Deterministic; O(n log n_wanted). */
uint64_t fair_share(const share_wish *wishes, size_t n, const share_pool *pool, size_t i_mine);
/* How many requests of this need the pool pays for. */
uint64_t share_pool_pays(const share_pool *pool, const wire_amounts *need);

#endif
