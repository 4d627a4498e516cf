#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"

#define CONFIG_BYTES_MAX ((size_t)1 << 20)
/* model_type of a Llama with weights that are shared or factorised. */
#define SHARING_TYPE "retort_llama"

/* config.json while it is read: the first trouble stays. */
typedef struct reading {
    const char *path;
    json_t *root;
    rt_status status;
    rt_error *err;
} reading;

/* A whole number, or `missing` when the field is absent or null. */
static size_t read_size(reading *r, const char *name, bool required, size_t missing)
{
    const json_t *value = json_object_get(r->root, name);
    if (r->status != RT_OK) return 0;
    if (value == NULL || json_is_null(value)) {
        if (required) r->status = rt_fail(r->err, RT_CORRUPT, "%s: %s is missing", r->path, name);
        return missing;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: %s is not a whole number of at least 0",
                            r->path, name);
        return 0;
    }
    return (size_t)json_integer_value(value);
}

/* Token ids may be a list; its first is the one that ends a text. */
static uint32_t read_token(reading *r, const char *name, uint32_t missing)
{
    const json_t *value = json_object_get(r->root, name);
    if (json_is_array(value)) value = json_array_get(value, 0);
    if (r->status != RT_OK || value == NULL || json_is_null(value)) return missing;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > UINT32_MAX) {
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: %s is not a token id", r->path, name);
        return 0;
    }
    return (uint32_t)json_integer_value(value);
}

static float read_number(reading *r, const json_t *object, const char *name, double missing)
{
    const json_t *value = json_object_get(object, name);
    if (r->status != RT_OK || value == NULL || json_is_null(value)) return (float)missing;
    if (!json_is_number(value))
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: %s is not a number", r->path, name);
    return (float)json_number_value(value);
}

/* A switch that we cannot turn: absent, null or false. */
static void refuse_switch(reading *r, const char *name)
{
    const json_t *value = json_object_get(r->root, name);
    if (r->status == RT_OK && value != NULL && !json_is_null(value) && !json_is_false(value))
        r->status = rt_fail(r->err, RT_UNSUPPORTED, "%s: %s is set, expected false", r->path, name);
}

static void expect_text(reading *r, const json_t *object, const char *name, const char *wanted)
{
    const json_t *value = json_object_get(object, name);
    if (r->status != RT_OK || value == NULL || json_is_null(value)) return;
    const char *text = json_string_value(value);
    if (text == NULL || strcmp(text, wanted) != 0)
        r->status = rt_fail(r->err, RT_UNSUPPORTED, "%s: %s is %.64s, expected %s", r->path, name,
                            text == NULL ? "not a text" : text, wanted);
}

/* Newer files keep theta in rope_parameters. Only plain rotation is known. */
static float read_rope(reading *r)
{
    const json_t *newer = json_object_get(r->root, "rope_parameters");
    const json_t *scaling = json_object_get(r->root, "rope_scaling");
    expect_text(r, newer, "rope_type", "default");
    if (r->status == RT_OK && json_is_object(scaling)) {
        expect_text(r, scaling, "rope_type", "default");
        expect_text(r, scaling, "type", "default");
        if (r->status == RT_OK && json_object_get(scaling, "rope_type") == NULL &&
            json_object_get(scaling, "type") == NULL)
            r->status =
                rt_fail(r->err, RT_UNSUPPORTED, "%s: rope_scaling is set, expected null", r->path);
    } else if (r->status == RT_OK && scaling != NULL && !json_is_null(scaling)) {
        r->status =
            rt_fail(r->err, RT_UNSUPPORTED, "%s: rope_scaling is set, expected null", r->path);
    }
    double theta = (double)read_number(r, r->root, "rope_theta", 10000);
    if (read_number(r, r->root, "partial_rotary_factor", 1) != 1.0f && r->status == RT_OK)
        r->status =
            rt_fail(r->err, RT_UNSUPPORTED, "%s: partial_rotary_factor, expected 1", r->path);
    return read_number(r, newer, "rope_theta", theta);
}

static model_config read_llama(reading *r)
{
    model_config c = {.arch = MODEL_ARCH_LLAMA};
    expect_text(r, r->root, "hidden_act", "silu");
    refuse_switch(r, "attention_bias");
    refuse_switch(r, "mlp_bias");
    c.n_vocab = read_size(r, "vocab_size", true, 0);
    c.d_model = read_size(r, "hidden_size", true, 0);
    c.d_ff = read_size(r, "intermediate_size", true, 0);
    c.n_layers = read_size(r, "num_hidden_layers", true, 0);
    c.n_heads = read_size(r, "num_attention_heads", true, 0);
    c.n_kv_heads = read_size(r, "num_key_value_heads", false, c.n_heads);
    c.d_head = read_size(r, "head_dim", false, c.n_heads == 0 ? 0 : c.d_model / c.n_heads);
    c.seq_len_max = read_size(r, "max_position_embeddings", false, 2048);
    c.norm_eps = read_number(r, r->root, "rms_norm_eps", 1e-6);
    c.rope_theta = read_rope(r);
    c.n_layer_groups = read_size(r, "layer_groups", false, 0);
    c.d_embed = read_size(r, "embedding_size", false, 0);
    c.tied = json_is_true(json_object_get(r->root, "tie_word_embeddings"));
    c.bos_id = read_token(r, "bos_token_id", 1);
    c.eos_id = read_token(r, "eos_token_id", 2);
    c.pad_id = read_token(r, "pad_token_id", c.eos_id);
    return c;
}

/* ReLU when the field is absent, as T5 v1.0 was published. */
static model_ff_act read_t5_ff(reading *r)
{
    const json_t *value = json_object_get(r->root, "feed_forward_proj");
    const char *text = json_string_value(value);
    if (r->status != RT_OK || value == NULL || json_is_null(value)) return MODEL_FF_RELU;
    if (text != NULL && strcmp(text, "relu") == 0) {
        expect_text(r, r->root, "dense_act_fn", "relu");
        return MODEL_FF_RELU;
    }
    if (text != NULL && strcmp(text, "gated-gelu") == 0) {
        expect_text(r, r->root, "dense_act_fn", "gelu_new");
        return MODEL_FF_GATED_GELU;
    }
    r->status = rt_fail(r->err, RT_UNSUPPORTED,
                        "%s: feed_forward_proj is %.64s, expected relu or gated-gelu", r->path,
                        text == NULL ? "not a text" : text);
    return MODEL_FF_RELU;
}

/* A switch that is on unless it says otherwise. */
static bool read_switch_on(const reading *r, const char *name)
{
    return !json_is_false(json_object_get(r->root, name));
}

static model_config read_t5(reading *r)
{
    model_config c = {.arch = MODEL_ARCH_T5};
    c.ff_act = read_t5_ff(r);
    c.n_vocab = read_size(r, "vocab_size", true, 0);
    c.d_model = read_size(r, "d_model", true, 0);
    c.d_head = read_size(r, "d_kv", true, 0);
    c.d_ff = read_size(r, "d_ff", true, 0);
    c.n_layers = read_size(r, "num_layers", true, 0);
    c.n_decoder_layers = read_size(r, "num_decoder_layers", false, c.n_layers);
    c.n_heads = c.n_kv_heads = read_size(r, "num_heads", true, 0);
    c.rel_buckets = read_size(r, "relative_attention_num_buckets", false, 32);
    c.rel_distance_max = read_size(r, "relative_attention_max_distance", false, 128);
    c.seq_len_max = read_size(r, "n_positions", false, 512);
    c.norm_eps = read_number(r, r->root, "layer_norm_epsilon", 1e-6);
    c.tied = read_switch_on(r, "tie_word_embeddings");
    c.pad_id = read_token(r, "pad_token_id", 0);
    c.eos_id = read_token(r, "eos_token_id", 1);
    c.decoder_start_id = read_token(r, "decoder_start_token_id", c.pad_id);
    c.bos_id = read_token(r, "bos_token_id", c.pad_id);
    if (r->status == RT_OK && !read_switch_on(r, "is_encoder_decoder"))
        r->status = rt_fail(r->err, RT_UNSUPPORTED,
                            "%s: is_encoder_decoder is false, expected true", r->path);
    return c;
}

static model_config read_fields(reading *r)
{
    const json_t *value = json_object_get(r->root, "model_type");
    const char *type = json_string_value(value);
    if (type != NULL && (strcmp(type, "llama") == 0 || strcmp(type, SHARING_TYPE) == 0))
        return read_llama(r);
    if (type != NULL && strcmp(type, "t5") == 0) return read_t5(r);
    if (value == NULL)
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: model_type is missing", r->path);
    else
        r->status = rt_fail(r->err, RT_UNSUPPORTED, "%s: model_type is %.64s, expected llama or t5",
                            r->path, type == NULL ? "not a text" : type);
    return (model_config){0};
}

rt_status hf_config_read(const char *folder, model_config *out, rt_error *err)
{
    char path[4096];
    rt_buf text = {0};
    json_error_t trouble;
    reading r = {.path = path, .err = err};
    rt_status st = rt_fs_join(path, sizeof path, folder, "config.json", err);
    if (st == RT_OK) st = rt_fs_read(path, CONFIG_BYTES_MAX, &text, err);
    if (st != RT_OK) goto out;
    r.root =
        json_loadb(text.data == NULL ? "" : text.data, text.n, JSON_REJECT_DUPLICATES, &trouble);
    if (!json_is_object(r.root)) {
        st = rt_fail(err, RT_CORRUPT, "%s: not a JSON object: %s in line %d", path,
                     r.root == NULL ? trouble.text : "another value",
                     r.root == NULL ? trouble.line : 1);
        goto out;
    }
    model_config c = read_fields(&r);
    if ((st = r.status) != RT_OK) goto out;
    if (model_config_check(&c, err) != RT_OK) {
        st = rt_wrap(err, RT_CORRUPT, "%s", path);
        goto out;
    }
    *out = c;
out:
    json_decref(r.root);
    rt_buf_free(&text);
    return st;
}

/* A float as the shortest decimal that reads back as the same float: 1e-05, not 9.99999975e-06. */
static json_t *number_of(float x)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x) break;
    }
    return json_real(strtod(text, NULL));
}

static rt_status write_json(const char *folder, const char *name, json_t *root, rt_error *err)
{
    char path[4096];
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "%s", name) : RT_OK;
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, name, err);
    if (st == RT_OK) {
        size_t n = strlen(text);
        text[n] = '\n'; /* in place of the end, which nobody reads */
        st = rt_fs_write_atomic(path, text, n + 1, err);
    }
    free(text);
    json_decref(root);
    return st;
}

/* Weights that layers share, or a factorised embedding, are no model that other programs know: the
 * type says so, lest a loader fills what it misses with random numbers. */
static json_t *add_sharing(json_t *root, const model_config *c)
{
    if (root == NULL || (c->n_layer_groups == 0 && c->d_embed == 0)) return root;
    json_object_set_new(root, "architectures", json_pack("[s]", "RetortLlamaForCausalLM"));
    json_object_set_new(root, "model_type", json_string(SHARING_TYPE));
    json_object_set_new(root, "layer_groups", json_integer((json_int_t)c->n_layer_groups));
    json_object_set_new(root, "embedding_size", json_integer((json_int_t)c->d_embed));
    return root;
}

static json_t *llama_fields(const model_config *c, const char *dtype)
{
    json_t *root = json_pack(
        "{s:[s], s:s, s:b, s:f, s:i, s:i, s:I, s:s, s:I, s:f, s:I, s:I, s:b, s:I, s:I, s:I, s:i, "
        "s:i, s:o, s:n, s:o, s:b, s:s, s:b, s:I}",
        "architectures", "LlamaForCausalLM", "model_type", "llama", "attention_bias", 0,
        "attention_dropout", 0.0, "bos_token_id", (int)c->bos_id, "eos_token_id", (int)c->eos_id,
        "head_dim", (json_int_t)c->d_head, "hidden_act", "silu", "hidden_size",
        (json_int_t)c->d_model, "initializer_range", 0.02, "intermediate_size", (json_int_t)c->d_ff,
        "max_position_embeddings", (json_int_t)c->seq_len_max, "mlp_bias", 0, "num_attention_heads",
        (json_int_t)c->n_heads, "num_hidden_layers", (json_int_t)c->n_layers, "num_key_value_heads",
        (json_int_t)c->n_kv_heads, "pad_token_id", (int)c->pad_id, "pretraining_tp", 1,
        "rms_norm_eps", number_of(c->norm_eps), "rope_scaling", "rope_theta",
        number_of(c->rope_theta), "tie_word_embeddings", (int)c->tied, "torch_dtype", dtype,
        "use_cache", 1, "vocab_size", (json_int_t)c->n_vocab);
    return add_sharing(root, c);
}

static json_t *t5_fields(const model_config *c, const char *dtype)
{
    bool gated = c->ff_act == MODEL_FF_GATED_GELU;
    return json_pack(
        "{s:[s], s:s, s:i, s:I, s:I, s:I, s:s, s:o, s:i, s:s, s:f, s:b, s:b, s:o, s:I, s:I, s:I, "
        "s:I, s:i, s:I, s:I, s:b, s:s, s:b, s:I}",
        "architectures", "T5ForConditionalGeneration", "model_type", "t5", "decoder_start_token_id",
        (int)c->decoder_start_id, "d_ff", (json_int_t)c->d_ff, "d_kv", (json_int_t)c->d_head,
        "d_model", (json_int_t)c->d_model, "dense_act_fn", gated ? "gelu_new" : "relu",
        "dropout_rate", number_of(c->dropout), "eos_token_id", (int)c->eos_id, "feed_forward_proj",
        gated ? "gated-gelu" : "relu", "initializer_factor", 1.0, "is_encoder_decoder", 1,
        "is_gated_act", (int)gated, "layer_norm_epsilon", number_of(c->norm_eps), "n_positions",
        (json_int_t)c->seq_len_max, "num_decoder_layers", (json_int_t)c->n_decoder_layers,
        "num_heads", (json_int_t)c->n_heads, "num_layers", (json_int_t)c->n_layers, "pad_token_id",
        (int)c->pad_id, "relative_attention_max_distance", (json_int_t)c->rel_distance_max,
        "relative_attention_num_buckets", (json_int_t)c->rel_buckets, "tie_word_embeddings",
        (int)c->tied, "torch_dtype", dtype, "use_cache", 1, "vocab_size", (json_int_t)c->n_vocab);
}

rt_status hf_config_write(const char *folder, const model_config *config, tensor_dtype dtype,
                          rt_error *err)
{
    static const char *const dtypes[] = {
        [TENSOR_F32] = "float32", [TENSOR_F16] = "float16", [TENSOR_BF16] = "bfloat16"};
    const model_config *c = config;
    bool has_encoder = model_config_has_encoder(c);
    rt_status st = model_config_check(c, err);
    if (st == RT_OK) st = rt_fs_mkdirs(folder, err);
    if (st != RT_OK) return st;
    json_t *root = has_encoder ? t5_fields(c, dtypes[dtype]) : llama_fields(c, dtypes[dtype]);
    st = write_json(folder, "config.json", root, err);
    if (st != RT_OK) return st;
    root = json_pack("{s:b, s:i, s:i, s:i}", "_from_model_config", 1,
                     has_encoder ? "decoder_start_token_id" : "bos_token_id",
                     has_encoder ? (int)c->decoder_start_id : (int)c->bos_id, "eos_token_id",
                     (int)c->eos_id, "pad_token_id", (int)c->pad_id);
    return write_json(folder, "generation_config.json", root, err);
}
