/* T5, both versions: gradients against a double-precision reference, parameters against published
 * counts, sums over parts, and decoding against full forward passes. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/decode_slots.h"
#include "common/nn/generate.h"
#include "common/nn/optim/adamw.h"
#include "tests/unit/nn/toy.h"

/* Version 1.0 at 0: ReLU, tied. Version 1.1 at 1: gated GELU, untied. */
static model_config version(size_t v)
{
    model_config c = toy_t5_config();
    if (v == 1) return c;
    c.ff_act = MODEL_FF_RELU;
    c.tied = true;
    return c;
}

static void check_gradient(model_config config, const toy_batch *b, loss_spec spec)
{
    const char *name = NULL;
    double apart = toy_gradient_error(&config, b, spec, &name);
    cr_expect_lt(apart, 1e-4, "%s: gradient off by %g", name, apart);
}

ParameterizedTestParameters(t5, gradient_matches_the_double_reference)
{
    static size_t versions[] = {0, 1};
    return cr_make_param_array(size_t, versions, RT_COUNT(versions));
}
ParameterizedTest(size_t *v, t5, gradient_matches_the_double_reference)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 4, 3, 0, 1);
    toy_add(b, 13, 1, 1, 1, 2);
    toy_add(b, 13, 2, 16, 1, 3); /* beyond the greatest distance */
    toy_add(b, 13, 17, 2, 0, 4);
    b->seqs[2].weight = 0.5f;
    check_gradient(version(*v), b, toy_spec(b, 0.7f, 0.3f));
    free(b);
}

Test(t5, gradient_matches_on_sequences_of_several_attention_blocks)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 5, 66, 65, 0, 1);
    model_config c = version(1);
    c.n_vocab = 5;
    c.d_model = 6;
    c.n_layers = c.n_decoder_layers = 1;
    c.d_head = 2;
    c.d_ff = 3;
    check_gradient(c, b, toy_spec(b, 1, 0));
    free(b);
}

/* Sizes of published checkpoints, and what their cards and papers count. */
Test(t5, has_as_many_parameters_as_published_models)
{
    static const struct {
        size_t d_model, d_ff, n_layers, n_heads, version, count;
    } known[] = {
        {512, 2048, 6, 8, 0, 60506624},    /* t5-small */
        {768, 3072, 12, 12, 0, 222903552}, /* t5-base */
        {512, 1024, 8, 6, 1, 76961152},    /* t5-v1_1-small */
        {768, 2048, 12, 12, 1, 247577856}, /* t5-v1_1-base */
    };
    for (size_t i = 0; i < RT_COUNT(known); i++) {
        model_config c = version(known[i].version);
        param_table table = {0};
        c.n_vocab = 32128;
        c.d_model = known[i].d_model;
        c.d_ff = known[i].d_ff;
        c.n_layers = c.n_decoder_layers = known[i].n_layers;
        c.n_heads = c.n_kv_heads = known[i].n_heads;
        c.d_head = 64;
        c.rel_buckets = 32;
        c.rel_distance_max = 128;
        cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
        cr_expect_eq(table.n_total, known[i].count, "%zu: %zu", i, table.n_total);
        param_table_free(&table);
    }
}

static const param *named(const param_table *table, const char *name)
{
    int i = param_table_find(table, name);
    cr_assert_geq(i, 0, "%s", name);
    return &table->params[i];
}

Test(t5, lists_the_names_and_shapes_of_hugging_face_side_by_side)
{
    for (size_t v = 0; v < 2; v++) {
        model_config c = version(v);
        param_table table = {0};
        size_t at = 0;
        cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
        cr_expect_eq(table.n_params, 3 + (8 + v) + 1 + 2 * (13 + v) + 1 + 1);
        for (size_t i = 0; i < table.n_params; i++) {
            const param *p = &table.params[i];
            cr_expect_eq(param_table_find(&table, p->name), (int)i);
            if (p->alias_of >= 0) continue;
            cr_expect_eq(p->offset, at);
            at += p->n;
        }
        cr_expect_eq(table.n_total, at);
        const param *bias =
            named(&table, "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight");
        cr_expect(bias->shape[0] == 8 && bias->shape[1] == 2 && !bias->decay);
        const param *o = named(&table, "encoder.block.0.layer.0.SelfAttention.o.weight");
        cr_expect(o->shape[0] == 12 && o->shape[1] == 10 && o->decay && o->lr_scale == 1);
        const param *q = named(&table, "decoder.block.1.layer.1.EncDecAttention.q.weight");
        cr_expect(q->shape[0] == 10 && q->shape[1] == 12);
        cr_expect_float_eq(q->lr_scale, 1 / sqrt(5), 1e-6);
        named(&table, v == 0 ? "decoder.block.0.layer.2.DenseReluDense.wi.weight"
                             : "decoder.block.0.layer.2.DenseReluDense.wi_0.weight");
        named(&table, "encoder.block.0.layer.1.layer_norm.weight");
        named(&table, "encoder.final_layer_norm.weight");
        cr_expect_eq(named(&table, "lm_head.weight")->alias_of, v == 0 ? 0 : -1);
        param_table_free(&table);
    }
}

static double deviation_of(const param_table *table, const model_config *c, const char *name)
{
    size_t i = (size_t)(named(table, name) - table->params);
    const param *p = &table->params[i];
    float *w = rt_calloc(p->n, sizeof *w);
    double square = 0;
    param_init(table, c, 1, i, w);
    for (size_t j = 0; j < p->n; j++) square += (double)w[j] * w[j];
    free(w);
    return sqrt(square / (double)p->n);
}

Test(t5, initial_deviations_follow_the_recipe)
{
    model_config c = version(1);
    c.d_model = 96;
    c.d_head = 32;
    c.d_ff = 200;
    c.n_vocab = 512;
    c.rel_buckets = 256;
    c.rel_distance_max = 512;
    param_table table = {0};
    cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
    const struct {
        const char *name;
        double deviation;
    } wanted[] = {
        {"shared.weight", 1},
        {"lm_head.weight", 1 / sqrt(96)},
        {"encoder.block.0.layer.0.SelfAttention.q.weight", 1 / sqrt(96 * 32)},
        {"decoder.block.1.layer.1.EncDecAttention.q.weight", 1 / sqrt(96 * 32)},
        {"decoder.block.1.layer.1.EncDecAttention.k.weight", 1 / sqrt(96)},
        {"decoder.block.1.layer.0.SelfAttention.o.weight", 1 / sqrt(2 * 32)},
        {"decoder.block.1.layer.2.DenseReluDense.wi_1.weight", 1 / sqrt(96)},
        {"decoder.block.1.layer.2.DenseReluDense.wo.weight", 1 / sqrt(200)},
        {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 1 / sqrt(96)},
    };
    for (size_t k = 0; k < RT_COUNT(wanted); k++)
        cr_expect_float_eq(deviation_of(&table, &c, wanted[k].name), wanted[k].deviation,
                           0.05 * wanted[k].deviation, "%s", wanted[k].name);
    cr_expect_eq(deviation_of(&table, &c, "decoder.final_layer_norm.weight"), 1);
    param_table_free(&table);
}

Test(t5, overfits_eight_sequences)
{
    for (size_t v = 0; v < 2; v++) {
        toy_batch *b = rt_calloc(1, sizeof *b);
        for (uint64_t i = 0; i < 8; i++) toy_add(b, 40, 6, 8, 0, 10 + i);
        model_config c = version(v);
        c.n_vocab = 40;
        c.d_model = 32;
        c.d_head = 8;
        c.d_ff = 64;
        model *m = toy_model(&c, 1);
        size_t n = model_table(m)->n_total;
        float *mean = rt_calloc(n, sizeof *mean), *square = rt_calloc(n, sizeof *square);
        adamw_settings adam = {.beta1 = 0.9f, .beta2 = 0.98f, .eps = 1e-8f, .weight_decay = 0.01f};
        loss_sums sums = {0};
        for (uint64_t t = 1; t <= 200; t++) {
            sums = toy_gradient(m, b, toy_spec(b, 1, 0));
            adamw_update(&adam, 3e-3f, 1, t, true, n, model_grads(m), model_weights(m), mean,
                         square);
        }
        cr_expect_lt(sums.loss[0] / sums.count[0], 0.1, "loss %g", sums.loss[0] / sums.count[0]);
        cr_expect_eq(sums.n_exact[0], 8);
        free(mean);
        free(square);
        model_free(m);
        free(b);
    }
}

static void take_part(const toy_batch *whole, size_t first, size_t step, toy_batch *part)
{
    memset(part, 0, sizeof *part);
    for (size_t i = first; i < whole->n_seqs; i += step) {
        packed_seq s = whole->seqs[i];
        size_t n_ids = s.n_prompt + s.n_target;
        memcpy(part->ids + part->n_tokens, whole->ids + s.first, n_ids * sizeof(uint32_t));
        s.first = part->n_tokens;
        part->seqs[part->n_seqs++] = s;
        part->n_tokens += n_ids;
    }
}

/* Dropout included: it must not see how sequences are packed. */
Test(t5, gradient_of_a_batch_is_the_sum_over_its_parts)
{
    toy_batch *whole = rt_calloc(1, sizeof *whole), *part = rt_calloc(1, sizeof *part);
    for (uint64_t i = 0; i < 11; i++) toy_add(whole, 13, 2 + 3 * i, 1 + i, i % 2, i);
    model_config c = version(1);
    c.dropout = 0.2f;
    model *m = toy_model(&c, 3);
    toy_stir(m, 4);
    size_t n = model_table(m)->n_total;
    loss_spec spec = toy_spec(whole, 0.5f, 0.5f);
    loss_sums all = toy_gradient(m, whole, spec), sums = {0};
    float *wanted = toy_copy_grads(m);
    for (size_t n_parts = 2; n_parts <= 5; n_parts += 3) {
        float *sum = rt_calloc(n, sizeof *sum);
        memset(&sums, 0, sizeof sums);
        for (size_t p = 0; p < n_parts; p++) {
            take_part(whole, p, n_parts, part);
            loss_sums mine = toy_gradient(m, part, spec);
            grad_add(sum, model_grads(m), n);
            for (size_t k = 0; k < 2; k++) sums.loss[k] += mine.loss[k];
        }
        /* Kernels that sum in another order at the edge of a product change last bits; weights that
         * differ by 1e-7 change the gradient of the ninth sequence by 2.5e-4. */
        cr_expect_lt(toy_distance(sum, wanted, n), 1e-3, "%zu parts: off by %g", n_parts,
                     toy_distance(sum, wanted, n));
        for (size_t k = 0; k < 2; k++) cr_expect_float_eq(sums.loss[k], all.loss[k], 1e-4);
        free(sum);
    }
    free(wanted);
    model_free(m);
    free(whole);
    free(part);
}

Test(t5, two_calls_and_two_replicas_give_the_same_bits)
{
    toy_batch *b = rt_calloc(1, sizeof *b), *other = rt_calloc(1, sizeof *other);
    for (uint64_t i = 0; i < 5; i++) toy_add(b, 13, 7 + 20 * i, 3 + i, i % 2, i);
    toy_add(other, 13, 90, 33, 0, 77);
    model_config c = version(1);
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

Test(t5, frozen_entries_get_no_gradient_and_change_no_other)
{
    toy_batch *b = rt_calloc(1, sizeof *b);
    toy_add(b, 13, 7, 5, 0, 1);
    model_config c = version(1);
    model *m = toy_model(&c, 3);
    const param_table *table = model_table(m);
    toy_gradient(m, b, toy_spec(b, 1, 0));
    float *wanted = toy_copy_grads(m);
    static const char *const names[] = {
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
        "decoder.block.1.layer.1.EncDecAttention.v.weight", "shared.weight"};
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

enum { N_PROMPTS = 24, LEN = 21, N_NEW = 40 };

typedef struct crowd {
    uint32_t ids[N_PROMPTS][LEN];
    generate_prompt prompts[N_PROMPTS];
} crowd;

static void make_crowd(crowd *c, size_t n_vocab)
{
    rng_key key = rng_key_make(5, "crowd", (rt_id){0}, 0);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        c->prompts[i] =
            (generate_prompt){.ids = c->ids[i], .n_ids = 1 + i * 7 % LEN, .record_id = {.low = i}};
        for (size_t j = 0; j < LEN; j++)
            c->ids[i][j] = (uint32_t)rng_below(key, i * LEN + j, n_vocab);
    }
}

static model *stirred(size_t v)
{
    model_config c = version(v);
    c.dropout = 0.5f; /* decoding has none */
    model *m = toy_model(&c, 3);
    toy_stir(m, 3);
    return m;
}

/* What decoding wrote, as a batch: prompt, then new tokens, then eos where it stopped. */
static void as_batch(const crowd *c, const generated *out, uint32_t eos_id, toy_batch *b)
{
    for (size_t i = 0; i < N_PROMPTS; i++) {
        bool stopped = out[i].finish == FINISH_STOP;
        uint32_t *ids = b->ids + b->n_tokens;
        size_t n_prompt = c->prompts[i].n_ids, n_target = out[i].n_ids + stopped;
        memcpy(ids, c->ids[i], n_prompt * sizeof *ids);
        memcpy(ids + n_prompt, out[i].ids, out[i].n_ids * sizeof *ids);
        if (stopped) ids[n_prompt + out[i].n_ids] = eos_id;
        b->seqs[b->n_seqs++] = (packed_seq){
            .first = b->n_tokens, .n_prompt = n_prompt, .n_target = n_target, .weight = 1};
        b->n_tokens += n_prompt + n_target;
    }
}

ParameterizedTestParameters(t5, cached_decoding_equals_full_forward_passes)
{
    static size_t versions[] = {0, 1};
    return cr_make_param_array(size_t, versions, RT_COUNT(versions));
}
ParameterizedTest(size_t *v, t5, cached_decoding_equals_full_forward_passes)
{
    model *m = stirred(*v);
    crowd c;
    generated out[N_PROMPTS];
    rt_error err = {0};
    double scores[N_PROMPTS];
    size_t n_stopped = 0;
    make_crowd(&c, 13);
    generate_options options = {.max_new_tokens = N_NEW, .top_p = 1};
    cr_assert_eq(generate(m, c.prompts, N_PROMPTS, &options, out, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; i < N_PROMPTS; i++) n_stopped += out[i].finish == FINISH_STOP;
    cr_expect(n_stopped > 0 && n_stopped < N_PROMPTS, "%zu stopped: both ends are wanted",
              n_stopped);
    toy_batch *b = rt_calloc(1, sizeof *b);
    as_batch(&c, out, 1, b);
    packed_batch view = toy_view(b);
    loss_spec spec = toy_spec(b, 1, 0);
    loss_sums sums;
    cr_assert_eq(model_evaluate(m, &view, &spec, &sums, &err), RT_OK, "%s", err.text);
    cr_expect_eq(sums.n_exact[0], N_PROMPTS, "every token is the arg max of a full pass");
    cr_assert_eq(model_score(m, &view, scores, &err), RT_OK, "%s", err.text);
    for (size_t i = 0; i < N_PROMPTS; i++)
        cr_expect_float_eq(scores[i], out[i].sum_logprob, 1e-4, "%g against %g", scores[i],
                           out[i].sum_logprob);
    generated_free(out, N_PROMPTS);
    free(b);
    model_free(m);
}

/* A new prompt as soon as a slot is free; each sequence is what generate() gives it alone. */
Test(t5, slots_give_each_sequence_what_it_gets_alone)
{
    model *m = stirred(1);
    crowd c;
    decode_slots *s = NULL;
    size_t i_next = 0, n_done = 0, owner[5], n_new[N_PROMPTS] = {0};
    uint32_t ids[N_PROMPTS][N_NEW];
    double sums[N_PROMPTS] = {0};
    decoded_token tokens[5];
    generate_options options = {.max_new_tokens = N_NEW, .temperature = 0.7f, .top_p = 1};
    make_crowd(&c, 13);
    cr_assert_eq(decode_slots_new(m, 5, &s, NULL), RT_OK);
    while (n_done < N_PROMPTS) {
        size_t n = 0;
        uint32_t i_slot;
        if (i_next < N_PROMPTS && decode_slots_n_free(s) > 0) {
            cr_assert_eq(decode_slots_add(s, &c.prompts[i_next], &options, 0, &i_slot, NULL),
                         RT_OK);
            owner[i_slot] = i_next++;
        }
        cr_assert_eq(decode_slots_step(s, tokens, &n, NULL), RT_OK);
        for (size_t i = 0; i < n; i++) {
            size_t who = owner[tokens[i].i_slot];
            sums[who] += tokens[i].logprob;
            if (tokens[i].id != 1) ids[who][n_new[who]++] = tokens[i].id;
            n_done += tokens[i].ends;
        }
    }
    decode_slots_free(s);
    for (size_t i = 0; i < N_PROMPTS; i++) {
        generated alone = {0};
        cr_assert_eq(generate(m, &c.prompts[i], 1, &options, &alone, NULL), RT_OK);
        cr_assert_eq(n_new[i], alone.n_ids, "prompt %zu", i);
        cr_expect_eq(memcmp(ids[i], alone.ids, alone.n_ids * sizeof *alone.ids), 0);
        cr_expect_float_eq(sums[i], alone.sum_logprob, 1e-4);
        generated_free(&alone, 1);
    }
    model_free(m);
}

Test(t5, decoding_stops_at_seq_len_max)
{
    model_config c = version(1);
    c.seq_len_max = 6;
    c.eos_id = 0;
    model *m = toy_model(&c, 3);
    uint32_t ids[] = {3, 4, 5, 6, 7};
    generate_prompt prompts[] = {{.ids = ids, .n_ids = 5}, {.ids = ids, .n_ids = 2}};
    generated out[2] = {{0}};
    generate_options options = {.max_new_tokens = 100, .top_p = 1};
    cr_assert_eq(generate(m, prompts, 2, &options, out, NULL), RT_OK);
    for (size_t i = 0; i < 2; i++)
        if (out[i].finish == FINISH_LENGTH)
            cr_expect_eq(out[i].n_ids, c.seq_len_max - prompts[i].n_ids);
    generated_free(out, 2);
    model_free(m);
}
