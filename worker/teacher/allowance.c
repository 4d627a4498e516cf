#include "worker/teacher/allowance.h"

allowance_verdict allowance_take(allowance *a, allowance_need *need, uint64_t now_ms,
                                 uint64_t *retry_ms)
{
    return a == NULL ? ALLOWANCE_GO : a->ops->take(a->self, need, now_ms, retry_ms);
}

void allowance_settle(allowance *a, const allowance_need *need, allowance_use *use, uint64_t now_ms)
{
    if (a != NULL) a->ops->settle(a->self, need, use, now_ms);
}

void allowance_hear(allowance *a, const allowance_limit *requests, const allowance_limit *tokens,
                    uint64_t after, uint64_t now_ms)
{
    if (a != NULL) a->ops->hear(a->self, requests, tokens, after, now_ms);
}

void allowance_turn(allowance *a, uint64_t now_ms)
{
    if (a != NULL) a->ops->turn(a->self, now_ms);
}

void allowance_rest(allowance *a, uint64_t now_ms)
{
    if (a != NULL) a->ops->rest(a->self, now_ms);
}

void allowance_close(allowance *a)
{
    if (a != NULL) a->ops->close(a->self);
}
