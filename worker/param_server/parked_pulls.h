/* Students that wait for a version: parked for a moment, so that nobody polls.
 *
 *     parked_pulls_add(&parked, &pull);
 *     while (parked_pulls_take(&parked, version_now, now_ms, &pull)) answer(&pull);
 *
 * At most PARKED_PULLS_MAX wait, one for each peer; what does not fit is answered at once.
 */
#ifndef RT_WORKER_PARAM_SERVER_PARKED_PULLS_H
#define RT_WORKER_PARAM_SERVER_PARKED_PULLS_H

#include "common/net/endpoint.h"

#define PARKED_PULLS_MAX 256

typedef struct parked_pull {
    net_peer peer;
    uint64_t message_id;
    wire_pull pull;
    uint64_t version; /* that answers it */
    uint64_t since_ms, until_ms;
} parked_pull;

/* Zero-initialise; owns nothing. */
typedef struct parked_pulls {
    parked_pull items[PARKED_PULLS_MAX];
    size_t n;
} parked_pulls;

/* A peer's newer pull replaces its older one. False when full. */
bool parked_pulls_add(parked_pulls *p, const parked_pull *pull);
/* Take one whose version is `held` or older, or whose time is over; false when there is none. */
bool parked_pulls_take(parked_pulls *p, bool has_params, uint64_t held, uint64_t now_ms,
                       parked_pull *out);
/* When the next one's time is over; UINT64_MAX when none waits. */
uint64_t parked_pulls_next_ms(const parked_pulls *p);

#endif
