#include "worker/teacher/openai/rate_limit.h"

/* A whole limit is taken to be there again after this, should no header come any more. */
#define REFILL_MS 1000

static bool side_allows(const rate_limit *l, rate_limit_side *s, uint64_t n_flying, uint64_t need,
                        uint64_t now_ms, uint64_t *retry_ms)
{
    if (!s->known) return true;
    if (now_ms >= s->reset_at_ms) {
        s->known = s->n_limit > 0;
        s->n_left = s->n_limit;
        s->n_sent = l->n_sent;
        s->reset_at_ms = now_ms + REFILL_MS;
        if (!s->known) return true;
    }
    if (s->n_left >= n_flying + need) return true;
    /* What is larger than the whole limit is let go alone: it is the server's to refuse. */
    if (n_flying == 0 && s->n_left == s->n_limit) return true;
    *retry_ms = RT_MAX(*retry_ms, s->reset_at_ms - now_ms);
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

static void take_quota(const rate_limit *l, rate_limit_side *s, uint64_t number,
                       const openai_quota *q, uint64_t now_ms)
{
    if (!q->known) return;
    bool is_later = !s->known || number >= s->n_sent;
    if (is_later || q->n_left < s->n_left) {
        s->n_left = q->n_left;
        s->n_sent = l->n_sent;
    }
    s->known = true;
    s->n_limit = q->n_limit;
    s->reset_at_ms = now_ms + q->reset_ms;
}

void rate_limit_on_headers(rate_limit *l, uint64_t number, const openai_headers *h, uint64_t now_ms)
{
    take_quota(l, &l->requests, number, &h->requests, now_ms);
    take_quota(l, &l->tokens, number, &h->tokens, now_ms);
}

void rate_limit_on_silence(rate_limit *l, const rate_limit_load *load)
{
    l->requests.n_left -= RT_MIN(l->requests.n_left, load->n_requests);
    l->tokens.n_left -= RT_MIN(l->tokens.n_left, load->n_tokens);
}
