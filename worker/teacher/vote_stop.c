#include "worker/teacher/vote_stop.h"

#include <math.h>

#define FRACTION_TERMS_MAX 500
#define FRACTION_SHARE     1e-15
#define TINY               1e-300

static double away_from_zero(double x)
{
    return fabs(x) < TINY ? TINY : x;
}

/* One step of the modified Lentz method: the next term `a` of the continued fraction. */
static double lentz(double a, double *c, double *d)
{
    *d = 1 / away_from_zero(1 + a * *d);
    *c = away_from_zero(1 + a / *c);
    return *c * *d;
}

/* The continued fraction of I_x(a, b), DLMF 8.17.22; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1));
    double f = d;
    for (int m = 1; m < FRACTION_TERMS_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        f *= lentz(even, &c, &d);
        double last = lentz(odd, &c, &d);
        f *= last;
        if (fabs(last - 1) < FRACTION_SHARE) break;
    }
    return f;
}

/* I_{1/2}(a, b); at one half the front factor is the same from both sides. */
static double beta_half(double a, double b)
{
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) - (a + b) * log(2));
    if (0.5 < (a + 1) / (a + b + 2)) return front * beta_fraction(0.5, a, b) / a;
    return 1 - front * beta_fraction(0.5, b, a) / b;
}

double vote_p_ahead(size_t n_top, size_t n_next)
{
    return beta_half(0.5 + (double)n_next, 0.5 + (double)n_top);
}

size_t vote_n_more(size_t n_top, size_t n_next, size_t n_left, double p_stop)
{
    if (n_left == 0 || p_stop >= 1) return n_left;
    if (n_next + n_left < n_top) return 0;
    for (size_t k = 0; k < n_left; k++)
        if (vote_p_ahead(n_top + k, n_next) >= p_stop) return k;
    return n_left;
}
