/* Training in the modes of bfloat16: near float32, repeatable, and never with stale weights. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/gemm_bf16.h"
#include "tests/unit/nn/toy.h"

static toy_batch *new_batch(void)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (uint64_t i = 0; i < 7; i++) toy_add(b, 13, 2 + i, 1 + 2 * i, i % 2, 10 + i);
    return b;
}

static double gradient_in(model *m, compute_mode mode, const toy_batch *b, float *grads)
{
    loss_sums sums = {0};
    loss_spec spec = toy_spec(b, 0.6f, 0.4f);
    packed_batch view = toy_view(b);
    cr_assert_eq(model_set_compute(m, mode, NULL), RT_OK);
    cr_assert_eq(model_gradient(m, &view, &spec, &sums, NULL), RT_OK);
    memcpy(grads, model_grads(m), model_table(m)->n_total * sizeof *grads);
    return sums.loss[0] + sums.loss[1];
}

typedef struct mode_grads {
    float *f32, *other;
    double loss_f32, loss_other;
    model *m;
    toy_batch *b;
} mode_grads;

static mode_grads compare_config(model_config config, compute_mode mode)
{
    mode_grads g = {.m = toy_model(&config, 3), .b = new_batch()};
    size_t n = model_table(g.m)->n_total;
    g.f32 = rt_calloc(n, sizeof *g.f32);
    g.other = rt_calloc(n, sizeof *g.other);
    g.loss_f32 = gradient_in(g.m, COMPUTE_F32, g.b, g.f32);
    g.loss_other = gradient_in(g.m, mode, g.b, g.other);
    return g;
}

static mode_grads compare_with(compute_mode mode)
{
    return compare_config(toy_config(), mode);
}

static void drop(mode_grads *g)
{
    free(g->f32);
    free(g->other);
    free(g->b);
    model_free(g->m);
}

static double distance(const mode_grads *g)
{
    return toy_distance(g->other, g->f32, model_table(g->m)->n_total);
}

typedef struct kind {
    bool t5, relu;
    float dropout;
} kind;

/* Every operation that holds its numbers as bfloat16, both ways. */
ParameterizedTestParameters(compute, bf16_gives_the_gradient_to_two_digits)
{
    static kind kinds[] = {{false, false, 0},
                           {false, false, 0.2f},
                           {true, false, 0},
                           {true, true, 0},
                           {true, true, 0.2f}};
    return cr_make_param_array(kind, kinds, RT_COUNT(kinds));
}
ParameterizedTest(kind *k, compute, bf16_gives_the_gradient_to_two_digits)
{
    model_config config = k->t5 ? toy_t5_config() : toy_config();
    if (k->relu) config.ff_act = MODEL_FF_RELU;
    config.dropout = k->dropout;
    mode_grads g = compare_config(config, COMPUTE_BF16);
    double apart = distance(&g);
    cr_expect(apart > 1e-4 && apart < 0.05, "off by %g", apart);
    cr_expect_lt(fabs(g.loss_other - g.loss_f32) / g.loss_f32, 0.01);
    drop(&g);
}

Test(compute, bf16x3_gives_it_to_four_digits)
{
    mode_grads g = compare_with(COMPUTE_BF16X3);
    double apart = distance(&g);
    cr_expect(apart > 0 && apart < 1e-4, "off by %g", apart);
    cr_expect_lt(fabs(g.loss_other - g.loss_f32) / g.loss_f32, 1e-5);
    drop(&g);
}

Test(compute, the_same_batch_gives_the_same_bits_again)
{
    mode_grads g = compare_with(COMPUTE_BF16);
    gradient_in(g.m, COMPUTE_BF16, g.b, g.f32);
    cr_expect_eq(memcmp(g.f32, g.other, model_table(g.m)->n_total * sizeof *g.f32), 0);
    drop(&g);
}

Test(compute, new_weights_are_seen)
{
    mode_grads g = compare_with(COMPUTE_BF16);
    float *w = model_weights(g.m);
    for (size_t i = 0; i < model_table(g.m)->n_total; i++) w[i] *= 3;
    double loss = gradient_in(g.m, COMPUTE_BF16, g.b, g.other);
    double wanted = gradient_in(g.m, COMPUTE_F32, g.b, g.f32);
    cr_expect_lt(fabs(loss - wanted) / wanted, 0.01, "%g, expected %g", loss, wanted);
    cr_expect_gt(fabs(loss - g.loss_other) / wanted, 0.01, "the old weights were used");
    drop(&g);
}

Test(compute, auto_is_decided_and_the_others_are_themselves)
{
    compute_mode mode = compute_mode_resolve(COMPUTE_AUTO);
    cr_expect_eq(mode, gemm_bf16_faster() ? COMPUTE_BF16 : COMPUTE_F32);
    for (mode = COMPUTE_F32; mode < COMPUTE_AUTO; mode++)
        cr_expect_eq(compute_mode_resolve(mode), mode);
}
