#include "worker/teacher/openai/rate_limit.h"

/* A whole limit is not there again earlier than this, should no header come any more. */
#define REFILL_MS_MIN 1000
/* How far the reset of a window may seem to move: clocks tick in milliseconds, and some servers tell
 * whole seconds. */
#define EXACT_SLACK_MS   5
#define SECONDS_SLACK_MS 1000

/* Left by now, what was filled in since included. */
static double left_of(const rate_limit_side *s, uint64_t now_ms)
{
    if (!s->is_even || s->period_ms == 0 || s->n_limit == 0 || now_ms <= s->heard_ms)
        return s->n_left;
    double more = (double)s->n_limit * (double)(now_ms - s->heard_ms) / (double)s->period_ms;
    return RT_MIN(s->n_left + more, RT_MAX((double)s->n_limit, s->n_left));
}

static uint64_t wait_of(const rate_limit_side *s, double missing, uint64_t now_ms)
{
    uint64_t wait_ms = s->reset_at_ms - now_ms;
    if (s->is_even && s->period_ms > 0 && s->n_limit > 0) {
        double even_ms = missing * (double)s->period_ms / (double)s->n_limit;
        if (even_ms < (double)wait_ms) wait_ms = (uint64_t)even_ms + 1;
    }
    if (s->retry_at_ms > now_ms) wait_ms = RT_MIN(wait_ms, s->retry_at_ms - now_ms);
    return wait_ms;
}

static bool side_allows(const rate_limit *l, rate_limit_side *s, uint64_t n_flying, uint64_t need,
                        uint64_t now_ms, uint64_t *retry_ms)
{
    if (!s->known) return true;
    if (now_ms >= s->reset_at_ms) {
        s->known = s->n_limit > 0;
        s->n_left = (double)s->n_limit;
        s->heard_ms = now_ms;
        s->n_sent = l->n_sent;
        s->reset_at_ms = now_ms + RT_MAX(s->reset_ms, (uint64_t)REFILL_MS_MIN);
        s->retry_at_ms = 0;
        if (!s->known) return true;
    }
    double left = left_of(s, now_ms), wanted = (double)n_flying + (double)need;
    if (left >= wanted) return true;
    /* What is larger than the whole limit is let go alone: it is the server's to refuse. And the
     * server itself said when one may come again. */
    bool is_whole = left >= (double)s->n_limit;
    bool may_retry = s->retry_at_ms > 0 && now_ms >= s->retry_at_ms;
    if (n_flying == 0 && (is_whole || may_retry)) return true;
    *retry_ms = RT_MAX(*retry_ms, wait_of(s, wanted - left, now_ms));
    return false;
}

bool rate_limit_allows(rate_limit *l, const rate_limit_load *flying, const rate_limit_load *need,
                       uint64_t now_ms, uint64_t *retry_ms)
{
    *retry_ms = 0;
    bool requests =
        side_allows(l, &l->requests, flying->n_requests, need->n_requests, now_ms, retry_ms);
    bool tokens = side_allows(l, &l->tokens, flying->n_tokens, need->n_tokens, now_ms, retry_ms);
    return requests && tokens;
}

uint64_t rate_limit_on_send(rate_limit *l)
{
    return l->n_sent++;
}

/* Whether the reset moved as only a bucket's does. */
static void learn_kind(rate_limit_side *s, const openai_quota *q, uint64_t sent_ms, uint64_t now_ms)
{
    uint64_t slack_ms = q->is_exact ? EXACT_SLACK_MS : SECONDS_SLACK_MS;
    uint64_t from_ms = sent_ms + q->reset_ms, to_ms = now_ms + q->reset_ms + slack_ms;
    /* A window may have begun anew since: neither belongs to the same one for sure. */
    if (now_ms + slack_ms >= from_ms) return;
    if (!s->has_reset || now_ms + slack_ms >= s->reset_from_ms) {
        s->has_reset = true;
        s->reset_from_ms = from_ms;
        s->reset_to_ms = to_ms;
        return;
    }
    if (from_ms > s->reset_to_ms + slack_ms) s->is_even = true;
    s->reset_to_ms = RT_MIN(s->reset_to_ms, to_ms);
}

static void learn_period(rate_limit_side *s, const openai_quota *q)
{
    if (q->n_limit == 0 || q->n_left + 2 > q->n_limit) return;
    uint64_t reset_ms = q->reset_ms + (q->is_exact ? 1 : SECONDS_SLACK_MS);
    double period_ms = (double)reset_ms * (double)q->n_limit / (double)(q->n_limit - q->n_left - 1);
    if (period_ms >= 1e15) return;
    if (s->period_ms == 0 || period_ms < (double)s->period_ms) s->period_ms = (uint64_t)period_ms;
}

static void take_quota(const rate_limit *l, rate_limit_side *s, const rate_limit_sent *sent,
                       const openai_quota *q, const openai_headers *h, uint64_t now_ms)
{
    if (!q->known) return;
    if (s->n_limit != q->n_limit) *s = (rate_limit_side){0};
    bool is_later = !s->known || sent->number >= s->n_sent;
    if (is_later || (double)q->n_left < left_of(s, now_ms)) {
        s->n_left = (double)q->n_left;
        s->heard_ms = now_ms;
        s->n_sent = l->n_sent;
        s->retry_at_ms = sent->was_refused && h->has_retry ? now_ms + h->retry_ms : 0;
    }
    s->known = true;
    s->n_limit = q->n_limit;
    s->reset_at_ms = now_ms + q->reset_ms;
    s->reset_ms = RT_MAX(s->reset_ms, q->reset_ms);
    learn_kind(s, q, sent->sent_ms, now_ms);
    learn_period(s, q);
}

void rate_limit_on_headers(rate_limit *l, const rate_limit_sent *sent, const openai_headers *h,
                           uint64_t now_ms)
{
    take_quota(l, &l->requests, sent, &h->requests, h, now_ms);
    take_quota(l, &l->tokens, sent, &h->tokens, h, now_ms);
}

void rate_limit_on_silence(rate_limit *l, const rate_limit_load *load)
{
    l->requests.n_left -= RT_MIN(l->requests.n_left, (double)load->n_requests);
    l->tokens.n_left -= RT_MIN(l->tokens.n_left, (double)load->n_tokens);
}

allowance_limit rate_limit_told(const rate_limit_side *s, const openai_quota *q,
                                const openai_headers *h, bool was_refused)
{
    if (!q->known) return (allowance_limit){0};
    return (allowance_limit){.known = true,
                             .n_limit = q->n_limit,
                             .n_left = q->n_left,
                             .reset_ms = q->reset_ms,
                             .period_ms = s->is_even ? s->period_ms : 0,
                             .retry_ms = was_refused && h->has_retry ? h->retry_ms : 0};
}
