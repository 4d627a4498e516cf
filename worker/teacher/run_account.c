#include "worker/teacher/run_account.h"

#include <inttypes.h>

#include "common/base/log.h"

allowance_account run_account_of(const config *c, uint64_t stale_ms)
{
    return (allowance_account){.prices = price_table_of(c),
                               .tokens_per_minute = c->limits.tokens_per_minute,
                               .stale_ms = stale_ms};
}

void run_account_settle(allowance_account *a, const allowance_need *need, allowance_use *use,
                        uint64_t now_ms)
{
    uint64_t n_before = a->n_overruns;
    allowance_account_settle(a, need, use, now_ms);
    if (a->n_overruns == n_before) return;
    rt_log_warn("allowance.overrun",
                "expected_tokens=%" PRIu64 " used_tokens=%" PRIu64
                " why=\"the server used more than the request allowed; limits count it late\"",
                need->n_prompt_tokens + need->n_completion_tokens,
                use->n_prompt_tokens + use->n_completion_tokens);
}
