#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

TestSuite(hf_model, .init = make_folder, .fini = remove_folder);

static const model_config toy = {.arch = MODEL_ARCH_LLAMA,
                                 .n_vocab = 11,
                                 .d_model = 8,
                                 .n_layers = 2,
                                 .n_heads = 4,
                                 .n_kv_heads = 2,
                                 .d_head = 6,
                                 .d_ff = 10,
                                 .seq_len_max = 64,
                                 .rope_theta = 50000,
                                 .norm_eps = 1e-5f,
                                 .tied = true,
                                 .bos_id = 1,
                                 .eos_id = 2,
                                 .pad_id = 3};

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    cr_assert_eq(rt_fs_write_atomic(path, text, strlen(text), NULL), RT_OK);
}

static model *make_model(const model_config *config)
{
    model *m = NULL;
    cr_assert_eq(model_new(config, &m, NULL), RT_OK);
    param_table_init(model_table(m), config, 7, model_weights(m));
    return m;
}

static void save(model *m, tensor_dtype dtype)
{
    rt_error err = {0};
    cr_assert_eq(hf_config_write(folder, model_get_config(m), dtype, &err), RT_OK, "%s", err.text);
    cr_assert_eq(hf_weights_write(folder, model_table(m), model_weights(m), dtype, NULL, &err),
                 RT_OK, "%s", err.text);
}

Test(hf_model, a_saved_model_loads_as_the_same_model)
{
    for (int tied = 0; tied < 2; tied++) {
        model_config c = toy;
        c.tied = tied;
        model *m = make_model(&c), *back = NULL;
        rt_error err = {0};
        save(m, TENSOR_F32);
        cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
        const model_config *read = model_get_config(back);
        cr_expect(read->n_vocab == c.n_vocab && read->d_model == c.d_model &&
                  read->n_layers == c.n_layers && read->n_heads == c.n_heads &&
                  read->n_kv_heads == c.n_kv_heads && read->d_head == c.d_head &&
                  read->d_ff == c.d_ff && read->seq_len_max == c.seq_len_max);
        cr_expect(read->rope_theta == c.rope_theta && read->norm_eps == c.norm_eps);
        cr_expect(read->tied == c.tied && read->bos_id == 1 && read->eos_id == 2 &&
                  read->pad_id == 3);
        size_t n = model_table(m)->n_total;
        cr_assert_eq(model_table(back)->n_total, n);
        cr_expect_eq(memcmp(model_weights(m), model_weights(back), n * sizeof(float)), 0);
        model_free(m);
        model_free(back);
    }
}

Test(hf_model, shared_layers_and_a_factorised_embedding_are_stored_once_under_their_own_type)
{
    model_config c = toy;
    c.n_layers = 4;
    c.n_layer_groups = 2;
    c.d_embed = 3;
    model *m = make_model(&c), *back = NULL;
    rt_error err = {0};
    safetensors *file = NULL;
    rt_buf text = {0};
    char path[256];
    save(m, TENSOR_F32);
    snprintf(path, sizeof path, "%s/config.json", folder);
    cr_assert_eq(rt_fs_read(path, 1 << 20, &text, NULL), RT_OK);
    cr_expect_not_null(strstr(text.data, "\"model_type\": \"retort_llama\""), "%s", text.data);
    cr_expect_null(strstr(text.data, "\"LlamaForCausalLM\""));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(safetensors_open(path, &file, NULL), RT_OK);
    cr_expect_not_null(safetensors_find(file, "model.layers.2.mlp.up_proj.weight"));
    cr_expect_null(safetensors_find(file, "model.layers.1.mlp.up_proj.weight"));
    cr_expect_null(safetensors_find(file, "model.layers.3.mlp.up_proj.weight"));
    cr_expect_not_null(safetensors_find(file, "model.embed_proj.weight"));
    cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
    cr_expect_eq(model_get_config(back)->n_layer_groups, 2);
    cr_expect_eq(model_get_config(back)->d_embed, 3);
    cr_expect_eq(
        memcmp(model_weights(m), model_weights(back), model_table(m)->n_total * sizeof(float)), 0);
    safetensors_close(file);
    rt_buf_free(&text);
    model_free(m);
    model_free(back);
}

Test(hf_model, a_tied_head_is_stored_once)
{
    model *m = make_model(&toy);
    char path[256];
    safetensors *file = NULL;
    save(m, TENSOR_BF16);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(safetensors_open(path, &file, NULL), RT_OK);
    cr_expect_null(safetensors_find(file, "lm_head.weight"));
    cr_expect_not_null(safetensors_find(file, "model.layers.1.mlp.down_proj.weight"));
    cr_expect_str_eq(safetensors_metadata(file, "format"), "pt");
    safetensors_close(file);
    model_free(m);
}

Test(hf_model, half_precision_files_load_within_their_rounding)
{
    const double tolerance[] = {[TENSOR_F32] = 0, [TENSOR_F16] = 1e-3, [TENSOR_BF16] = 4e-3};
    model *m = make_model(&toy);
    for (tensor_dtype dtype = TENSOR_F16; dtype <= TENSOR_BF16; dtype++) {
        model *back = NULL;
        save(m, dtype);
        cr_assert_eq(hf_model_load(folder, &back, NULL), RT_OK);
        for (size_t i = 0; i < model_table(m)->n_total; i++) {
            double x = model_weights(m)[i], y = model_weights(back)[i];
            cr_assert_leq(fabs(x - y), tolerance[dtype] * fabs(x) + 1e-7);
        }
        model_free(back);
    }
    model_free(m);
}

Test(hf_model, weights_are_checked_by_their_headers_alone)
{
    model *m = make_model(&toy);
    model_config larger = toy;
    param_table table = {0};
    rt_error err = {0};
    save(m, TENSOR_F16);
    cr_expect_eq(hf_weights_check(folder, model_table(m), &err), RT_OK, "%s", err.text);
    larger.d_ff = 12;
    cr_assert_eq(param_table_build(&larger, &table, NULL), RT_OK);
    cr_expect_eq(hf_weights_check(folder, &table, &err), RT_CORRUPT);
    cr_expect(strstr(err.text, "expected [12, 8]") != NULL, "%s", err.text);
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(hf_weights_check(folder, model_table(m), &err), RT_NOTFOUND);
    param_table_free(&table);
    model_free(m);
}

/* The weights in two files with an index, as large models come. */
Test(hf_model, reads_shards_through_their_index)
{
    model *m = make_model(&toy), *back = NULL;
    const param_table *table = model_table(m);
    rt_buf index = {0};
    rt_error err = {0};
    save(m, TENSOR_F32);
    char path[256];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rt_buf_add_text(&index, "{\"metadata\":{},\"weight_map\":{", NULL), RT_OK);
    for (size_t half = 0; half < 2; half++) {
        tensor_source sources[32];
        size_t n = 0;
        for (size_t i = half; i < table->n_params; i += 2) {
            const param *p = &table->params[i];
            if (p->alias_of >= 0) continue;
            sources[n++] = (tensor_source){.name = p->name,
                                           .n_dims = p->n_dims,
                                           .shape = {p->shape[0], p->shape[1]},
                                           .data = model_weights(m) + p->offset};
            cr_assert_eq(rt_buf_printf(&index, NULL, "%s\"%s\":\"part-%zu.safetensors\"",
                                       half + n > 1 ? "," : "", p->name, half),
                         RT_OK);
        }
        snprintf(path, sizeof path, "%s/part-%zu.safetensors", folder, half);
        cr_assert_eq(safetensors_write(path, sources, n, TENSOR_F32, NULL, NULL, NULL), RT_OK);
    }
    cr_assert_eq(rt_buf_add_text(&index, "}}", NULL), RT_OK);
    write_file("model.safetensors.index.json", index.data);
    cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
    cr_expect_eq(memcmp(model_weights(m), model_weights(back), table->n_total * sizeof(float)), 0);
    model_free(back);
    back = NULL;
    write_file("model.safetensors.index.json",
               "{\"weight_map\":{\"model.embed_tokens.weight\":\"../secret\"}}");
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "../secret"));
    write_file("model.safetensors.index.json", "{\"weight_map\":{}}");
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_CORRUPT);
    write_file("model.safetensors.index.json", "{");
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_CORRUPT);
    cr_expect_null(back);
    rt_buf_free(&index);
    model_free(m);
}

static size_t count_shards(void)
{
    size_t n = 0;
    struct dirent *e;
    DIR *d = opendir(folder);
    cr_assert_not_null(d);
    while ((e = readdir(d)) != NULL) n += strncmp(e->d_name, "model-0", 7) == 0;
    closedir(d);
    return n;
}

static void remove_weights(void)
{
    char path[400];
    struct dirent *e;
    DIR *d = opendir(folder);
    while ((e = readdir(d)) != NULL) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (strncmp(e->d_name, "model", 5) == 0) cr_assert_eq(unlink(path), 0);
    }
    closedir(d);
}

Test(hf_model, shards_keep_their_limit_and_load_as_one_model)
{
    static const uint64_t limits[] = {0, 1 << 20, 1, 1200};
    model *m = make_model(&toy);
    weights_in_memory held = {.table = model_table(m), .weights = model_weights(m)};
    weight_source source = weights_in_memory_source(&held);
    for (size_t k = 0; k < RT_COUNT(limits); k++) {
        model *back = NULL;
        rt_error err = {0};
        char path[400], sha256[RT_SHA256_HEX_SIZE] = "";
        remove_weights();
        cr_assert_eq(hf_config_write(folder, &toy, TENSOR_F32, &err), RT_OK);
        cr_assert_eq(hf_weights_write_from(folder, &source, TENSOR_F32, limits[k], sha256, &err),
                     RT_OK, "%s", err.text);
        cr_expect_eq(strlen(sha256), 64);
        snprintf(path, sizeof path, "%s/model.safetensors", folder);
        if (k < 2) cr_expect(rt_fs_exists(path) && count_shards() == 0);
        if (k == 2) /* every tensor is larger than the limit: each has its file */
            cr_expect_eq(count_shards(), model_table(m)->n_params - 1);
        if (k == 3) cr_expect(count_shards() > 1 && count_shards() < 10);
        cr_assert_eq(hf_model_load(folder, &back, &err), RT_OK, "%s", err.text);
        cr_expect_eq(
            memcmp(model_weights(m), model_weights(back), model_table(m)->n_total * sizeof(float)),
            0);
        model_free(back);
    }
    model_free(m);
}

Test(hf_model, no_shard_is_larger_than_the_limit_and_the_index_adds_up)
{
    model *m = make_model(&toy);
    weights_in_memory held = {.table = model_table(m), .weights = model_weights(m)};
    weight_source source = weights_in_memory_source(&held);
    rt_error err = {0};
    rt_buf index = {0};
    char path[400], wanted[64];
    remove_weights();
    cr_assert_eq(hf_weights_write_from(folder, &source, TENSOR_BF16, 700, NULL, &err), RT_OK, "%s",
                 err.text);
    size_t n_shards = count_shards(), n_tensors = 0;
    for (size_t i = 1; i <= n_shards; i++) {
        safetensors *file = NULL;
        size_t n_bytes = 0;
        snprintf(path, sizeof path, "%s/model-%05zu-of-%05zu.safetensors", folder, i, n_shards);
        cr_assert_eq(safetensors_open(path, &file, &err), RT_OK, "%s", err.text);
        for (size_t t = 0; t < safetensors_count(file); t++)
            n_bytes += 2 * safetensors_entry(file, t)->n;
        cr_expect(n_bytes <= 700 || safetensors_count(file) == 1, "%zu bytes", n_bytes);
        n_tensors += safetensors_count(file);
        safetensors_close(file);
    }
    cr_expect_eq(n_tensors, model_table(m)->n_params - 1);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    cr_assert_eq(rt_fs_read(path, 1 << 20, &index, NULL), RT_OK);
    snprintf(wanted, sizeof wanted, "\"total_size\": %zu", 2 * model_table(m)->n_total);
    cr_expect_not_null(strstr(index.data, wanted), "%s", index.data);
    rt_buf_free(&index);
    model_free(m);
}

Test(hf_model, a_missing_shard_is_named_with_a_tensor_that_it_holds)
{
    model *m = make_model(&toy), *back = NULL;
    weights_in_memory held = {.table = model_table(m), .weights = model_weights(m)};
    weight_source source = weights_in_memory_source(&held);
    rt_error err = {0};
    char path[400];
    remove_weights();
    cr_assert_eq(hf_config_write(folder, &toy, TENSOR_F32, &err), RT_OK);
    cr_assert_eq(hf_weights_write_from(folder, &source, TENSOR_F32, 1200, NULL, &err), RT_OK);
    snprintf(path, sizeof path, "%s/model-00002-of-%05zu.safetensors", folder, count_shards());
    cr_assert_eq(unlink(path), 0);
    cr_expect_eq(hf_model_load(folder, &back, &err), RT_NOTFOUND);
    cr_expect_not_null(strstr(err.text, path), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "holds tensor model.layers.0"), "%s", err.text);
    cr_expect_null(back);
    model_free(m);
}

Test(hf_model, wrong_weights_are_named_and_nothing_is_written)
{
    model *m = make_model(&toy);
    rt_error err = {0};
    save(m, TENSOR_F32);
    model_config wider = toy;
    wider.d_ff = 12;
    model *other = make_model(&wider);
    size_t n_bytes = model_table(other)->n_total * sizeof(float);
    float *before = malloc(n_bytes);
    memcpy(before, model_weights(other), n_bytes);
    cr_expect_eq(hf_weights_read(folder, model_table(other), model_weights(other), &err),
                 RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "model.layers.0.mlp.gate_proj.weight"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "[10, 8]"), "%s", err.text);
    cr_expect_not_null(strstr(err.text, "[12, 8]"), "%s", err.text);
    model_config deeper = toy;
    deeper.n_layers = 3;
    param_table table = {0};
    cr_assert_eq(param_table_build(&deeper, &table, NULL), RT_OK);
    cr_expect_eq(hf_weights_read(folder, &table, NULL, &err), RT_CORRUPT);
    cr_expect_not_null(strstr(err.text, "model.layers.2"), "%s", err.text);
    cr_expect_eq(memcmp(before, model_weights(other), n_bytes), 0);
    param_table_free(&table);
    free(before);
    model_free(other);
    model_free(m);
}

#define SIZES                                                             \
    "\"vocab_size\": 11, \"hidden_size\": 8, \"intermediate_size\": 10, " \
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4"

Test(hf_model, reads_defaults_and_both_places_of_rope_theta)
{
    model_config c;
    rt_error err = {0};
    write_file("config.json", "{\"model_type\": \"llama\", " SIZES "}");
    cr_assert_eq(hf_config_read(folder, &c, &err), RT_OK, "%s", err.text);
    cr_expect(c.n_kv_heads == 4 && c.d_head == 2 && c.seq_len_max == 2048 && !c.tied);
    cr_expect(c.rope_theta == 10000 && c.norm_eps == 1e-6f && c.bos_id == 1 && c.eos_id == 2);
    write_file("config.json", "{\"model_type\": \"llama\", " SIZES ", \"eos_token_id\": [5, 6], "
                              "\"pad_token_id\": null, \"rope_scaling\": null, "
                              "\"rope_parameters\": {\"rope_type\": \"default\", "
                              "\"rope_theta\": 500000.0}, \"unknown\": {}}");
    cr_assert_eq(hf_config_read(folder, &c, &err), RT_OK, "%s", err.text);
    cr_expect(c.rope_theta == 500000 && c.eos_id == 5 && c.pad_id == 5);
}

Test(hf_model, refuses_configs_it_cannot_follow)
{
    static const struct {
        const char *text;
        rt_status status;
        const char *named;
    } bad[] = {
        {"", RT_CORRUPT, "config.json"},
        {"[]", RT_CORRUPT, "config.json"},
        {"{" SIZES "}", RT_CORRUPT, "model_type"},
        {"{\"model_type\": \"gpt2\", " SIZES "}", RT_UNSUPPORTED, "gpt2"},
        {"{\"model_type\": \"llama\"}", RT_CORRUPT, "vocab_size"},
        {"{\"model_type\": \"llama\", " SIZES ", \"hidden_act\": \"gelu\"}", RT_UNSUPPORTED,
         "gelu"},
        {"{\"model_type\": \"llama\", " SIZES ", \"attention_bias\": true}", RT_UNSUPPORTED,
         "attention_bias"},
        {"{\"model_type\": \"llama\", " SIZES ", \"mlp_bias\": true}", RT_UNSUPPORTED, "mlp_bias"},
        {"{\"model_type\": \"llama\", " SIZES ", \"rope_scaling\": {\"rope_type\": \"llama3\"}}",
         RT_UNSUPPORTED, "llama3"},
        {"{\"model_type\": \"llama\", " SIZES ", \"rope_scaling\": {\"factor\": 2}}",
         RT_UNSUPPORTED, "rope_scaling"},
        {"{\"model_type\": \"llama\", " SIZES ", \"rope_parameters\": {\"rope_type\": \"yarn\"}}",
         RT_UNSUPPORTED, "yarn"},
        {"{\"model_type\": \"llama\", " SIZES ", \"num_key_value_heads\": 3}", RT_CORRUPT,
         "n_kv_heads"},
        {"{\"model_type\": \"llama\", " SIZES ", \"num_key_value_heads\": -1}", RT_CORRUPT,
         "num_key_value_heads"},
        {"{\"model_type\": \"llama\", " SIZES ", \"head_dim\": 3}", RT_CORRUPT, "d_head"},
        {"{\"model_type\": \"llama\", " SIZES ", \"head_dim\": 9007199254740992}", RT_CORRUPT,
         "d_head"},
        {"{\"model_type\": \"llama\", " SIZES ", \"rms_norm_eps\": \"x\"}", RT_CORRUPT,
         "rms_norm_eps"},
        {"{\"model_type\": \"llama\", " SIZES ", \"eos_token_id\": 99}", RT_CORRUPT, "eos_id"},
        {"{\"model_type\": \"llama\", " SIZES ", \"vocab_size\": 12}", RT_CORRUPT, "config.json"},
    };
    for (size_t i = 0; i < RT_COUNT(bad); i++) {
        model_config c = {.n_vocab = 77};
        rt_error err = {0};
        write_file("config.json", bad[i].text);
        cr_expect_eq(hf_config_read(folder, &c, &err), bad[i].status, "%s: %s", bad[i].text,
                     err.text);
        cr_expect_not_null(strstr(err.text, bad[i].named), "%s not in: %s", bad[i].named, err.text);
        cr_expect_not_null(strstr(err.text, "config.json"), "%s", err.text);
        cr_expect_eq(c.n_vocab, 77);
    }
}
