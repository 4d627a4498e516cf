#include "common/stats/wilson.h"

#include <math.h>

#include "common/base/status.h"

#define Z_95 1.959963984540054

void wilson_interval(uint64_t n_right, uint64_t n, double *low, double *high)
{
    RT_ASSERT(n_right <= n);
    *low = 0;
    *high = 1;
    if (n == 0) return;
    double p = (double)n_right / (double)n;
    double z2_n = Z_95 * Z_95 / (double)n;
    double centre = (p + z2_n / 2) / (1 + z2_n);
    double half = Z_95 / (1 + z2_n) * sqrt(p * (1 - p) / (double)n + z2_n / (4 * (double)n));
    /* At the ends the difference is 0 but for rounding. */
    *low = n_right == 0 ? 0 : fmax(0, centre - half);
    *high = n_right == n ? 1 : fmin(1, centre + half);
}
