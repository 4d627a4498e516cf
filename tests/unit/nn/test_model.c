/* The whole model: gradient against a double-precision reference, the proofs of the step-by-step
 * loss, determinism, and that it learns. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/optim/adamw.h"
#include "tests/unit/nn/toy.h"

static void check_gradient(model_config config, const toy_batch *b, loss_spec spec)
{
    const char *name = NULL;
    double apart = toy_gradient_error(&config, b, spec, &name);
    cr_expect_lt(apart, 1e-4, "%s: gradient off by %g", name, apart);
}

Test(model, gradient_matches_the_double_reference)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    toy_add(b, 13, 1, 1, 1, 2);
    toy_add(b, 13, 2, 6, 1, 3);
    b->seqs[2].weight = 0.5f;
    check_gradient(toy_config(), b, toy_spec(b, 0.7f, 0.3f));
    free(b);
}

Test(model, gradient_matches_with_an_untied_head_and_one_head)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 3, 4, 0, 1);
    model_config c = toy_config();
    c.tied = false;
    c.n_heads = c.n_kv_heads = 1;
    c.n_layers = 1;
    check_gradient(c, b, toy_spec(b, 1, 0));
    free(b);
}

Test(model, gradient_matches_with_shared_layers_and_a_factorised_embedding)
{
    static const struct {
        size_t n_layers, n_layer_groups, d_embed;
        bool tied;
    } cases[] = {
        {3, 1, 0, true}, {3, 2, 0, true}, {2, 0, 5, true}, {2, 0, 5, false}, {3, 2, 4, true}};
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    toy_add(b, 13, 2, 4, 1, 2);
    for (size_t i = 0; i < RT_COUNT(cases); i++) {
        model_config c = toy_config();
        c.n_layers = cases[i].n_layers;
        c.n_layer_groups = cases[i].n_layer_groups;
        c.d_embed = cases[i].d_embed;
        c.tied = cases[i].tied;
        check_gradient(c, b, toy_spec(b, 0.7f, 0.3f));
    }
    free(b);
}

/* The gradient of a shared weight is the sum over the layers that use it. */
Test(model, a_shared_gradient_is_the_sum_of_those_of_equal_layers)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    model_config apart = toy_config(), together = toy_config();
    apart.n_layers = together.n_layers = 3;
    together.n_layer_groups = 1;
    model *a = toy_model(&apart, 3), *t = toy_model(&together, 3);
    toy_stir(t, 4);
    const param_table *from = model_table(t), *to = model_table(a);
    cr_assert_eq(from->n_params, to->n_params);
    for (size_t i = 0; i < to->n_params; i++) /* an alias has its owner's offset */
        memcpy(model_weights(a) + to->params[i].offset, model_weights(t) + from->params[i].offset,
               to->params[i].n * sizeof(float));
    loss_sums one = toy_gradient(a, b, toy_spec(b, 1, 0)),
              other = toy_gradient(t, b, toy_spec(b, 1, 0));
    cr_expect_eq(one.loss[0], other.loss[0], "equal layers compute the same");
    for (size_t i = 0; i < from->n_params; i++) {
        if (strstr(from->params[i].name, "layers.0.") == NULL) continue;
        size_t n = from->params[i].n;
        float *sum = rt_calloc(n, sizeof *sum);
        for (size_t k = i; k < to->n_params; k += 9) {
            if (strstr(to->params[k].name, "layers.") == NULL) break;
            for (size_t j = 0; j < n; j++) sum[j] += model_grads(a)[to->params[k].offset + j];
        }
        cr_expect_lt(toy_distance(model_grads(t) + from->params[i].offset, sum, n), 1e-5, "%s",
                     from->params[i].name);
        free(sum);
    }
    model_free(a);
    model_free(t);
    free(b);
}

/* With d_embed = d_model and identities as projections nothing changes. */
Test(model, a_factorised_embedding_with_identities_is_the_plain_one)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    model_config plain = toy_config(), factorised = toy_config();
    factorised.d_embed = plain.d_model;
    model *a = toy_model(&plain, 3), *f = toy_model(&factorised, 3);
    toy_stir(a, 4);
    size_t n = model_table(a)->n_total, d = plain.d_model;
    cr_assert_eq(model_table(f)->n_total, n + 2 * d * d);
    memcpy(model_weights(f), model_weights(a), n * sizeof(float));
    for (size_t i = 0; i < 2 * d * d; i++)
        model_weights(f)[n + i] = i % (d * d) / d == i % d ? 1.0f : 0.0f;
    loss_sums one = toy_gradient(a, b, toy_spec(b, 1, 0)),
              other = toy_gradient(f, b, toy_spec(b, 1, 0));
    cr_expect_float_eq(one.loss[0], other.loss[0], 1e-6);
    cr_expect_lt(toy_distance(model_grads(f), model_grads(a), n), 1e-5);
    model_free(a);
    model_free(f);
    free(b);
}

Test(model, gradient_matches_on_a_sequence_of_several_attention_blocks)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 60, 75, 0, 1);
    model_config c = toy_config();
    c.d_model = 4;
    c.n_layers = 1;
    c.n_heads = 2;
    c.n_kv_heads = 1;
    c.d_head = 2;
    c.d_ff = 3;
    check_gradient(c, b, toy_spec(b, 1, 0));
    free(b);
}

Test(model, overfits_eight_sequences)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (uint64_t i = 0; i < 8; i++) toy_add(b, 40, 6, 8, 0, 10 + i);
    model_config c = toy_config();
    c.n_vocab = 40;
    c.d_model = 32;
    c.n_heads = c.n_kv_heads = 4;
    c.d_head = 8;
    c.d_ff = 64;
    model *m = toy_model(&c, 1);
    size_t n = model_table(m)->n_total;
    float *mean = rt_calloc(n, sizeof *mean), *square = rt_calloc(n, sizeof *square);
    adamw_settings adam = {.beta1 = 0.9f, .beta2 = 0.98f, .eps = 1e-8f, .weight_decay = 0.01f};
    loss_sums sums = {0};
    for (uint64_t t = 1; t <= 200; t++) {
        sums = toy_gradient(m, b, toy_spec(b, 1, 0));
        adamw_update(&adam, 3e-3f, 1, t, true, n, model_grads(m), model_weights(m), mean, square);
    }
    cr_expect_lt(sums.loss[0] / sums.count[0], 0.05, "loss %g", sums.loss[0] / sums.count[0]);
    cr_expect_eq(sums.n_exact[0], 8);
    free(mean);
    free(square);
    model_free(m);
    free(b);
}

/* A record with both tasks: the same prompt, a short label, a rationale of n_rationale tokens. */
static void add_record(toy_batch *b, size_t n_rationale, uint64_t seed)
{
    toy_add(b, 13, 5, 2, 0, seed);
    if (n_rationale > 0) toy_add(b, 13, 5, n_rationale, 1, seed);
}

Test(step_by_step, alpha_one_is_plain_training_bit_for_bit)
{
    toy_batch *both = rt_calloc(1, sizeof *both), *label = rt_calloc(1, sizeof *label);
    for (uint64_t i = 0; i < 4; i++) {
        add_record(both, 9, i);
        add_record(label, 0, i);
    }
    model_config c = toy_config();
    c.dropout = 0.1f;
    model *m = toy_model(&c, 3);
    toy_gradient(m, label, toy_spec(label, 1, 0));
    float *plain = toy_copy_grads(m);
    toy_gradient(m, both, toy_spec(both, 1, 0));
    cr_expect_eq(memcmp(plain, model_grads(m), model_table(m)->n_total * sizeof *plain), 0);
    free(plain);
    model_free(m);
    free(both);
    free(label);
}

Test(step_by_step, alpha_zero_leaves_nothing_of_the_label)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 5, 2, 0, 1);
    toy_add(b, 13, 5, 9, 0, 2);
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    toy_gradient(m, b, toy_spec(b, 0, 1));
    for (size_t i = 0; i < model_table(m)->n_total; i++)
        cr_assert_eq(model_grads(m)[i], 0.0f, "gradient %zu is %g", i, (double)model_grads(m)[i]);
    model_free(m);
    free(b);
}

Test(step_by_step, length_of_rationales_does_not_move_the_label_gradient)
{
    toy_batch *few = rt_calloc(1, sizeof *few), *many = rt_calloc(1, sizeof *many);
    for (uint64_t i = 0; i < 4; i++) {
        add_record(few, 8, i);
        add_record(many, 16, i);
    }
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    loss_spec spec = toy_spec(few, 0.5f, 0), longer = toy_spec(many, 0.5f, 0);
    cr_expect_eq(spec.tasks[0].count, longer.tasks[0].count);
    toy_gradient(m, few, spec);
    float *before = toy_copy_grads(m);
    toy_gradient(m, many, longer);
    cr_expect_lt(toy_distance(model_grads(m), before, model_table(m)->n_total), 1e-6);
    free(before);
    model_free(m);
    free(few);
    free(many);
}

Test(step_by_step, record_without_rationale_gives_alpha_times_the_plain_gradient)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (uint64_t i = 0; i < 3; i++) add_record(b, 0, i);
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    toy_gradient(m, b, toy_spec(b, 1, 0));
    float *plain = toy_copy_grads(m);
    for (size_t i = 0; i < model_table(m)->n_total; i++) plain[i] *= 0.3f;
    toy_gradient(m, b, toy_spec(b, 0.3f, 0.7f));
    cr_expect_lt(toy_distance(model_grads(m), plain, model_table(m)->n_total), 1e-6);
    free(plain);
    model_free(m);
    free(b);
}

/* Alpha weighs both parts, lambda only the second: the gradients differ by the factor alpha. */
Test(step_by_step, lambda_and_alpha_forms_are_proportional)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    for (uint64_t i = 0; i < 3; i++) add_record(b, 7, i);
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    const float alpha = 0.25f;
    toy_gradient(m, b, toy_spec(b, 1, (1 - alpha) / alpha));
    float *lambda = toy_copy_grads(m);
    for (size_t i = 0; i < model_table(m)->n_total; i++) lambda[i] *= alpha;
    toy_gradient(m, b, toy_spec(b, alpha, 1 - alpha));
    cr_expect_lt(toy_distance(model_grads(m), lambda, model_table(m)->n_total), 1e-6);
    free(lambda);
    model_free(m);
    free(b);
}

ParameterizedTestParameters(step_by_step, split_over_micro_batches_adds_up)
{
    static size_t parts[] = {1, 2, 3, 7};
    return cr_make_param_array(size_t, parts, RT_COUNT(parts));
}
ParameterizedTest(size_t *n_parts, step_by_step, split_over_micro_batches_adds_up)
{
    toy_batch *whole = rt_calloc(1, sizeof *whole), *part = rt_calloc(1, sizeof *part);
    for (uint64_t i = 0; i < 11; i++) add_record(whole, i % 3 == 0 ? 0 : 4 + i, i);
    model_config c = toy_config();
    c.dropout = 0.2f;
    model *m = toy_model(&c, 3);
    size_t n = model_table(m)->n_total;
    loss_spec spec = toy_spec(whole, 0.5f, 0.5f);
    loss_sums all = toy_gradient(m, whole, spec), sums = {0};
    float *wanted = toy_copy_grads(m), *sum = rt_calloc(n, sizeof *sum);
    for (size_t p = 0; p < *n_parts; p++) {
        memset(part, 0, sizeof *part);
        for (size_t i = p; i < whole->n_seqs; i += *n_parts) {
            packed_seq s = whole->seqs[i];
            size_t n_ids = s.n_prompt + s.n_target;
            memcpy(part->ids + part->n_tokens, whole->ids + s.first, n_ids * sizeof(uint32_t));
            s.first = part->n_tokens;
            part->seqs[part->n_seqs++] = s;
            part->n_tokens += n_ids;
        }
        loss_sums mine = toy_gradient(m, part, spec);
        grad_add(sum, model_grads(m), n);
        for (size_t k = 0; k < 2; k++) {
            sums.loss[k] += mine.loss[k];
            sums.count[k] += mine.count[k];
            sums.n_seqs[k] += mine.n_seqs[k];
        }
    }
    cr_expect_lt(toy_distance(sum, wanted, n), 1e-6, "%zu parts: off by %g", *n_parts,
                 toy_distance(sum, wanted, n));
    for (size_t k = 0; k < 2; k++) {
        cr_expect_float_eq(sums.loss[k], all.loss[k], 1e-4);
        cr_expect_eq(sums.count[k], all.count[k]);
        cr_expect_eq(sums.n_seqs[k], all.n_seqs[k]);
    }
    free(wanted);
    free(sum);
    model_free(m);
    free(whole);
    free(part);
}

/* One frozen matrix by itself, and one inside the fused product of q, k and v. */
Test(model, frozen_entries_get_no_gradient_and_change_no_other)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 7, 5, 0, 1);
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    const param_table *table = model_table(m);
    toy_gradient(m, b, toy_spec(b, 1, 0));
    float *wanted = toy_copy_grads(m);
    static const char *const names[] = {"model.layers.0.self_attn.k_proj.weight",
                                        "model.layers.1.mlp.down_proj.weight", "model.norm.weight"};
    for (size_t k = 0; k < RT_COUNT(names); k++) {
        int i = param_table_find(table, names[k]);
        const param *p = &table->params[i];
        model_set_frozen(m, (size_t)i, true);
        memset(wanted + p->offset, 0, p->n * sizeof *wanted);
    }
    toy_gradient(m, b, toy_spec(b, 1, 0));
    for (size_t i = 0; i < table->n_total; i++)
        cr_assert_eq(model_grads(m)[i], wanted[i], "gradient %zu", i);
    free(wanted);
    model_free(m);
    free(b);
}

/* A replica that has seen other batches before has the gradient of a new one, bit for bit, and it is 0
 * outside the rows that it names. */
static void check_rows(model_config config, bool expect_rows)
{
    toy_batch *b = rt_calloc(3, sizeof *b);
    model *used = toy_model(&config, 3);
    for (uint32_t i = 0; i < 3; i++) {
        toy_add(&b[i], 5 + 4 * i, 3, 2 + i, 0, 70 + i); /* other words each time */
        model *fresh = toy_model(&config, 3);
        const param_table *table = model_table(used);
        grad_rows rows = {0};
        toy_gradient(used, &b[i], toy_spec(&b[i], 1, 0));
        toy_gradient(fresh, &b[i], toy_spec(&b[i], 1, 0));
        cr_expect(memcmp(model_grads(used), model_grads(fresh), table->n_total * sizeof(float)) ==
                      0,
                  "batch %u", i);
        cr_assert_eq(model_grad_rows(used, &rows), expect_rows);
        const param *p = &table->params[rows.i_param];
        const float *grad = model_grads(used) + p->offset;
        for (size_t row = 0, k = 0; expect_rows && row < p->shape[0]; row++) {
            bool named = k < rows.n && rows.ids[k] == row;
            bool zero = true;
            for (size_t j = 0; j < p->shape[1]; j++) zero &= grad[row * p->shape[1] + j] == 0;
            k += named;
            cr_expect_eq(zero, !named, "batch %u row %zu", i, row);
        }
        model_free(fresh);
    }
    /* A batch that nothing is learnt from has no row. */
    grad_rows rows = {0};
    for (size_t i = 0; i < b[2].n_seqs; i++) b[2].seqs[i].weight = 0;
    toy_gradient(used, &b[2], toy_spec(&b[2], 1, 0));
    if (model_grad_rows(used, &rows)) cr_expect_eq(rows.n, 0);
    toy_gradient(used, &b[0], toy_spec(&b[0], 1, 0));
    if (model_grad_rows(used, &rows)) cr_expect_gt(rows.n, 0);
    model_free(used);
    free(b);
}

Test(model, the_gradient_of_an_embedding_that_only_the_input_reads_names_its_rows)
{
    model_config c = toy_config();
    check_rows(c, false);
    c.tied = false;
    check_rows(c, true);
    c.d_embed = 5;
    check_rows(c, true);
    check_rows(toy_t5_config(), true);
}

Test(model, two_calls_and_two_replicas_give_the_same_bits)
{
    toy_batch *b = rt_calloc(1, sizeof *b), *other = rt_calloc(1, sizeof *other);
    for (uint64_t i = 0; i < 5; i++) toy_add(b, 13, 7, 3 + i, i % 2, i);
    toy_add(other, 13, 90, 33, 0, 77);
    model_config c = toy_config();
    c.dropout = 0.1f;
    model *first = toy_model(&c, 3), *second = toy_model(&c, 3);
    size_t n_bytes = model_table(first)->n_total * sizeof(float);
    toy_gradient(first, b, toy_spec(b, 0.5f, 0.5f));
    float *wanted = toy_copy_grads(first);
    toy_gradient(first, other, toy_spec(other, 1, 0)); /* leaves other sizes in every buffer */
    toy_gradient(first, b, toy_spec(b, 0.5f, 0.5f));
    cr_expect_eq(memcmp(wanted, model_grads(first), n_bytes), 0);
    toy_gradient(second, b, toy_spec(b, 0.5f, 0.5f));
    cr_expect_eq(memcmp(wanted, model_grads(second), n_bytes), 0);
    free(wanted);
    model_free(first);
    model_free(second);
    free(b);
    free(other);
}

Test(model, evaluation_has_no_dropout_and_leaves_gradients_alone)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 7, 9, 0, 1);
    model_config c = toy_config(), dropped = c;
    dropped.dropout = 0.5f;
    model *plain = toy_model(&c, 3), *m = toy_model(&dropped, 3);
    loss_spec spec = toy_spec(b, 1, 0);
    packed_batch view = toy_view(b);
    loss_sums wanted, sums;
    cr_assert_eq(model_evaluate(plain, &view, &spec, &wanted, NULL), RT_OK);
    cr_assert_eq(model_evaluate(m, &view, &spec, &sums, NULL), RT_OK);
    cr_expect_eq(sums.loss[0], wanted.loss[0]);
    cr_expect_eq(model_grads(m)[0], 0.0f);
    loss_sums with = toy_gradient(m, b, spec);
    cr_expect_neq(with.loss[0], wanted.loss[0]);
    view.epoch = 1;
    cr_assert_eq(model_gradient(m, &view, &spec, &sums, NULL), RT_OK);
    cr_expect_neq(sums.loss[0], with.loss[0], "another epoch drops others");
    model_free(plain);
    model_free(m);
    free(b);
}

Test(model, a_view_reads_the_weights_of_its_model_at_the_same_time)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 7, 9, 0, 1);
    model_config c = toy_config();
    model *m = toy_model(&c, 3), *seen = NULL;
    loss_spec spec = toy_spec(b, 1, 0);
    packed_batch batch = toy_view(b);
    loss_sums wanted, sums;
    cr_assert_eq(model_new_view(m, &seen, NULL), RT_OK);
    toy_stir(m, 8);
    cr_assert_eq(model_evaluate(m, &batch, &spec, &wanted, NULL), RT_OK);
    cr_assert_eq(model_evaluate(seen, &batch, &spec, &sums, NULL), RT_OK);
    cr_expect_eq(sums.loss[0], wanted.loss[0]);
    model_free(seen);
    cr_assert_eq(model_evaluate(m, &batch, &spec, &sums, NULL), RT_OK); /* still its own */
    cr_expect_eq(sums.loss[0], wanted.loss[0]);
    model_free(m);
    free(b);
}

/* Sequences of a batch must not see each other, and dropout must not see the packing. */
Test(model, a_sequence_has_the_same_loss_alone_and_packed)
{
    toy_batch *b = rt_calloc(1, sizeof *b), *alone = rt_calloc(1, sizeof *alone);
    toy_add(b, 13, 9, 4, 1, 1);
    toy_add(b, 13, 70, 9, 0, 2);
    toy_add(alone, 13, 70, 9, 0, 2);
    model_config c = toy_config();
    c.dropout = 0.3f;
    model *m = toy_model(&c, 3);
    loss_sums packed = toy_gradient(m, b, toy_spec(b, 1, 1));
    loss_sums single = toy_gradient(m, alone, toy_spec(alone, 1, 1));
    cr_expect_float_eq(packed.loss[0], single.loss[0], 1e-5);
    model_free(m);
    free(b);
    free(alone);
}

Test(model, rejects_bad_batches_and_specs_and_writes_nothing)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    toy_add(b, 13, 4, 3, 1, 2);
    model_config c = toy_config();
    model *m = toy_model(&c, 3);
    loss_sums sums = {.n_seqs = {99}};
    rt_error err = {0};
    loss_spec good = toy_spec(b, 1, 1);
    packed_batch view = toy_view(b);

    struct {
        packed_seq seq;
        const char *why;
    } bad[] = {
        {{.first = 1, .n_prompt = 4, .n_target = 3, .weight = 1}, "gap"},
        {{.first = 0, .n_prompt = 0, .n_target = 7, .weight = 1}, "empty prompt"},
        {{.first = 0, .n_prompt = 7, .n_target = 0, .weight = 1}, "no target"},
        {{.first = 0, .n_prompt = 4, .n_target = (size_t)-1, .weight = 1}, "overflow"},
        {{.first = 0, .n_prompt = 4, .n_target = 3, .task = 2, .weight = 1}, "unknown task"},
        {{.first = 0, .n_prompt = 4, .n_target = 3, .task = 9, .weight = 1}, "huge task"},
        {{.first = 0, .n_prompt = 4, .n_target = 3, .weight = -1}, "negative weight"},
        {{.first = 0, .n_prompt = 4, .n_target = 3, .weight = NAN}, "weight not a number"},
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        packed_seq seqs[2] = {bad[i].seq, b->seqs[1]};
        view.seqs = seqs;
        cr_expect_eq(model_gradient(m, &view, &good, &sums, &err), RT_CORRUPT, "%s", bad[i].why);
    }
    view = toy_view(b);
    b->ids[5] = 13;
    cr_expect_eq(model_gradient(m, &view, &good, &sums, &err), RT_CORRUPT);
    b->ids[5] = 12;
    loss_spec no_count = good;
    no_count.tasks[1].count = 0;
    cr_expect_eq(model_gradient(m, &view, &no_count, &sums, &err), RT_INVALID);
    loss_spec no_task = {0};
    cr_expect_eq(model_gradient(m, &view, &no_task, &sums, &err), RT_INVALID);
    cr_expect_eq(sums.n_seqs[0], 99);
    cr_expect_eq(model_gradient(m, &view, &good, &sums, &err), RT_OK);
    model_free(m);
    free(b);
}
