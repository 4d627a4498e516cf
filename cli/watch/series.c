#include "cli/watch/series.h"

#include <math.h>

#include "common/base/status.h"

void series_clear(series *s)
{
    s->n = 0;
    s->apart = 0;
}

static void drop_every_second(series *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i += 2) s->points[n++] = s->points[i];
    s->n = n;
    s->apart = 2 * (s->points[n - 1].t - s->points[0].t) / (SERIES_MAX - 2);
}

void series_add(series *s, const series_point *p)
{
    if (!isfinite(p->t) || (s->n > 0 && p->t <= s->points[s->n - 1].t)) return;
    if (s->n > 1 && p->t - s->points[s->n - 2].t < s->apart)
        s->n--; /* the newest is a passing one */
    if (s->n == SERIES_MAX) drop_every_second(s);
    s->points[s->n++] = *p;
}

/* Seconds of a part, 1 or 1.5 times a power of two: the borders of parts stay where they are while
 * points come in, and the curve does not shiver. */
static double part_seconds(const series *s, size_t n)
{
    double span = s->points[s->n - 1].t - s->points[0].t;
    double wanted = fmax(span / (double)(n - 1), span / (double)RT_MAX(s->n - 1, (size_t)1));
    if (!(wanted > 0)) return 1;
    double power = exp2(floor(log2(wanted)));
    return wanted <= power ? power : wanted <= 1.5 * power ? 1.5 * power : 2 * power;
}

size_t series_sample(const series *s, curve c, double *out, size_t n)
{
    double last = NAN;
    size_t i_point = 0, part = 0;
    if (s->n == 0 || n < 2) return 0;
    double first = s->points[0].t, seconds = part_seconds(s, n);
    for (; part < n && i_point < s->n; part++) {
        double sum = 0, end = first + (double)(part + 1) * seconds;
        size_t n_values = 0;
        for (; i_point < s->n && s->points[i_point].t < end; i_point++) {
            if (!isfinite(s->points[i_point].y[c])) continue;
            sum += s->points[i_point].y[c];
            n_values++;
        }
        if (n_values > 0) last = sum / (double)n_values;
        out[part] = last;
    }
    return part;
}

double series_slope(const series *s, curve c, double seconds)
{
    if (s->n < 2) return NAN;
    const series_point *end = &s->points[s->n - 1], *begin = end;
    for (size_t i = s->n - 1; i-- > 0 && end->t - s->points[i].t <= seconds;) begin = &s->points[i];
    if (begin == end) begin = end - 1;
    return (end->y[c] - begin->y[c]) / (end->t - begin->t);
}
