/* A curve of any length in bounded memory: at most CURVE_POINTS_MAX points, each the mean, least and
 * largest of as many neighbours as it takes. Pure.
 *
 *     curve c = {0};
 *     for (...) curve_add(&c, step, loss);
 *     for (size_t i = 0; i < c.n; i++) plot(curve_at(&c, i));
 *
 * When there is no room, each two neighbours become one, so later points are met by as many values as
 * earlier ones; the last one may hold fewer.
 */
#ifndef RT_WORKER_REPORT_CURVE_H
#define RT_WORKER_REPORT_CURVE_H

#include <stddef.h>
#include <stdint.h>

#define CURVE_POINTS_MAX 400 /* even */

typedef struct curve_bucket {
    double sum_x, sum_y, low, high;
    uint64_t n;
} curve_bucket;

/* Zero-initialise. */
typedef struct curve {
    curve_bucket buckets[CURVE_POINTS_MAX];
    size_t n;
    uint64_t width;     /* values in a bucket; 0: none was added */
    uint64_t n_skipped; /* values that were no numbers to draw */
} curve;

typedef struct curve_point {
    double x, y, low, high;
} curve_point;

/* x must not fall. A value that is not finite, or beyond 1e150, is counted and left out. */
void curve_add(curve *c, double x, double y);
curve_point curve_at(const curve *c, size_t i);

#endif
