#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/nn/param_table.h"
#include "tests/unit/nn/toy.h"

Test(param_table, lists_the_names_and_shapes_of_hugging_face_side_by_side)
{
    model_config c = toy_config();
    param_table table = {0};
    cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
    cr_expect_eq(table.n_params, 1 + 2 * 9 + 1 + 1);
    size_t at = 0;
    for (size_t i = 0; i < table.n_params; i++) {
        const param *p = &table.params[i];
        cr_expect_eq(param_table_find(&table, p->name), (int)i);
        if (p->alias_of >= 0) continue;
        cr_expect_eq(p->offset, at);
        cr_expect_eq(p->n, p->shape[0] * (p->n_dims == 2 ? p->shape[1] : 1));
        cr_expect_eq(p->decay, p->n_dims == 2);
        at += p->n;
    }
    cr_expect_eq(table.n_total, at);
    const param *k =
        &table.params[param_table_find(&table, "model.layers.1.self_attn.k_proj.weight")];
    cr_expect(k->shape[0] == 12 && k->shape[1] == 12);
    const param *head = &table.params[param_table_find(&table, "lm_head.weight")];
    cr_expect(head->alias_of == 0 && head->offset == 0);
    cr_expect_eq(param_table_find(&table, "lm_head"), -1);
    param_table_free(&table);
    param_table_free(NULL);
}

Test(param_table, initial_weights_do_not_depend_on_who_computes_which_slice)
{
    model_config c = toy_config();
    param_table table = {0};
    cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
    float *whole = rt_calloc(table.n_total, sizeof *whole);
    float *parts = rt_calloc(table.n_total, sizeof *parts);
    float *other = rt_calloc(table.n_total, sizeof *other);
    param_table_init(&table, &c, 7, whole);
    param_table_init(&table, &c, 8, other);
    for (size_t i = table.n_params; i-- > 0;)
        param_init(&table, &c, 7, i, parts + table.params[i].offset);
    cr_expect_eq(memcmp(whole, parts, table.n_total * sizeof *whole), 0);
    cr_expect_neq(memcmp(whole, other, table.n_total * sizeof *whole), 0);
    free(whole);
    free(parts);
    free(other);
    param_table_free(&table);
}

Test(param_table, initial_deviations_follow_the_recipe)
{
    model_config c = toy_config();
    c.d_model = 96;
    c.d_ff = 256;
    c.n_vocab = 512;
    c.n_layers = 2;
    param_table table = {0};
    cr_assert_eq(param_table_build(&c, &table, NULL), RT_OK);
    struct {
        const char *name;
        double deviation;
    } wanted[] = {
        {"model.embed_tokens.weight", 0.05},
        {"model.layers.0.mlp.up_proj.weight", 1 / sqrt(96)},
        {"model.layers.0.mlp.down_proj.weight", 1 / sqrt(256) / 2}, /* sqrt(2 * 2 layers) */
    };
    for (size_t k = 0; k < RT_COUNT(wanted); k++) {
        int i = param_table_find(&table, wanted[k].name);
        const param *p = &table.params[i];
        float *w = rt_calloc(p->n, sizeof *w);
        param_init(&table, &c, 1, (size_t)i, w);
        double sum = 0, square = 0;
        for (size_t j = 0; j < p->n; j++) {
            sum += (double)w[j];
            square += (double)w[j] * w[j];
        }
        cr_expect_float_eq(sqrt(square / (double)p->n), wanted[k].deviation,
                           0.03 * wanted[k].deviation, "%s", p->name);
        cr_expect_leq(fabs(sum / (double)p->n), 0.03 * wanted[k].deviation);
        free(w);
    }
    int norm = param_table_find(&table, "model.norm.weight");
    float w[96];
    param_init(&table, &c, 1, (size_t)norm, w);
    for (size_t j = 0; j < 96; j++) cr_expect_eq(w[j], 1.0f);
    param_table_free(&table);
}

static void expect_refused(model_config c, const char *field)
{
    rt_error err = {0};
    param_table table = {.n_params = 77};
    model *m = NULL;
    cr_expect_eq(param_table_build(&c, &table, &err), RT_INVALID, "%s", field);
    cr_expect_not_null(strstr(err.text, field), "%s not in: %s", field, err.text);
    cr_expect_eq(table.n_params, 77);
    cr_expect_eq(model_new(&c, &m, &err), RT_INVALID);
    cr_expect_null(m);
}

#define REFUSE(field, value)       \
    do {                           \
        model_config c = good;     \
        c.field = value;           \
        expect_refused(c, #field); \
    } while (0)

Test(model_config, refuses_what_cannot_be_and_names_the_field)
{
    const model_config good = toy_config();
    cr_expect_eq(model_config_check(&good, NULL), RT_OK);
    REFUSE(arch, (model_arch)7);
    REFUSE(n_vocab, 1);
    REFUSE(n_vocab, SIZE_MAX);
    REFUSE(d_model, 0);
    REFUSE(n_layers, 0);
    REFUSE(n_layers, (size_t)1 << 30);
    REFUSE(n_heads, 0);
    REFUSE(n_kv_heads, 3);
    REFUSE(n_kv_heads, 8);
    REFUSE(d_head, 5);
    REFUSE(d_head, 0);
    REFUSE(d_head, (size_t)1 << 19);
    REFUSE(d_ff, 0);
    REFUSE(seq_len_max, 0);
    REFUSE(eos_id, 13);
    REFUSE(bos_id, 13);
    REFUSE(pad_id, 99);
    REFUSE(rope_theta, 0);
    REFUSE(rope_theta, NAN);
    REFUSE(norm_eps, 0);
    REFUSE(dropout, 1);
    REFUSE(dropout, -0.1f);
    REFUSE(dropout, NAN);
    REFUSE(ff_act, MODEL_FF_RELU);
    model_config huge = good;
    huge.n_vocab = (size_t)1 << 24;
    huge.d_model = (size_t)1 << 20;
    expect_refused(huge, "parameters");
}

Test(model_config, refuses_an_encoder_decoder_that_cannot_be)
{
    const model_config good = toy_t5_config();
    cr_expect_eq(model_config_check(&good, NULL), RT_OK);
    cr_expect(model_config_has_encoder(&good));
    REFUSE(n_layers, 0);
    REFUSE(n_decoder_layers, 0);
    REFUSE(n_decoder_layers, 1025);
    REFUSE(n_kv_heads, 1);
    REFUSE(rel_buckets, 0);
    REFUSE(rel_buckets, 6);
    REFUSE(rel_buckets, 4096);
    REFUSE(rel_distance_max, 4); /* four buckets of the decoder hold one distance each */
    REFUSE(decoder_start_id, 13);
    REFUSE(ff_act, MODEL_FF_SWIGLU);
    REFUSE(ff_act, (model_ff_act)9);
    model_config odd = good; /* nothing is rotated */
    odd.d_head = 3;
    odd.rel_distance_max = 5;
    cr_expect_eq(model_config_check(&odd, NULL), RT_OK);
    model_config huge = good;
    huge.n_vocab = (size_t)1 << 24;
    huge.d_model = (size_t)1 << 20;
    expect_refused(huge, "parameters");
}

#undef REFUSE
