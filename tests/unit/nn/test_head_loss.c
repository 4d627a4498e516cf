#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/loss/head_loss.h"
#include "common/nn/parallel.h"
#include "tests/unit/nn/toy.h"

Test(cross_entropy, values_and_gradient_are_the_hand_computed_ones)
{
    float logits[] = {0, logf(3), 5, 5}; /* rows: p = (1/4, 3/4) and (1/2, 1/2) */
    uint32_t targets[] = {0, 1};
    float scales[] = {2, 1}, losses[2];
    bool exact[2];
    loss_rows rows = {2, 2, targets, scales, losses, exact};
    loss_cross_entropy.rows(NULL, &rows, logits);
    cr_expect_float_eq(losses[0], log(4), 1e-6);
    cr_expect_float_eq(losses[1], log(2), 1e-6);
    const double wanted[] = {-1.5, 1.5, 0.5, -0.5};
    for (size_t i = 0; i < 4; i++) cr_expect_float_eq(logits[i], wanted[i], 1e-6);
    cr_expect(!exact[0] && !exact[1], "a tie goes to the lowest id");
}

Test(cross_entropy, large_logits_do_not_overflow)
{
    float logits[] = {1e30f, -1e30f, 0}, scale = 1, loss;
    uint32_t target = 0;
    bool exact;
    loss_rows rows = {1, 3, &target, &scale, &loss, &exact};
    loss_cross_entropy.rows(NULL, &rows, logits);
    cr_expect(loss == 0 && exact && logits[0] == 0 && logits[1] == 0);
}

/* More rows than a block, so that blocks meet: against one product in double. */
Test(head_loss, blocks_give_what_one_product_gives)
{
    const size_t n = 3 * head_loss_block_rows(50) - 11, d = 7, n_vocab = 50;
    rng_key key = rng_key_make(1, "head", (rt_id){0}, 0);
    float *x = rt_calloc(n * d, 4), *w = rt_calloc(n_vocab * d, 4), *d_x = rt_calloc(n * d, 4);
    float *d_w = rt_calloc(n_vocab * d, 4), *scales = rt_calloc(n, 4), *losses = rt_calloc(n, 4);
    float *wanted_x = rt_calloc(n * d, 4), *wanted_w = rt_calloc(n_vocab * d, 4);
    double *sum_w = rt_calloc(n_vocab * d, sizeof *sum_w);
    uint32_t *targets = rt_calloc(n, 4);
    bool *exact = rt_calloc(n, sizeof *exact);
    for (size_t i = 0; i < n * d; i++) x[i] = rng_normal(key, i);
    for (size_t i = 0; i < n_vocab * d; i++) w[i] = rng_normal(key, n * d + i);
    for (size_t i = 0; i < n; i++) {
        targets[i] = (uint32_t)(i * 7 % n_vocab);
        scales[i] = i % 5 == 0 ? 0 : 0.01f * (float)(i % 7);
    }
    for (size_t i = 0; i < n; i++) {
        double z[50], total = 0, back[7] = {0};
        for (size_t v = 0; v < n_vocab; v++) {
            z[v] = 0;
            for (size_t c = 0; c < d; c++) z[v] += (double)x[i * d + c] * w[v * d + c];
            total += exp(z[v]);
        }
        losses[i] = -1;
        for (size_t v = 0; v < n_vocab; v++) {
            double d_z = scales[i] * (exp(z[v]) / total - (v == targets[i]));
            for (size_t c = 0; c < d; c++) {
                back[c] += d_z * w[v * d + c];
                sum_w[v * d + c] += d_z * x[i * d + c];
            }
        }
        for (size_t c = 0; c < d; c++) wanted_x[i * d + c] = (float)back[c];
    }
    for (size_t i = 0; i < n_vocab * d; i++) wanted_w[i] = (float)sum_w[i];
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    parallel_enter();
    tape_begin(t, true);
    tensor *hidden = tape_param(t, x, d_x, n, d), *head = tape_param(t, w, d_w, n_vocab, d);
    head_loss(t, hidden, head, &loss_cross_entropy, NULL, targets, scales, losses, exact);
    cr_expect_eq(tape_status(t, NULL), RT_OK);
    cr_expect_lt(toy_distance(d_x, wanted_x, n * d), 1e-5);
    cr_expect_lt(toy_distance(d_w, wanted_w, n_vocab * d), 1e-5);
    for (size_t i = 0; i < n; i++) cr_assert_geq(losses[i], 0);
    tape_free(t);
    free(x), free(w), free(d_x), free(d_w), free(scales), free(losses), free(wanted_x);
    free(wanted_w), free(sum_w), free(targets), free(exact);
}
