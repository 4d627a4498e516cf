/* The Wilson score interval of a share: honest for small samples and near 0 and 1. */
#ifndef RT_STATS_WILSON_H
#define RT_STATS_WILSON_H

#include <stdint.h>

/**
 * Interval that holds the true share with 95 % confidence.
 *
 *   p = n_right / n      z = 1.959964
 *   centre = (p + z^2 / 2n) / (1 + z^2 / n)
 *   half   = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)
 *
 * @param n_right  at most n.
 * @param low,high out: within [0, 1]; 0 and 1 when n is 0, as nothing is known.
 * Source: Wilson 1927, J. Am. Stat. Assoc. 22(158), 209-212.
 * Checked by: tests/unit/stats/test_wilson.c
 */
void wilson_interval(uint64_t n_right, uint64_t n, double *low, double *high);

#endif
