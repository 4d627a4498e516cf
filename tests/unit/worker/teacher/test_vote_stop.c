#include <criterion/criterion.h>
#include <math.h>

#include "common/base/rng.h"
#include "worker/teacher/vote_stop.h"

/* The same probability by Simpson's rule; x = sin^2 t takes away the poles at 0 and 1. */
static double p_ahead_slow(size_t n_top, size_t n_next)
{
    enum { STEPS = 20000 };
    double half = 0, all = 0, end = acos(-1) / 2;
    for (int i = 0; i <= STEPS; i++) {
        double t = end * i / STEPS;
        double y = pow(sin(t), 2.0 * (double)n_top) * pow(cos(t), 2.0 * (double)n_next);
        double weight = i == 0 || i == STEPS ? 1 : i % 2 == 1 ? 4 : 2;
        double mid = i == STEPS / 2 ? 1 : weight; /* where the upper half begins */
        all += weight * y;
        if (2 * i >= STEPS) half += mid * y;
    }
    return half / all;
}

Test(vote_stop, agrees_with_the_integral)
{
    for (size_t a = 0; a < 30; a++)
        for (size_t b = 0; b < 30; b += 3)
            cr_expect_float_eq(vote_p_ahead(a, b), p_ahead_slow(a, b), 1e-9, "%zu %zu: %.12g %.12g",
                               a, b, vote_p_ahead(a, b), p_ahead_slow(a, b));
}

Test(vote_stop, knows_its_symmetry_and_its_limits)
{
    cr_expect_float_eq(vote_p_ahead(0, 0), 0.5, 1e-12);
    cr_expect_float_eq(vote_p_ahead(20, 20), 0.5, 1e-12);
    for (size_t a = 0; a < 40; a++)
        cr_expect_float_eq(vote_p_ahead(a, 7) + vote_p_ahead(7, a), 1, 1e-12);
    /* Beta(3/2, 1/2): 1 - I_{1/2} = 1/2 + 1/pi */
    cr_expect_float_eq(vote_p_ahead(1, 0), 0.5 + 1 / acos(-1), 1e-12);
    cr_expect_gt(vote_p_ahead(1000, 10), 1 - 1e-12);
    cr_expect_leq(vote_p_ahead(1000, 10), 1);
    cr_expect_geq(vote_p_ahead(10, 1000), 0);
}

Test(vote_stop, asks_for_as_many_as_could_decide_it)
{
    cr_expect_eq(vote_n_more(5, 0, 5, 0.95), 0, "five to nothing is enough");
    cr_expect_eq(vote_n_more(2, 1, 7, 1), 7, "1: never stop early");
    cr_expect_eq(vote_n_more(2, 1, 0, 0.95), 0);
    cr_expect_eq(vote_n_more(6, 2, 3, 0.999), 0, "three more could not even make a tie");
    size_t n = vote_n_more(2, 2, 20, 0.95);
    cr_expect_lt(vote_p_ahead(2 + n - 1, 2), 0.95);
    cr_expect_geq(vote_p_ahead(2 + n, 2), 0.95);
    cr_expect_eq(vote_n_more(2, 2, 3, 0.95), 3, "all there are when they cannot decide it");
}

/* Stopping early must rarely decide otherwise than all samples would. */
Test(vote_stop, flips_few_decisions_and_saves_many_samples)
{
    enum { RUNS = 10000, N_MAX = 40 };
    rng_key key = rng_key_make(3, "flip", (rt_id){0}, 0);
    size_t n_flipped = 0, n_asked = 0;
    for (uint64_t run = 0; run < RUNS; run++) {
        double p = 0.5 + 0.5 * rng_uniform(key, run);
        size_t right[N_MAX + 1] = {0}; /* among the first k */
        for (size_t k = 0; k < N_MAX; k++)
            right[k + 1] = right[k] + (rng_uniform(key, 1000000 + run * N_MAX + k) < p);
        size_t n = 3;
        for (;;) {
            size_t a = right[n], b = n - a;
            size_t more = vote_n_more(RT_MAX(a, b), RT_MIN(a, b), N_MAX - n, 0.95);
            if (more == 0) break;
            n += more;
        }
        n_asked += n;
        n_flipped += (2 * right[n] > n) != (2 * right[N_MAX] > N_MAX);
    }
    cr_expect_lt(n_flipped, RUNS / 20, "%zu of %d flipped", n_flipped, RUNS);
    cr_expect_lt(n_asked, (size_t)RUNS * N_MAX / 3, "%g samples on average",
                 (double)n_asked / RUNS);
}
