#include "tests/support/limit_book.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const names[LIMIT_SIDES] = {"requests", "tokens"};

void limit_book_start(limit_book *b, const limit_rules *rules, uint64_t now_ms)
{
    *b = (limit_book){.rules = *rules, .at_ms = now_ms};
    for (int k = 0; k < LIMIT_SIDES; k++)
        b->left[k] = (double)rules->limits[k] * rules->start_share;
}

static double per_ms(const limit_book *b, int k)
{
    return (double)b->rules.limits[k] / (double)b->rules.period_ms;
}

/* A window is measured whole: from the first that begins behind the mark to the last that ended. */
static void roll(limit_book *b)
{
    b->at_ms += b->rules.period_ms;
    for (int k = 0; k < LIMIT_SIDES; k++) {
        if (b->is_measuring) {
            b->used[k] += b->used_open[k];
            b->possible[k] += (double)b->rules.limits[k];
        }
        b->used_open[k] = 0;
        b->left[k] = (double)b->rules.limits[k];
    }
    if (b->is_measuring) b->until_ms = b->at_ms;
    if (b->is_marked && !b->is_measuring) b->mark_ms = b->at_ms;
    b->is_measuring = b->is_marked;
}

static void fill(limit_book *b, uint64_t now_ms)
{
    const limit_rules *r = &b->rules;
    if (now_ms <= b->at_ms) return;
    if (r->kind == LIMIT_WINDOW) {
        while (now_ms - b->at_ms >= r->period_ms) roll(b);
        return;
    }
    for (int k = 0; k < LIMIT_SIDES; k++) {
        double more = per_ms(b, k) * (double)(now_ms - b->at_ms);
        b->left[k] = RT_MIN(b->left[k] + more, (double)r->limits[k]);
        if (b->is_measuring) b->possible[k] += more;
    }
    b->at_ms = now_ms;
    if (b->is_measuring) b->until_ms = now_ms;
}

static uint64_t wait_for(const limit_book *b, int k, double need, uint64_t now_ms)
{
    if (b->rules.kind == LIMIT_WINDOW) return b->at_ms + b->rules.period_ms - now_ms;
    return (uint64_t)((need - b->left[k]) / per_ms(b, k)) + 1;
}

bool limit_book_take(limit_book *b, uint64_t n_tokens, uint64_t now_ms, uint64_t *retry_ms)
{
    const double need[LIMIT_SIDES] = {1, (double)n_tokens};
    fill(b, now_ms);
    *retry_ms = 0;
    b->last_ms = now_ms;
    if (b->first_ms == 0) b->first_ms = now_ms;
    for (int k = 0; k < LIMIT_SIDES; k++) {
        if (b->rules.limits[k] == 0 || need[k] <= b->left[k]) continue;
        b->n_over[k]++;
        *retry_ms = RT_MAX(*retry_ms, wait_for(b, k, need[k], now_ms));
    }
    if (*retry_ms > 0) return false;
    for (int k = 0; k < LIMIT_SIDES; k++) {
        b->left[k] -= need[k];
        if (b->rules.kind == LIMIT_WINDOW)
            b->used_open[k] += need[k];
        else if (b->is_measuring)
            b->used[k] += need[k];
    }
    b->n_admitted++;
    b->n_tokens += n_tokens;
    return true;
}

void limit_book_headers(limit_book *b, uint64_t now_ms, char *out, size_t n_out)
{
    size_t n = 0;
    fill(b, now_ms);
    out[0] = '\0';
    for (int k = 0; k < LIMIT_SIDES && n < n_out; k++) {
        uint64_t limit = b->rules.limits[k];
        if (limit == 0) continue;
        double left = RT_MAX(b->left[k], 0.0);
        uint64_t reset_ms = b->rules.kind == LIMIT_WINDOW
                                ? b->at_ms + b->rules.period_ms - now_ms
                                : (uint64_t)(((double)limit - left) / per_ms(b, k));
        n += (size_t)snprintf(out + n, n_out - n,
                              "x-ratelimit-limit-%s: %" PRIu64 "\r\nx-ratelimit-remaining-%s: "
                              "%" PRIu64 "\r\nx-ratelimit-reset-%s: %" PRIu64 "m%.3fs\r\n",
                              names[k], limit, names[k], (uint64_t)left, names[k], reset_ms / 60000,
                              (double)(reset_ms % 60000) / 1000);
    }
}

void limit_book_mark(limit_book *b, uint64_t now_ms)
{
    fill(b, now_ms);
    b->is_marked = true;
    if (b->rules.kind == LIMIT_WINDOW) return;
    b->is_measuring = true;
    b->mark_ms = b->until_ms = now_ms;
    for (int k = 0; k < LIMIT_SIDES; k++) b->possible[k] = b->left[k];
}

void limit_book_unmark(limit_book *b, uint64_t now_ms)
{
    fill(b, now_ms);
    b->is_marked = b->is_measuring = false;
}

double limit_book_share(const limit_book *b, limit_side side)
{
    return b->possible[side] > 0 && b->rules.limits[side] > 0 ? b->used[side] / b->possible[side]
                                                              : 0;
}
