#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
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

Test(model_shape, makes_an_encoder_decoder_of_either_version)
{
    config *c = load(BASE "student: {arch: t5, d_model: 48, n_heads: 6, d_head: 5, n_layers: 4, "
                          "n_decoder_layers: 2, tied: false, rel_buckets: 16}\n");
    model_config shape;
    rt_error err = {0};
    cr_assert_eq(model_shape_of(c, &words, &shape, &err), RT_OK, "%s", err.text);
    cr_expect(shape.arch == MODEL_ARCH_T5 && shape.ff_act == MODEL_FF_GATED_GELU && !shape.tied);
    cr_expect(shape.n_layers == 4 && shape.n_decoder_layers == 2 && shape.n_kv_heads == 6);
    cr_expect(shape.rel_buckets == 16 && shape.rel_distance_max == 128 && shape.d_head == 5);
    cr_expect_eq(shape.decoder_start_id, 3, "pad");
    c->student.ff_act = FF_RELU;
    c->student.n_decoder_layers = 0;
    cr_assert_eq(model_shape_of(c, &words, &shape, &err), RT_OK, "%s", err.text);
    cr_expect(shape.ff_act == MODEL_FF_RELU && shape.n_decoder_layers == 4);
    config_free(c);
}

Test(model_shape, a_published_model_of_another_architecture_is_named)
{
    static const char text[] = "{\"model_type\": \"t5\", \"vocab_size\": 100, \"d_model\": 8, "
                               "\"d_kv\": 4, \"d_ff\": 10, \"num_layers\": 2, \"num_heads\": 2}";
    char folder[] = "/tmp/retort-test-XXXXXX", path[64];
    model_config shape;
    rt_error err = {0};
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/config.json", folder);
    cr_assert_eq(rt_fs_write_atomic(path, text, sizeof text - 1, NULL), RT_OK);
    config *c = load(BASE);
    free(c->student.init_from);
    c->student.init_from = strdup(folder);
    cr_expect_eq(model_shape_of(c, &words, &shape, &err), RT_INVALID);
    cr_expect_not_null(strstr(err.text, "set student.arch to t5"), "%s", err.text);
    c->student.arch = STUDENT_T5;
    cr_expect_eq(model_shape_of(c, &words, &shape, &err), RT_OK, "%s", err.text);
    cr_expect(shape.ff_act == MODEL_FF_RELU && shape.tied);
    cr_expect_eq(shape.decoder_start_id, 0, "the published model's own");
    config_free(c);
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}
