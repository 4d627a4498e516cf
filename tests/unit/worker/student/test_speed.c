/* What a student tells of its speed: the cost of a token, and the peak of its processor. */
#include "worker/student/speed.h"

#include <criterion/criterion.h>

#include "common/nn/model_cost.h"

static const model_config shape = {.arch = MODEL_ARCH_LLAMA,
                                   .n_vocab = 100,
                                   .d_model = 16,
                                   .n_layers = 2,
                                   .n_heads = 2,
                                   .n_kv_heads = 2,
                                   .d_head = 8,
                                   .d_ff = 32,
                                   .seq_len_max = 64,
                                   .norm_eps = 1e-5f,
                                   .rope_theta = 10000,
                                   .tied = true};

static micro_batch batch_of(micro_batch_seq *seqs, size_t n)
{
    return (micro_batch){.seqs = seqs, .n_seqs = n};
}

Test(speed, a_token_costs_what_the_model_says_of_sequences_of_the_mean_lengths)
{
    micro_batch_seq first[] = {{.n_prompt = 10, .n_target = 2}, {.n_prompt = 20, .n_target = 4}};
    micro_batch_seq second[] = {{.n_prompt = 15, .n_target = 3}};
    micro_batch a = batch_of(first, 2), b = batch_of(second, 1);
    work_mix mix = {0};
    double mflop = -1;
    cr_expect_not(work_mix_mflop_per_token(&mix, &shape, &mflop));
    cr_expect_eq(mflop, -1);
    work_mix_add(&mix, &a);
    work_mix_add(&mix, &b);
    model_cost cost;
    model_workload work = {.n_seqs = 1, .n_prompt = 15, .n_target = 3};
    rt_error err = {0};
    cr_assert_eq(model_cost_of(&shape, &work, &cost, &err), RT_OK, "%s", err.text);
    cr_assert(work_mix_mflop_per_token(&mix, &shape, &mflop));
    cr_expect_float_eq(mflop, cost.flops_training / 18 * 1e-6, 1e-12);
    /* By hand: two layers of 4 d^2 + 3 d ff and what is looked at; the head for 3 of 18 tokens. */
    double looked = 2.0 * 16 * (18.0 * 19 / 2) / 18;
    double forward = 2 * (2 * (4 * 16 * 16 + 3 * 16 * 32 + looked) + 16 * 100 * 3.0 / 18);
    cr_expect_float_eq(mflop, 3 * forward * 1e-6, 1e-9);
}

Test(speed, empty_prompts_and_targets_are_no_division_by_zero)
{
    micro_batch_seq seqs[] = {{.n_prompt = 0, .n_target = 0}};
    micro_batch b = batch_of(seqs, 1);
    work_mix mix = {0};
    double mflop = 0;
    work_mix_add(&mix, &b);
    cr_expect(work_mix_mflop_per_token(&mix, &shape, &mflop));
    cr_expect_gt(mflop, 0);
}

Test(speed, the_peak_is_that_of_a_product_in_the_mode)
{
    static const compute_mode modes[] = {COMPUTE_F32, COMPUTE_BF16, COMPUTE_BF16X3};
    for (size_t i = 0; i < RT_COUNT(modes); i++) {
        double peak = peak_mflops_per_s(modes[i]);
        cr_expect(peak > 10 && peak < 1e9, "%s: %g MFLOP/s", compute_mode_name(modes[i]), peak);
    }
}
