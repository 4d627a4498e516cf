#include <criterion/criterion.h>
#include <string.h>

#include "worker/model_shape/model_shape.h"

static const vocabulary words = {.n_vocab = 100, .bos_id = 1, .eos_id = 2, .pad_id = 3};

static config *load(const char *yaml)
{
    config *c = NULL;
    rt_error err = {0};
    cr_assert_eq(config_parse("test.yaml", yaml, strlen(yaml), NULL, &c, &err), RT_OK, "%s",
                 err.text);
    return c;
}

#define BASE \
    "name: t\ncorpus: {files: [a.jsonl]}\nteacher: {files: [b.jsonl], match_field: \"{input}\"}\n"

Test(model_shape, fills_in_what_the_settings_leave_open)
{
    config *c = load(BASE "student: {d_model: 48, n_heads: 6, n_kv_heads: 0, d_head: 0, "
                          "n_layers: 2, d_ff: 96, seq_len_max: 64, dropout: 0.1}\n");
    model_config shape;
    rt_error err = {0};
    cr_assert_eq(model_shape_of(c, &words, &shape, &err), RT_OK, "%s", err.text);
    cr_expect_eq(shape.n_kv_heads, 6);
    cr_expect_eq(shape.d_head, 8);
    cr_expect_eq(shape.n_vocab, 100);
    cr_expect_eq(shape.eos_id, 2);
    cr_expect_eq(shape.seq_len_max, 64);
    cr_expect_float_eq(shape.dropout, 0.1f, 1e-7);
    config_free(c);
}

Test(model_shape, refuses_what_makes_no_model)
{
    config *c = load(BASE "student: {d_model: 48, n_heads: 6}\n");
    c->student.n_kv_heads = 4;
    model_config shape = {.n_vocab = 7};
    rt_error err = {0};
    cr_expect_eq(model_shape_of(c, &words, &shape, &err), RT_INVALID);
    cr_expect_eq(shape.n_vocab, 7, "untouched");
    vocabulary none = {0};
    cr_expect_eq(model_shape_of(c, &none, &shape, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "vocabulary"));
    config_free(c);
}

Test(model_shape, names_the_setting_when_the_published_model_is_missing)
{
    config *c = load(BASE "student: {init_from: /nowhere/model}\n");
    model_config shape;
    rt_error err = {0};
    cr_expect_neq(model_shape_of(c, &words, &shape, &err), RT_OK);
    cr_expect_not_null(strstr(err.text, "student.init_from"), "%s", err.text);
    config_free(c);
}
