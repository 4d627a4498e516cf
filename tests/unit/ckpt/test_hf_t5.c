/* T5 folders: both versions there and back, the names of the embedding, configs of published
 * models, and what is refused. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/retort-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    cr_assert_eq(rt_fs_remove_tree(folder, NULL), RT_OK);
}

TestSuite(hf_t5, .init = make_folder, .fini = remove_folder);

/* v1.1 at 1: gated and untied. */
static model_config version(int v)
{
    return (model_config){.arch = MODEL_ARCH_T5,
                          .n_vocab = 11,
                          .d_model = 8,
                          .n_layers = 2,
                          .n_decoder_layers = 1,
                          .n_heads = 4,
                          .n_kv_heads = 4,
                          .d_head = 3,
                          .d_ff = 10,
                          .seq_len_max = 64,
                          .norm_eps = 1e-6f,
                          .dropout = 0.1f,
                          .tied = v == 0,
                          .bos_id = 3,
                          .eos_id = 2,
                          .pad_id = 3,
                          .decoder_start_id = 3,
                          .rel_buckets = 8,
                          .rel_distance_max = 20,
                          .ff_act = v == 0 ? MODEL_FF_RELU : MODEL_FF_GATED_GELU};
}

static void write_config(const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/config.json", folder);
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
}

static model *save(int v)
{
    model_config c = version(v);
    rt_error err = {0};
    model *m = NULL;
    cr_assert_eq(model_new(&c, &m, &err), RT_OK, "%s", err.text);
    param_table_init(model_table(m), &c, 7, model_weights(m));
    cr_assert_eq(hf_config_write(folder, &c, TENSOR_F32, &err), RT_OK, "%s", err.text);
    cr_assert_eq(hf_weights_write(folder, model_table(m), model_weights(m), TENSOR_F32, NULL, &err),
                 RT_OK, "%s", err.text);
    return m;
}

/* Write the weights again, with the embedding under other names (NULL: left out). */
static void save_renamed(model *m, const char *const *names, size_t n_names, const char *left_out)
{
    tensor_source sources[64];
    const param_table *table = model_table(m);
    char path[256];
    size_t n = 0;
    for (size_t i = 0; i < table->n_params; i++) {
        const param *p = &table->params[i];
        bool embedding = strcmp(p->name, "shared.weight") == 0;
        if (p->alias_of >= 0 || (left_out != NULL && strcmp(p->name, left_out) == 0)) continue;
        for (size_t k = 0; k < (embedding ? n_names : 1); k++)
            sources[n++] = (tensor_source){.name = embedding ? names[k] : p->name,
                                           .n_dims = p->n_dims,
                                           .shape = {p->shape[0], p->shape[1]},
                                           .data = model_weights(m) + p->offset};
    }
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(safetensors_write(path, sources, n, TENSOR_F32, NULL, NULL, NULL), RT_OK);
}

static void expect_same(model *m)
{
    rt_error err = {0};
    model *back = NULL;
    cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
    size_t n = model_table(m)->n_total;
    cr_assert_eq(model_table(back)->n_total, n);
    cr_expect_eq(memcmp(model_weights(m), model_weights(back), n * sizeof(float)), 0);
    model_free(back);
}

Test(hf_t5, a_saved_model_loads_as_the_same_model)
{
    for (int v = 0; v < 2; v++) {
        model_config read, c = version(v);
        rt_error err = {0};
        model *m = save(v);
        cr_assert_eq(hf_config_read(folder, &read, &err), RT_OK, "%s", err.text);
        cr_expect(read.arch == c.arch && read.n_vocab == c.n_vocab && read.d_model == c.d_model &&
                  read.n_layers == c.n_layers && read.n_decoder_layers == c.n_decoder_layers &&
                  read.n_heads == c.n_heads && read.n_kv_heads == c.n_kv_heads &&
                  read.d_head == c.d_head && read.d_ff == c.d_ff);
        cr_expect(read.seq_len_max == c.seq_len_max && read.norm_eps == c.norm_eps &&
                  read.tied == c.tied && read.rel_buckets == c.rel_buckets &&
                  read.rel_distance_max == c.rel_distance_max && read.ff_act == c.ff_act);
        cr_expect(read.eos_id == 2 && read.pad_id == 3 && read.decoder_start_id == 3);
        expect_same(m);
        model_free(m);
    }
}

Test(hf_t5, a_tied_head_is_stored_once_and_an_untied_one_must_be_there)
{
    static const char *const name = "shared.weight";
    safetensors *file = NULL;
    char path[256];
    rt_error err = {0};
    model *m = save(0), *back = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(safetensors_open(path, &file, NULL), RT_OK);
    cr_expect_null(safetensors_find(file, "lm_head.weight"));
    cr_expect_not_null(safetensors_find(file, "encoder.block.1.layer.1.DenseReluDense.wi.weight"));
    safetensors_close(file);
    model_free(m);
    m = save(1);
    save_renamed(m, &name, 1, "lm_head.weight");
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "lm_head.weight is missing"), "%s", err.text);
    cr_expect_null(back);
    model_free(m);
}

Test(hf_t5, the_embedding_may_have_any_of_its_names)
{
    static const char *const all[] = {"shared.weight", "encoder.embed_tokens.weight",
                                      "decoder.embed_tokens.weight"};
    static const char *const none[] = {"embed_tokens.weight"};
    rt_error err = {0};
    model *m = save(1), *back = NULL;
    for (size_t first = 0; first < 3; first++) {
        save_renamed(m, all + first, 3 - first, NULL);
        expect_same(m);
    }
    save_renamed(m, none, 1, NULL);
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "shared.weight is missing"), "%s", err.text);
    model_free(m);
}

Test(hf_t5, the_embedding_is_found_through_an_index_too)
{
    static const char *const name = "encoder.embed_tokens.weight";
    rt_error err = {0};
    rt_buf index = {0};
    char path[256], moved[256];
    model *m = save(1), *back = NULL;
    const param_table *table = model_table(m);
    save_renamed(m, &name, 1, NULL);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(moved, sizeof moved, "%s/part.safetensors", folder);
    cr_assert_eq(rename(path, moved), 0);
    cr_assert_eq(rt_buf_add_text(&index, "{\"weight_map\":{\"x\":\"y\"", NULL), RT_OK);
    for (size_t i = 0; i < table->n_params; i++)
        cr_assert_eq(rt_buf_printf(&index, NULL, ",\"%s\":\"part.safetensors\"",
                                   i == 0 ? name : table->params[i].name),
                     RT_OK);
    cr_assert_eq(rt_buf_add_text(&index, "}}", NULL), RT_OK);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    cr_assert_eq(rt_fs_write_atomic(path, index.data, index.n, NULL), RT_OK);
    cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
    cr_expect_eq(memcmp(model_weights(m), model_weights(back), table->n_total * sizeof(float)), 0);
    rt_buf_free(&index);
    model_free(back);
    model_free(m);
}

Test(hf_t5, wrong_shapes_are_named)
{
    rt_error err = {0};
    model *m = save(1), *other = NULL;
    model_config wider = version(1);
    wider.rel_buckets = 16;
    cr_assert_eq(model_new(&wider, &other, NULL), RT_OK);
    cr_expect_eq(hf_weights_read(folder, model_table(other), model_weights(other), &err),
                 RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "relative_attention_bias"), "%s", err.text);
    cr_expect(strstr(err.text, "[8, 4]") != NULL && strstr(err.text, "[16, 4]") != NULL, "%s",
              err.text);
    model_free(other);
    model_free(m);
}

#define SIZES                                                                                 \
    "\"model_type\": \"t5\", \"vocab_size\": 11, \"d_model\": 8, \"d_kv\": 4, \"d_ff\": 10, " \
    "\"num_layers\": 2, \"num_heads\": 2"

Test(hf_t5, reads_what_published_configs_leave_out)
{
    model_config c;
    rt_error err = {0};
    write_config("{" SIZES "}"); /* as the first release */
    cr_assert_eq(hf_config_read(folder, &c, &err), RT_OK, "%s", err.text);
    cr_expect(c.arch == MODEL_ARCH_T5 && c.n_decoder_layers == 2 && c.n_kv_heads == 2);
    cr_expect(c.ff_act == MODEL_FF_RELU && c.tied && c.norm_eps == 1e-6f);
    cr_expect(c.rel_buckets == 32 && c.rel_distance_max == 128 && c.seq_len_max == 512);
    cr_expect(c.pad_id == 0 && c.eos_id == 1 && c.decoder_start_id == 0 && c.bos_id == 0);
    write_config("{" SIZES ", \"num_decoder_layers\": 5, \"feed_forward_proj\": \"gated-gelu\", "
                 "\"dense_act_fn\": \"gelu_new\", \"tie_word_embeddings\": false, "
                 "\"decoder_start_token_id\": 4, \"is_encoder_decoder\": true}");
    cr_assert_eq(hf_config_read(folder, &c, &err), RT_OK, "%s", err.text);
    cr_expect(c.n_decoder_layers == 5 && c.ff_act == MODEL_FF_GATED_GELU && !c.tied);
    cr_expect_eq(c.decoder_start_id, 4);
}

Test(hf_t5, refuses_configs_it_cannot_follow)
{
    static const struct {
        const char *text;
        rt_status status;
        const char *named;
    } bad[] = {
        {"{\"model_type\": \"t5\"}", RT_CORRUPT, "vocab_size"},
        {"{\"model_type\": \"mt5\"}", RT_UNSUPPORTED, "mt5"},
        {"{\"model_type\": 5}", RT_UNSUPPORTED, "model_type"},
        {"{" SIZES ", \"feed_forward_proj\": \"gated-silu\"}", RT_UNSUPPORTED, "gated-silu"},
        {"{" SIZES ", \"feed_forward_proj\": 3}", RT_UNSUPPORTED, "feed_forward_proj"},
        {"{" SIZES ", \"feed_forward_proj\": \"gated-gelu\", \"dense_act_fn\": \"gelu\"}",
         RT_UNSUPPORTED, "dense_act_fn"},
        {"{" SIZES ", \"is_encoder_decoder\": false}", RT_UNSUPPORTED, "is_encoder_decoder"},
        {"{" SIZES ", \"relative_attention_num_buckets\": 6}", RT_CORRUPT, "rel_buckets"},
        {"{" SIZES ", \"relative_attention_max_distance\": 10}", RT_CORRUPT, "rel_distance_max"},
        {"{" SIZES ", \"num_decoder_layers\": 0}", RT_CORRUPT, "n_decoder_layers"},
        {"{" SIZES ", \"decoder_start_token_id\": 11}", RT_CORRUPT, "decoder_start_id"},
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        model_config c = {.n_vocab = 77};
        rt_error err = {0};
        write_config(bad[i].text);
        cr_expect_eq(hf_config_read(folder, &c, &err), bad[i].status, "%s: %s", bad[i].text,
                     err.text);
        cr_expect_not_null(strstr(err.text, bad[i].named), "%s not in: %s", bad[i].named, err.text);
        cr_expect_eq(c.n_vocab, 77);
    }
}
