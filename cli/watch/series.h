/* How the numbers of a run went: points in time, a bounded number of them.
 *
 *     series_point p = {.t = 12.5};
 *     p.y[CURVE_LOSS] = 1.3;
 *     series_add(&s, &p);
 *     n = series_sample(&s, CURVE_LOSS, columns, n_columns);  a value for each column of a picture
 *
 * When all places are taken, every second point goes, and from then on points stand twice as far apart:
 * a long run keeps its shape. The newest point is always there. A value that is not known is NaN.
 */
#ifndef RT_CLI_WATCH_SERIES_H
#define RT_CLI_WATCH_SERIES_H

#include <stddef.h>

#define SERIES_MAX 2048

typedef enum curve {
    CURVE_LOSS,
    CURVE_LABELS, /* labelled rows a second */
    CURVE_TOKENS, /* trained tokens a second */
    CURVE_STEP,
    CURVE_COUNT,
} curve;

typedef struct series_point {
    double t; /* seconds; grows */
    double y[CURVE_COUNT];
} series_point;

typedef struct series {
    series_point points[SERIES_MAX];
    size_t n;
    double apart; /* seconds between two points, but for the newest */
} series;

void series_clear(series *s);
/* A point that is not later than the newest is passed over. */
void series_add(series *s, const series_point *p);
/* The means of equal parts of the time from first to last point, at most n of them (2 at least); how
 * many is returned. A part without a point repeats the one before it; NaN before the first value. */
size_t series_sample(const series *s, curve c, double *out, size_t n);
/* Growth of a curve a second over the last `seconds`; NaN when that is not known. */
double series_slope(const series *s, curve c, double seconds);

#endif
