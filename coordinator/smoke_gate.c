#include "coordinator/smoke_gate.h"

smoke_gate smoke_gate_new(uint64_t n_wanted, uint64_t shard_size, uint64_t n_examples,
                          double share_max)
{
    RT_ASSERT(shard_size > 0);
    smoke_gate g = {.state = SMOKE_PASSED, .shard_size = shard_size, .share_max = share_max};
    if (n_wanted == 0 || n_wanted >= n_examples) return g;
    uint64_t n_shards = (n_wanted - 1) / shard_size + 1;
    if (n_shards > (n_examples - 1) / shard_size) return g; /* the last shard is among them */
    g.n_rows = n_shards * shard_size;
    g.state = SMOKE_WAITING;
    return g;
}

void smoke_gate_skip(smoke_gate *g)
{
    g->state = SMOKE_PASSED;
    g->n_rows = 0;
}

uint64_t smoke_gate_n_shards(const smoke_gate *g)
{
    return g->state == SMOKE_PASSED ? UINT64_MAX : g->n_rows / g->shard_size;
}

bool smoke_gate_see(smoke_gate *g, uint64_t n_labelled, uint64_t n_rejected)
{
    if (g->state != SMOKE_WAITING) return false;
    g->n_labelled = n_labelled;
    g->n_rejected = n_rejected;
    if ((double)n_rejected > g->share_max * (double)g->n_rows)
        g->state = SMOKE_FAILED; /* whatever the others will be */
    else if (n_labelled + n_rejected == g->n_rows)
        g->state = SMOKE_PASSED;
    return g->state != SMOKE_WAITING;
}
