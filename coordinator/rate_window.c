#include "coordinator/rate_window.h"

#include "common/base/status.h"

void rate_window_start(rate_window *w, uint64_t limit, bool is_fresh, uint64_t now_ms)
{
    *w = (rate_window){.limit = limit, .level_ms = now_ms};
    rate_window_fit(w, 1);
    /* Before, the bucket may have given out the pace of the limit and one burst: then a debt of one
     * burst makes up for it. */
    w->level = is_fresh ? w->capacity : -w->capacity;
}

void rate_window_fit(rate_window *w, uint64_t one_request)
{
    uint64_t capacity = RT_MAX(w->limit / RATE_BURST_PART, RT_MIN(one_request, w->limit));
    w->capacity = (double)capacity;
}

static void fill(rate_window *w, uint64_t now_ms)
{
    if (now_ms > w->level_ms)
        w->level += (double)w->limit * (double)(now_ms - w->level_ms) / RATE_WINDOW_MS;
    w->level = RT_MIN(w->level, w->capacity);
    w->level_ms = RT_MAX(w->level_ms, now_ms);
}

void rate_window_charge(rate_window *w, int64_t amount, uint64_t now_ms)
{
    fill(w, now_ms);
    w->level = RT_MIN(w->level - (double)amount, w->capacity);
}

void rate_window_use(rate_window *w, uint64_t amount, uint64_t now_ms)
{
    uint64_t slot = now_ms / RATE_SLOT_MS + 1;
    size_t i = (size_t)(slot % RATE_SLOTS);
    if (w->slots[i] != slot) {
        w->slots[i] = slot;
        w->used[i] = 0;
    }
    w->used[i] = amount > UINT64_MAX / 2 - w->used[i] ? UINT64_MAX / 2 : w->used[i] + amount;
}

uint64_t rate_window_used(const rate_window *w, uint64_t now_ms)
{
    uint64_t slot = now_ms / RATE_SLOT_MS + 1, sum = 0;
    for (size_t i = 0; i < RATE_SLOTS; i++) {
        bool is_recent = w->slots[i] != 0 && w->slots[i] + RATE_SLOTS > slot;
        if (is_recent) sum = RT_MIN(sum + RT_MIN(w->used[i], UINT64_MAX / 4), UINT64_MAX / 4);
    }
    return sum;
}

int64_t rate_window_room(rate_window *w, uint64_t held, uint64_t unused, uint64_t now_ms)
{
    if (w->limit == 0) return INT64_MAX;
    fill(w, now_ms);
    int64_t window = (int64_t)w->limit - (int64_t)RT_MIN(held, UINT64_MAX / 4) -
                     (int64_t)rate_window_used(w, now_ms);
    double bucket = w->level - (double)unused;
    if (bucket <= -9e15) return RT_MIN(window, INT64_MIN / 2);
    return RT_MIN(window, (int64_t)bucket);
}
