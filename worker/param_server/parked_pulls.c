#include "worker/param_server/parked_pulls.h"

#include <string.h>

static bool same_peer(const net_peer *a, const net_peer *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

bool parked_pulls_add(parked_pulls *p, const parked_pull *pull)
{
    size_t i = 0;
    while (i < p->n && !same_peer(&p->items[i].peer, &pull->peer)) i++;
    if (i == PARKED_PULLS_MAX) return false;
    if (i == p->n) p->n++;
    p->items[i] = *pull;
    return true;
}

bool parked_pulls_take(parked_pulls *p, bool has_params, uint64_t held, uint64_t now_ms,
                       parked_pull *out)
{
    for (size_t i = 0; i < p->n; i++) {
        bool there = has_params && p->items[i].version <= held;
        if (!there && p->items[i].until_ms > now_ms) continue;
        *out = p->items[i];
        p->n--;
        memmove(&p->items[i], &p->items[i + 1], (p->n - i) * sizeof *p->items);
        return true;
    }
    return false;
}

uint64_t parked_pulls_next_ms(const parked_pulls *p)
{
    uint64_t next = UINT64_MAX;
    for (size_t i = 0; i < p->n; i++) next = RT_MIN(next, p->items[i].until_ms);
    return next;
}
