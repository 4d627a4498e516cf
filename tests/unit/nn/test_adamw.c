#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/nn/optim/adamw.h"

static const adamw_settings settings = {
    .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .weight_decay = 0.1f};

Test(adamw, first_step_moves_by_the_learning_rate_against_the_sign)
{
    float w[] = {1, 1, -2}, m[3] = {0}, v[3] = {0}, grad[] = {0.5f, -20, 0};
    adamw_update(&settings, 0.01f, 1, 1, false, 3, grad, w, m, v);
    cr_expect_float_eq(w[0], 0.99, 1e-6);
    cr_expect_float_eq(w[1], 1.01, 1e-6);
    cr_expect_eq(w[2], -2);
    cr_expect_float_eq(m[0], 0.05, 1e-7);
    cr_expect_float_eq(v[1], 4, 1e-4);
}

Test(adamw, decay_pulls_toward_zero_apart_from_the_gradient)
{
    float w[] = {2}, m[] = {0}, v[] = {0}, grad[] = {0};
    adamw_update(&settings, 0.5f, 1, 1, true, 1, grad, w, m, v);
    cr_expect_float_eq(w[0], 2 - 0.5 * 0.1 * 2, 1e-6);
}

Test(adamw, two_steps_match_the_formula_in_double)
{
    float w[] = {0.3f}, m[] = {0}, v[] = {0};
    double x = 0.3f, a = 0, b = 0, b1 = 0.9f, b2 = 0.99f, wd = 0.1f;
    for (int t = 1; t <= 5; t++) {
        float grad[] = {0.2f * (float)t - 0.5f};
        adamw_update(&settings, 0.05f, 0.5f, (uint64_t)t, true, 1, grad, w, m, v);
        double g = 0.5 * grad[0];
        a = b1 * a + (1 - b1) * g;
        b = b2 * b + (1 - b2) * g * g;
        x -= 0.05 * (a / (1 - pow(b1, t)) / (sqrt(b / (1 - pow(b2, t))) + 1e-8) + wd * x);
        cr_expect_float_eq(w[0], x, 1e-5, "step %d: %g, expected %g", t, (double)w[0], x);
    }
}

/* A parameter server holds any slice: its bits must be those of the whole. */
Test(adamw, any_slicing_gives_the_same_bits)
{
    enum { N = 1003 };
    float w[2][N], m[2][N], v[2][N], grad[N];
    rng_key key = rng_key_make(1, "adamw", (rt_id){0}, 0);
    for (size_t i = 0; i < N; i++) {
        w[0][i] = w[1][i] = rng_normal(key, i);
        m[0][i] = m[1][i] = v[0][i] = v[1][i] = 0;
    }
    for (uint64_t t = 1; t <= 3; t++) {
        for (size_t i = 0; i < N; i++) grad[i] = rng_normal(key, t * N + i);
        adamw_update(&settings, 1e-3f, 0.7f, t, true, N, grad, w[0], m[0], v[0]);
        for (size_t first = 0, n; first < N; first += n) {
            n = RT_MIN(1 + first % 37, N - first);
            adamw_update(&settings, 1e-3f, 0.7f, t, true, n, grad + first, w[1] + first,
                         m[1] + first, v[1] + first);
        }
    }
    cr_expect_eq(memcmp(w[0], w[1], sizeof w[0]), 0);
    cr_expect_eq(memcmp(m[0], m[1], sizeof m[0]), 0);
    cr_expect_eq(memcmp(v[0], v[1], sizeof v[0]), 0);
}

Test(lr_schedule, warms_up_stays_flat_and_decays_to_its_end)
{
    lr_schedule s = {.lr_peak = 2,
                     .lr_end_share = 0.1f,
                     .flat_share = 0.3f,
                     .n_warmup_steps = 10,
                     .n_steps = 100,
                     .decay = LR_LINEAR};
    cr_expect_float_eq(lr_schedule_at(&s, 0), 0.2, 1e-6);
    cr_expect_float_eq(lr_schedule_at(&s, 9), 2, 1e-6);
    cr_expect_float_eq(lr_schedule_at(&s, 39), 2, 1e-6);
    cr_expect_float_eq(lr_schedule_at(&s, 70), 1.1, 1e-4);
    cr_expect_float_eq(lr_schedule_at(&s, 100), 0.2, 1e-6);
    cr_expect_float_eq(lr_schedule_at(&s, 1000), 0.2, 1e-6);
    s.decay = LR_COSINE;
    cr_expect_float_eq(lr_schedule_at(&s, 70), 1.1, 1e-4);
    cr_expect_float_eq(lr_schedule_at(&s, 55), 0.2 + 1.8 * 0.5 * (1 + cos(M_PI / 4)), 1e-4);
    s.decay = LR_CONSTANT;
    cr_expect_float_eq(lr_schedule_at(&s, 99), 2, 1e-6);
    for (uint64_t i = 1; i < 120; i++) cr_expect(isfinite(lr_schedule_at(&s, i)));
    s.n_warmup_steps = 0;
    s.n_steps = 1;
    s.flat_share = 1;
    s.decay = LR_LINEAR;
    cr_expect_float_eq(lr_schedule_at(&s, 0), 2, 1e-6);
    cr_expect(isfinite(lr_schedule_at(&s, 1)));
}

Test(grads, sums_of_squares_and_additions_are_plain)
{
    float x[21], y[21];
    double sum = 0;
    for (size_t i = 0; i < 21; i++) {
        x[i] = (float)i - 7.5f;
        y[i] = 1;
        sum += (double)x[i] * x[i];
    }
    cr_expect_float_eq(grad_sum_squares(x, 21), sum, 1e-9);
    cr_expect_eq(grad_sum_squares(x, 0), 0);
    grad_add(y, x, 21);
    for (size_t i = 0; i < 21; i++) cr_expect_eq(y[i], 1 + x[i]);
}
