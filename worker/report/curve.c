#include "worker/report/curve.h"

#include <math.h>

#define VALUE_MAX 1e150 /* sums of them stay finite */

static void merge(curve_bucket *into, const curve_bucket *other)
{
    into->sum_x += other->sum_x;
    into->sum_y += other->sum_y;
    into->low = fmin(into->low, other->low);
    into->high = fmax(into->high, other->high);
    into->n += other->n;
}

static void halve(curve *c)
{
    for (size_t i = 0; i < c->n / 2; i++) {
        c->buckets[i] = c->buckets[2 * i];
        merge(&c->buckets[i], &c->buckets[2 * i + 1]);
    }
    c->n /= 2;
    c->width *= 2;
}

void curve_add(curve *c, double x, double y)
{
    curve_bucket one = {.sum_x = x, .sum_y = y, .low = y, .high = y, .n = 1};
    if (!(fabs(x) < VALUE_MAX) || !(fabs(y) < VALUE_MAX)) {
        c->n_skipped++;
        return;
    }
    if (c->width == 0) c->width = 1;
    if (c->n > 0 && c->buckets[c->n - 1].n < c->width) {
        merge(&c->buckets[c->n - 1], &one);
        return;
    }
    if (c->n == CURVE_POINTS_MAX) halve(c);
    c->buckets[c->n++] = one;
}

curve_point curve_at(const curve *c, size_t i)
{
    const curve_bucket *b = &c->buckets[i];
    return (curve_point){
        .x = b->sum_x / (double)b->n, .y = b->sum_y / (double)b->n, .low = b->low, .high = b->high};
}
