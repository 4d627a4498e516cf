#include "coordinator/fair_share.h"

/* Whether the pool pays for min(n_wanted, n_each) requests of everybody, and what is left then.
 * Doubles do: a caller bounds what it gives away by what is really free, in whole numbers. */
static bool pays_for_all(const share_wish *wishes, size_t n, const share_pool *pool,
                         uint64_t n_each, double left[RESOURCE_COUNT])
{
    for (int r = 0; r < RESOURCE_COUNT; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)RT_MIN(wishes[i].n_wanted, n_each) * (double)wishes[i].need.of[r];
        left[r] = (double)pool->of[r] - sum;
        if (left[r] < 0 && sum > 0) return false;
    }
    return true;
}

static bool is_ahead(const share_wish *wishes, size_t i, size_t i_mine)
{
    if (wishes[i].served_ms != wishes[i_mine].served_ms)
        return wishes[i].served_ms < wishes[i_mine].served_ms;
    return i <= i_mine;
}

uint64_t fair_share(const share_wish *wishes, size_t n, const share_pool *pool, size_t i_mine)
{
    double left[RESOURCE_COUNT] = {0};
    uint64_t low = 0, high = 0; /* each gets at least low, and not more than high */
    for (size_t i = 0; i < n; i++) high = RT_MAX(high, wishes[i].n_wanted);
    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        if (pays_for_all(wishes, n, pool, middle, left))
            low = middle;
        else
            high = middle - 1;
    }
    if (wishes[i_mine].n_wanted <= low) return wishes[i_mine].n_wanted;
    /* One more for each in line, mine included, as far as it goes. */
    (void)pays_for_all(wishes, n, pool, low, left);
    for (int r = 0; r < RESOURCE_COUNT; r++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            if (wishes[i].n_wanted > low && is_ahead(wishes, i, i_mine))
                sum += (double)wishes[i].need.of[r];
        if (sum > 0 && sum > left[r]) return low;
    }
    return low + 1;
}

uint64_t share_pool_pays(const share_pool *pool, const wire_amounts *need)
{
    uint64_t n = UINT64_MAX;
    for (int r = 0; r < RESOURCE_COUNT; r++) {
        if (need->of[r] == 0 || pool->of[r] == INT64_MAX) continue;
        uint64_t room = pool->of[r] > 0 ? (uint64_t)pool->of[r] : 0;
        n = RT_MIN(n, room / need->of[r]);
    }
    return n;
}
