#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "common/nn/model_cost.h"

static const model_config llama = {.arch = MODEL_ARCH_LLAMA,
                                   .n_vocab = 11,
                                   .d_model = 8,
                                   .n_layers = 2,
                                   .n_heads = 4,
                                   .n_kv_heads = 2,
                                   .d_head = 6,
                                   .d_ff = 10,
                                   .seq_len_max = 64,
                                   .rope_theta = 10000,
                                   .norm_eps = 1e-5f,
                                   .tied = true};

static model_cost cost_of(const model_config *c, size_t n_seqs, size_t n_prompt, size_t n_target)
{
    model_cost cost;
    rt_error err = {0};
    model_workload work = {.n_seqs = n_seqs, .n_prompt = n_prompt, .n_target = n_target};
    cr_assert_eq(model_cost_of(c, &work, &cost, &err), RT_OK, "%s", err.text);
    return cost;
}

Test(model_cost, counts_a_llama_by_hand)
{
    model_cost cost = cost_of(&llama, 1, 1, 1);
    cr_expect_eq(cost.params[MODEL_PART_EMBEDDING], 88);
    cr_expect_eq(cost.params[MODEL_PART_ATTENTION], 2 * (24 * 8 + 2 * 12 * 8 + 8 * 24));
    cr_expect_eq(cost.params[MODEL_PART_FEED_FORWARD], 2 * 3 * 80);
    cr_expect_eq(cost.params[MODEL_PART_NORM], 5 * 8);
    cr_expect_eq(cost.params[MODEL_PART_HEAD], 0);
    cr_expect_eq(cost.params[MODEL_PART_CROSS], 0);
    /* products of a layer 576 + 240; the first token sees itself, the second both */
    cr_expect_eq(cost.flops_prompt_token, 2.0 * 2 * (816 + 48 * 1));
    cr_expect_eq(cost.flops_target_token, 2.0 * (2 * (816 + 48 * 2) + 88));
    cr_expect_eq(cost.flops_training, 3 * (cost.flops_prompt_token + cost.flops_target_token));
    cr_expect_eq(cost.optimizer_bytes, 2 * cost.weight_bytes);
    cr_expect_eq(cost.cache_prompt_bytes, 4.0 * 2 * 2 * 12);
}

/* The multiplications of every matrix, from the table itself: products = parameters of matrices. */
Test(model_cost, a_long_model_multiplies_each_matrix_once)
{
    model_config c = llama;
    c.d_model = 4096; /* attention's own work is small beside it */
    model_cost cost = cost_of(&c, 1, 4, 4);
    double matrices =
        (double)(cost.params[MODEL_PART_ATTENTION] + cost.params[MODEL_PART_FEED_FORWARD]);
    cr_expect_leq(fabs(cost.flops_prompt_token / (2 * matrices) - 1), 1e-3);
    c.tied = false;
    model_cost own = cost_of(&c, 1, 4, 4);
    cr_expect_eq(own.params[MODEL_PART_HEAD], 11 * 4096);
    cr_expect_eq(own.flops_target_token, cost.flops_target_token,
                 "a head costs the same either way");
}

/* V E + E d against V d, and layers counted once: Lan et al. 2020, section 3.1. */
Test(model_cost, sharing_saves_parameters_and_no_work)
{
    model_config c = llama;
    c.n_vocab = 30000;
    c.d_model = 1024;
    c.d_embed = 128;
    model_cost cost = cost_of(&c, 1, 4, 4);
    cr_expect_eq(cost.params[MODEL_PART_EMBEDDING], 3971072);
    cr_expect_eq(cost.params[MODEL_PART_HEAD], 128 * 1024);
    c = llama;
    c.n_layers = 6;
    model_cost apart = cost_of(&c, 1, 4, 4);
    c.n_layer_groups = 2;
    model_cost shared = cost_of(&c, 1, 4, 4);
    cr_expect_eq(shared.params[MODEL_PART_ATTENTION], apart.params[MODEL_PART_ATTENTION] / 3);
    cr_expect_eq(shared.params[MODEL_PART_FEED_FORWARD], apart.params[MODEL_PART_FEED_FORWARD] / 3);
    cr_expect_eq(shared.flops_training, apart.flops_training);
}

Test(model_cost, t5_pays_for_the_prompt_once_and_for_looking_at_it)
{
    model_config c = {.arch = MODEL_ARCH_T5,
                      .n_vocab = 100,
                      .d_model = 16,
                      .n_layers = 3,
                      .n_decoder_layers = 1,
                      .n_heads = 2,
                      .n_kv_heads = 2,
                      .d_head = 4,
                      .d_ff = 20,
                      .seq_len_max = 64,
                      .norm_eps = 1e-6f,
                      .rel_buckets = 8,
                      .rel_distance_max = 16,
                      .ff_act = MODEL_FF_RELU};
    model_cost cost = cost_of(&c, 1, 10, 1);
    double layer = 4 * 16 * 8 + 2 * 16 * 20;
    cr_expect_eq(cost.flops_prompt_token, 2 * (3 * (layer + 16 * 10) + 2 * 16 * 8));
    cr_expect_eq(cost.flops_target_token, 2 * (layer + 16 * 1 + 2 * 16 * 8 + 16 * 10 + 1600));
    cr_expect_eq(cost.params[MODEL_PART_BIAS], 2 * 8 * 2);
    cr_expect_eq(cost.params[MODEL_PART_CROSS], 4 * 16 * 8);
    c.ff_act = MODEL_FF_GATED_GELU;
    model_cost gated = cost_of(&c, 1, 10, 1);
    cr_expect_eq(gated.params[MODEL_PART_FEED_FORWARD],
                 cost.params[MODEL_PART_FEED_FORWARD] / 2 * 3);
    cr_expect_gt(gated.activation_bytes, cost.activation_bytes);
}

Test(model_cost, grows_with_the_work)
{
    model_cost one = cost_of(&llama, 1, 8, 8), four = cost_of(&llama, 4, 8, 8),
               longer = cost_of(&llama, 1, 32, 32);
    cr_expect_eq(four.flops_training, 4 * one.flops_training);
    cr_expect_gt(longer.flops_prompt_token, one.flops_prompt_token, "attention sees more keys");
    cr_expect_gt(four.activation_bytes, 3 * one.activation_bytes);
    cr_expect_eq(four.weight_bytes, one.weight_bytes);
}

Test(model_cost, refuses_what_is_no_model_and_no_work)
{
    model_cost cost;
    rt_error err = {0};
    model_workload work = {.n_seqs = 1, .n_prompt = 0, .n_target = 1};
    cr_expect_eq(model_cost_of(&llama, &work, &cost, &err), RT_INVALID);
    work.n_prompt = 1;
    model_config bad = llama;
    bad.n_heads = 3;
    cr_expect_eq(model_cost_of(&bad, &work, &cost, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "n_heads"), "%s", err.text);
}
