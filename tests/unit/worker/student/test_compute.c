#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "worker/student/compute.h"

static model *toy_model(void)
{
    model_config shape = {.arch = MODEL_ARCH_LLAMA,
                          .n_vocab = 20,
                          .d_model = 16,
                          .n_layers = 1,
                          .n_heads = 2,
                          .n_kv_heads = 2,
                          .d_head = 8,
                          .d_ff = 24,
                          .seq_len_max = 16,
                          .rope_theta = 10000,
                          .norm_eps = 1e-5f,
                          .tied = true,
                          .bos_id = 1,
                          .eos_id = 2,
                          .pad_id = 3};
    model *m = NULL;
    nn_set_threads(1);
    cr_assert_eq(model_new(&shape, &m, NULL), RT_OK);
    param_table_init(model_table(m), &shape, 3, model_weights(m));
    return m;
}

static uint32_t toy_ids[] = {1, 5, 6, 2, 1, 7, 8, 9, 2};
static micro_batch_seq toy_seqs[] = {
    {.task = TASK_PREDICT, .weight = 1, .first = 0, .n_prompt = 3, .n_target = 1},
    {.task = TASK_EXPLAIN, .weight = 1, .first = 4, .n_prompt = 2, .n_target = 3}};

/* Sequences [first, first + n) of the two, as one micro-batch. */
static micro_batch toy_batch(micro_batch_kind kind, size_t first, size_t n)
{
    size_t at = toy_seqs[first].first;
    static micro_batch_seq moved[2];
    micro_batch b = {.kind = kind,
                     .n_micro_batches = 2,
                     .seed = 1,
                     .task_weight = {0.5f, 0.5f},
                     .task_count = {1, 3},
                     .ids = toy_ids + at,
                     .seqs = moved,
                     .n_seqs = n};
    for (size_t i = 0; i < n; i++) {
        moved[i] = toy_seqs[first + i];
        moved[i].first -= (uint32_t)at;
        b.n_ids += moved[i].n_prompt + moved[i].n_target;
    }
    return b;
}

Test(compute, micro_batches_of_a_step_add_up_to_the_whole_step)
{
    model *m = toy_model();
    compute_space space = {0};
    wire_sums whole, part[2];
    size_t n = model_table(m)->n_total;
    float *expected = malloc(n * sizeof *expected), *sum = calloc(n, sizeof *sum);
    micro_batch b = toy_batch(MICRO_BATCH_TRAIN, 0, 2);
    cr_assert_eq(compute_batch(m, &b, &space, &whole, NULL), RT_OK);
    memcpy(expected, model_grads(m), n * sizeof *expected);
    for (size_t i = 0; i < 2; i++) {
        b = toy_batch(MICRO_BATCH_TRAIN, i, 1);
        cr_assert_eq(compute_batch(m, &b, &space, &part[i], NULL), RT_OK);
        for (size_t j = 0; j < n; j++) sum[j] += model_grads(m)[j];
    }
    for (size_t j = 0; j < n; j++)
        cr_assert_float_eq(sum[j], expected[j], 1e-5, "parameter %zu", j);
    cr_expect_float_eq(part[0].loss[TASK_PREDICT], whole.loss[TASK_PREDICT], 1e-5);
    cr_expect_float_eq(part[1].loss[TASK_EXPLAIN], whole.loss[TASK_EXPLAIN], 1e-5);
    cr_expect_eq(whole.count[TASK_PREDICT], 1);
    cr_expect_eq(whole.count[TASK_EXPLAIN], 3);
    cr_expect_eq(whole.n_seqs[TASK_EXPLAIN], 1);
    free(expected);
    free(sum);
    compute_space_free(&space);
    model_free(m);
}

Test(compute, evaluation_gives_the_same_losses_and_leaves_the_gradient)
{
    model *m = toy_model();
    compute_space space = {0};
    wire_sums trained, scored;
    micro_batch b = toy_batch(MICRO_BATCH_TRAIN, 0, 2);
    cr_assert_eq(compute_batch(m, &b, &space, &trained, NULL), RT_OK);
    b.kind = MICRO_BATCH_EVALUATE;
    cr_assert_eq(compute_batch(m, &b, &space, &scored, NULL), RT_OK);
    cr_expect_float_eq(trained.loss[TASK_EXPLAIN], scored.loss[TASK_EXPLAIN], 1e-5);
    compute_space_free(&space);
    model_free(m);
}

/* Without instructions for bfloat16 the products are the reference loops: this runs everywhere. */
Test(compute, validation_is_float32_whatever_the_training_multiplies)
{
    model *m = toy_model();
    compute_space space = {0};
    wire_sums f32, bf16, trained;
    micro_batch b = toy_batch(MICRO_BATCH_EVALUATE, 0, 2);
    cr_assert_eq(compute_batch(m, &b, &space, &f32, NULL), RT_OK);
    cr_assert_eq(model_set_compute(m, COMPUTE_BF16, NULL), RT_OK);
    cr_assert_eq(compute_batch(m, &b, &space, &bf16, NULL), RT_OK);
    cr_expect_eq(model_compute(m), COMPUTE_BF16);
    cr_expect_eq(f32.loss[TASK_EXPLAIN], bf16.loss[TASK_EXPLAIN]);
    b.kind = MICRO_BATCH_TRAIN;
    cr_assert_eq(compute_batch(m, &b, &space, &trained, NULL), RT_OK);
    cr_expect_neq(trained.loss[TASK_EXPLAIN], f32.loss[TASK_EXPLAIN]);
    compute_space_free(&space);
    model_free(m);
}

/* What promise 4 asks of a student in bfloat16: the gradient of a micro-batch depends on weights and
 * batch alone, not on what the replica did before. */
Test(compute, in_bfloat16_another_replica_gives_the_same_gradient)
{
    compute_space space = {0};
    wire_sums sums;
    model *one = toy_model(), *other = toy_model();
    size_t n = model_table(one)->n_total;
    cr_assert_eq(model_set_compute(one, COMPUTE_BF16, NULL), RT_OK);
    cr_assert_eq(model_set_compute(other, COMPUTE_BF16, NULL), RT_OK);
    micro_batch b = toy_batch(MICRO_BATCH_TRAIN, 1, 1);
    cr_assert_eq(compute_batch(other, &b, &space, &sums, NULL), RT_OK);
    b = toy_batch(MICRO_BATCH_EVALUATE, 0, 2);
    cr_assert_eq(compute_batch(other, &b, &space, &sums, NULL), RT_OK);
    b.kind = MICRO_BATCH_TRAIN;
    cr_assert_eq(compute_batch(one, &b, &space, &sums, NULL), RT_OK);
    cr_assert_eq(compute_batch(other, &b, &space, &sums, NULL), RT_OK);
    cr_expect_eq(memcmp(model_grads(one), model_grads(other), n * sizeof(float)), 0);
    compute_space_free(&space);
    model_free(one);
    model_free(other);
}

Test(compute, refuses_what_does_not_fit_the_model)
{
    model *m = toy_model();
    compute_space space = {0};
    wire_sums sums = {.count = {42}};
    rt_error err = {0};
    uint32_t ids[] = {1, 20, 2};
    micro_batch_seq seq = {.weight = 1, .n_prompt = 2, .n_target = 1};
    micro_batch b = {.n_micro_batches = 1,
                     .task_weight = {1},
                     .task_count = {1},
                     .ids = ids,
                     .n_ids = 3,
                     .seqs = &seq,
                     .n_seqs = 1};
    cr_expect_eq(compute_batch(m, &b, &space, &sums, &err), RT_CORRUPT, "%s", err.text);
    cr_expect_eq(sums.count[0], 42, "untouched");
    compute_space_free(&space);
    model_free(m);
}

Test(compute, a_loss_that_is_not_a_number_can_still_be_sent)
{
    model *m = toy_model();
    compute_space space = {0};
    wire_sums sums;
    micro_batch b = toy_batch(MICRO_BATCH_EVALUATE, 0, 2);
    for (size_t i = 0; i < model_table(m)->n_total; i++) model_weights(m)[i] = (float)NAN;
    cr_assert_eq(compute_batch(m, &b, &space, &sums, NULL), RT_OK);
    cr_expect_eq(sums.loss[TASK_PREDICT], COMPUTE_LOSS_LOST);
    compute_space_free(&space);
    model_free(m);
}
