#include "common/dataset/plan_store.h"

#include <stdlib.h>
#include <string.h>

void plan_store_free(plan_store *s)
{
    free(s->rows);
    *s = (plan_store){0};
}

void plan_layout_see(plan_layout *layout, const plan_record *r)
{
    for (int t = 0; t < TASK_COUNT; t++) {
        if (r->n_target[t] == 0) continue;
        layout->has[t] = true;
        if (r->n_tokens[t] > UINT16_MAX || r->n_target[t] > UINT16_MAX) layout->wide = true;
    }
}

static size_t n_row_bytes(const plan_layout *layout)
{
    size_t n = sizeof(uint32_t);
    for (int t = 0; t < TASK_COUNT; t++)
        if (layout->has[t]) n += 2 * (layout->wide ? sizeof(uint32_t) : sizeof(uint16_t));
    return n;
}

static unsigned char *put(unsigned char *at, uint32_t number, bool wide)
{
    uint16_t narrow = (uint16_t)number;
    if (wide) return (unsigned char *)memcpy(at, &number, sizeof number) + sizeof number;
    return (unsigned char *)memcpy(at, &narrow, sizeof narrow) + sizeof narrow;
}

static const unsigned char *get(const unsigned char *at, uint32_t *number, bool wide)
{
    uint16_t narrow;
    if (wide) {
        memcpy(number, at, sizeof *number);
        return at + sizeof *number;
    }
    memcpy(&narrow, at, sizeof narrow);
    *number = narrow;
    return at + sizeof narrow;
}

void plan_store_add(plan_store *s, const plan_record *r)
{
    RT_ASSERT(s->n < s->capacity);
    unsigned char *at = put(s->rows + s->n++ * s->n_row_bytes, r->i_example, true);
    for (int t = 0; t < TASK_COUNT; t++) {
        if (!s->layout.has[t]) continue;
        bool there = r->n_target[t] > 0;
        at = put(at, there ? r->n_tokens[t] : 0, s->layout.wide);
        at = put(at, r->n_target[t], s->layout.wide);
    }
}

void plan_store_get(const plan_store *s, size_t i, plan_record *out)
{
    RT_ASSERT(i < s->n);
    plan_record r = {0};
    const unsigned char *at = get(s->rows + i * s->n_row_bytes, &r.i_example, true);
    for (int t = 0; t < TASK_COUNT; t++) {
        if (!s->layout.has[t]) continue;
        at = get(at, &r.n_tokens[t], s->layout.wide);
        at = get(at, &r.n_target[t], s->layout.wide);
    }
    *out = r;
}

static bool covers(const plan_layout *old, const plan_layout *layout)
{
    for (int t = 0; t < TASK_COUNT; t++)
        if (layout->has[t] && !old->has[t]) return false;
    return old->wide || !layout->wide;
}

/* All rows again, as the wider layout has them. */
static rt_status pack_anew(plan_store *s, const plan_layout *layout, size_t capacity, rt_error *err)
{
    plan_store next = {.layout = s->layout, .capacity = capacity};
    for (int t = 0; t < TASK_COUNT; t++) next.layout.has[t] |= layout->has[t];
    next.layout.wide |= layout->wide;
    next.n_row_bytes = n_row_bytes(&next.layout);
    next.rows = rt_calloc(capacity, next.n_row_bytes);
    if (next.rows == NULL) return rt_fail(err, RT_NOMEM, "plan of %zu records", capacity);
    RT_ASSERT(s->n == 0 || s->rows != NULL);
    for (size_t i = 0; i < s->n; i++) {
        plan_record r;
        plan_store_get(s, i, &r);
        plan_store_add(&next, &r);
    }
    free(s->rows);
    *s = next;
    return RT_OK;
}

rt_status plan_store_reserve(plan_store *s, const plan_layout *layout, size_t n_more, rt_error *err)
{
    size_t n_bytes, n = s->n + n_more, capacity = s->capacity;
    if (n > capacity) capacity = RT_MAX(n, capacity + capacity / 2);
    if (s->rows == NULL || !covers(&s->layout, layout)) return pack_anew(s, layout, capacity, err);
    if (capacity == s->capacity) return RT_OK;
    unsigned char *rows =
        rt_checked_mul(capacity, s->n_row_bytes, &n_bytes) ? realloc(s->rows, n_bytes) : NULL;
    if (rows == NULL) return rt_fail(err, RT_NOMEM, "plan of %zu records", capacity);
    s->rows = rows;
    s->capacity = capacity;
    return RT_OK;
}
