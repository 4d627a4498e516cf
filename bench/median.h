/* The middle of what was measured. */
#ifndef RT_BENCH_MEDIAN_H
#define RT_BENCH_MEDIAN_H

#include <stddef.h>

/* Sorts x[0..n), n > 0. */
double bench_median(double *x, size_t n);

#endif
