#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/gguf_model.h"
#include "common/ckpt/gguf_names.h"
#include "common/ckpt/gguf_write.h"

#define PAD_SCORE            (-1000.0f)
#define QUANTIZATION_VERSION 2
#define T5_DISTANCE_MAX      128

/* llama.cpp's numbers for what most tensors of a file are. */
static const struct {
    const char *name;
    gguf_tensor_type type;
    uint32_t file_type;
} types[] = {{"f32", GGUF_TENSOR_F32, 0},
             {"f16", GGUF_TENSOR_F16, 1},
             {"q8_0", GGUF_TENSOR_Q8_0, 7},
             {"bf16", GGUF_TENSOR_BF16, 32}};

rt_status gguf_type_parse(const char *text, gguf_tensor_type *out, rt_error *err)
{
    for (size_t i = 0; i < RT_COUNT(types); i++) {
        if (strcmp(text, types[i].name) != 0) continue;
        *out = types[i].type;
        return RT_OK;
    }
    return rt_fail(err, RT_INVALID, "found '%.64s', expected f32, f16, bf16 or q8_0", text);
}

static uint32_t file_type_of(gguf_tensor_type type)
{
    for (size_t i = 0; i < RT_COUNT(types); i++)
        if (types[i].type == type) return types[i].file_type;
    return 0;
}

/* ---- keys ---- */

static void add_general(gguf_writer *w, const char *architecture, const gguf_model_options *o)
{
    gguf_add_text(w, "general.architecture", architecture);
    gguf_add_text(w, "general.type", "model");
    gguf_add_text(w, "general.name", o->name);
    gguf_add_u32(w, GGUF_ALIGNMENT_KEY, GGUF_ALIGNMENT);
    gguf_add_u32(w, "general.file_type", file_type_of(o->type));
    gguf_add_u32(w, "general.quantization_version", QUANTIZATION_VERSION);
    if (o->task != NULL) gguf_add_text(w, GGUF_KEY_TASK, o->task);
}

static void add_llama(gguf_writer *w, const model_config *c)
{
    gguf_add_u32(w, "llama.vocab_size", c->n_vocab);
    gguf_add_u32(w, "llama.context_length", c->seq_len_max);
    gguf_add_u32(w, "llama.embedding_length", c->d_model);
    gguf_add_u32(w, "llama.block_count", c->n_layers);
    gguf_add_u32(w, "llama.feed_forward_length", c->d_ff);
    gguf_add_u32(w, "llama.attention.head_count", c->n_heads);
    gguf_add_u32(w, "llama.attention.head_count_kv", c->n_kv_heads);
    gguf_add_u32(w, "llama.attention.key_length", c->d_head);
    gguf_add_u32(w, "llama.attention.value_length", c->d_head);
    gguf_add_f32(w, "llama.attention.layer_norm_rms_epsilon", c->norm_eps);
    gguf_add_u32(w, "llama.rope.dimension_count", c->d_head);
    gguf_add_f32(w, "llama.rope.freq_base", c->rope_theta);
}

/* Of the two stacks. context_length is the longest sequence, as max_position_embeddings. */
static void add_t5(gguf_writer *w, const model_config *c)
{
    gguf_add_u32(w, "t5.vocab_size", c->n_vocab);
    gguf_add_u32(w, "t5.context_length", c->seq_len_max);
    gguf_add_u32(w, "t5.embedding_length", c->d_model);
    gguf_add_u32(w, "t5.feed_forward_length", c->d_ff);
    gguf_add_u32(w, "t5.block_count", c->n_layers);
    gguf_add_u32(w, "t5.decoder_block_count", c->n_decoder_layers);
    gguf_add_u32(w, "t5.attention.head_count", c->n_heads);
    gguf_add_u32(w, "t5.attention.key_length", c->d_head);
    gguf_add_u32(w, "t5.attention.value_length", c->d_head);
    gguf_add_f32(w, "t5.attention.layer_norm_epsilon", c->norm_eps);
    gguf_add_f32(w, "t5.attention.layer_norm_rms_epsilon", c->norm_eps);
    gguf_add_u32(w, "t5.attention.relative_buckets_count", c->rel_buckets);
    gguf_add_u32(w, "t5.decoder_start_token_id", c->decoder_start_id);
}

/* What llama.cpp cannot compute, or computes otherwise. */
static rt_status check_offered(const model_config *c, rt_error *err)
{
    if (c->d_embed != 0)
        return rt_fail(err, RT_UNSUPPORTED,
                       "a factorised embedding (d_embed %zu): GGUF has no tensors for it; train "
                       "with student.d_embed 0 for llama.cpp",
                       c->d_embed);
    if (c->arch != MODEL_ARCH_T5 || c->rel_distance_max == T5_DISTANCE_MAX) return RT_OK;
    return rt_fail(err, RT_UNSUPPORTED,
                   "a T5 whose relative distances end at %zu: GGUF knows only %d",
                   c->rel_distance_max, T5_DISTANCE_MAX);
}

/* llama.cpp cuts a text at each piece of a user, and puts a space before what follows, as before the
 * whole text; sentencepiece does not. A line break that no other piece holds is found without that,
 * so for byte pairs it is written as a normal piece. (A unigram tokenizer would normalise it away.)
 */
static piece_type type_in_gguf(const piece_list *p, size_t i, size_t newline)
{
    piece_type type = p->pieces[i].type;
    return p->bpe && i == newline && type == PIECE_USER ? PIECE_NORMAL : type;
}

/* A model may have more rows than its tokenizer has pieces. */
static void add_tokens(gguf_writer *w, const piece_list *p, size_t n_vocab)
{
    char pad[32];
    size_t newline = piece_list_newline(p);
    gguf_add_array(w, "tokenizer.ggml.tokens", GGUF_TEXT, n_vocab);
    for (size_t i = 0; i < p->n; i++) gguf_item_text(w, piece_list_text(p, i), p->pieces[i].n);
    for (size_t i = p->n; i < n_vocab; i++)
        gguf_item_text(w, pad, (size_t)snprintf(pad, sizeof pad, "[PAD%zu]", i - p->n + 1));
    gguf_add_array(w, "tokenizer.ggml.scores", GGUF_F32, n_vocab);
    for (size_t i = 0; i < n_vocab; i++)
        gguf_item_f32(w, i < p->n ? p->pieces[i].score : PAD_SCORE);
    gguf_add_array(w, "tokenizer.ggml.token_type", GGUF_I32, n_vocab);
    for (size_t i = 0; i < n_vocab; i++)
        gguf_item_i32(w, (int32_t)(i < p->n ? type_in_gguf(p, i, newline) : PIECE_UNUSED));
}

static void add_tokenizer(gguf_writer *w, const model_config *c, const piece_list *p,
                          const gguf_model_options *o)
{
    gguf_add_text(w, "tokenizer.ggml.model", p->bpe ? "llama" : "t5");
    gguf_add_text(w, "tokenizer.ggml.pre", "default");
    add_tokens(w, p, c->n_vocab);
    gguf_add_bool(w, "tokenizer.ggml.add_space_prefix", p->add_dummy_prefix);
    gguf_add_bool(w, "tokenizer.ggml.remove_extra_whitespaces", p->remove_extra_whitespaces);
    if (p->charsmap.n > 0) {
        gguf_add_array(w, "tokenizer.ggml.precompiled_charsmap", GGUF_U8, p->charsmap.n);
        gguf_item_u8s(w, p->charsmap.data, p->charsmap.n);
    }
    if (!model_config_has_encoder(c)) gguf_add_u32(w, "tokenizer.ggml.bos_token_id", c->bos_id);
    gguf_add_u32(w, "tokenizer.ggml.eos_token_id", c->eos_id);
    if (p->unk_id >= 0) gguf_add_u32(w, "tokenizer.ggml.unknown_token_id", (uint64_t)p->unk_id);
    gguf_add_u32(w, "tokenizer.ggml.padding_token_id", c->pad_id);
    gguf_add_bool(w, "tokenizer.ggml.add_bos_token", !model_config_has_encoder(c));
    gguf_add_bool(w, "tokenizer.ggml.add_eos_token", model_config_has_encoder(c));
    if (o->chat_template != NULL) gguf_add_text(w, "tokenizer.chat_template", o->chat_template);
}

/* ---- tensors ---- */

/* Rows of q and k in the order of GGUF. */
typedef struct turned_rows {
    const weight_source *source;
    size_t d_head;
    bool *is_turned; /* [table->n_params] */
} turned_rows;

static void read_turned(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const turned_rows *t = context;
    const weight_source *source = t->source;
    if (!t->is_turned[i_param]) {
        source->read(source->context, i_param, first, n, out);
        return;
    }
    size_t n_cols = source->table->params[i_param].shape[1];
    while (n > 0) {
        size_t row = first / n_cols, col = first % n_cols, n_now = RT_MIN(n, n_cols - col);
        size_t from = rotary_half_row(row, t->d_head) * n_cols + col;
        source->read(source->context, i_param, from, n_now, out);
        out += n_now;
        first += n_now;
        n -= n_now;
    }
}

/* A tied head of T5 reads the embedding times d_model^-1/2, which llama.cpp leaves out: it gets a
 * matrix of its own. */
static void read_scaled(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const turned_rows *t = context;
    float scale = 1.0f / sqrtf((float)t->source->table->params[i_param].shape[1]);
    t->source->read(t->source->context, i_param, first, n, out);
    for (size_t i = 0; i < n; i++) out[i] *= scale;
}

static gguf_tensor_type type_of(const param *p, gguf_tensor_type wanted)
{
    if (p->n_dims == 1 || p->group == PARAM_GROUP_NORM || p->group == PARAM_GROUP_BIAS)
        return GGUF_TENSOR_F32;
    bool fits = wanted != GGUF_TENSOR_Q8_0 || p->shape[1] % Q8_0_BLOCK == 0;
    return fits ? wanted : GGUF_TENSOR_F16;
}

static void add_tensor(gguf_writer *w, const char *name, const turned_rows *rows, size_t i_param,
                       gguf_tensor_type type, bool scaled)
{
    const param *p = &rows->source->table->params[i_param];
    gguf_source source = {.name = name,
                          .type = type_of(p, type),
                          .n_dims = p->n_dims,
                          .shape = {p->shape[0], p->shape[1]},
                          .read = scaled ? read_scaled : read_turned,
                          .context = rows,
                          .i_tensor = i_param};
    gguf_add_tensor(w, &source);
}

static rt_status add_tensors(gguf_writer *w, const model_config *c, turned_rows *rows,
                             gguf_tensor_type type, rt_error *err)
{
    const char *architecture = model_arch_name(c->arch);
    const param_table *table = rows->source->table;
    char name[GGUF_NAME_MAX + 1];
    for (size_t i = 0; i < table->n_params; i++) {
        const param *p = &table->params[i];
        gguf_rows order;
        if (p->alias_of == 0) continue; /* a tied head: readers take the embedding */
        if (!gguf_name_of(architecture, p->name, name, &order))
            return rt_fail(err, RT_UNSUPPORTED,
                           "tensor %s has no name in GGUF: llama.cpp knows no such %s model",
                           p->name, architecture);
        /* Layers that share their weights are written out, each with its copy. */
        size_t from = p->alias_of > 0 ? (size_t)p->alias_of : i;
        rows->is_turned[from] = order == GGUF_ROWS_ROTARY;
        add_tensor(w, name, rows, from, type, false);
    }
    if (c->arch == MODEL_ARCH_T5 && c->tied) add_tensor(w, "output.weight", rows, 0, type, true);
    return RT_OK;
}

static rt_status check_model(const char *path, const model_config *c, const piece_list *pieces,
                             rt_error *err)
{
    rt_status st = model_config_check(c, err);
    if (st == RT_OK) st = check_offered(c, err);
    if (st == RT_OK && pieces->n > c->n_vocab)
        st = rt_fail(err, RT_INVALID, "the tokenizer has %zu pieces, the model only %zu rows",
                     pieces->n, c->n_vocab);
    return st == RT_OK ? st : rt_wrap(err, st, "%s", path);
}

rt_status gguf_model_write(const char *path, const model_config *config,
                           const weight_source *source, const piece_list *pieces,
                           const gguf_model_options *options, char sha256[RT_SHA256_HEX_SIZE],
                           rt_error *err)
{
    gguf_writer *w = NULL;
    turned_rows rows = {.source = source, .d_head = config->d_head};
    rt_status st = check_model(path, config, pieces, err);
    if (st != RT_OK) return st;
    rows.is_turned = rt_calloc(source->table->n_params, sizeof *rows.is_turned);
    if (rows.is_turned == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", path);
        goto out;
    }
    if ((st = gguf_writer_new(&w, err)) != RT_OK) goto out;
    add_general(w, model_arch_name(config->arch), options);
    if (config->arch == MODEL_ARCH_T5)
        add_t5(w, config);
    else
        add_llama(w, config);
    add_tokenizer(w, config, pieces, options);
    if ((st = add_tensors(w, config, &rows, options->type, err)) != RT_OK) goto out;
    st = gguf_writer_save(w, path, sha256, err);
out:
    gguf_writer_free(w);
    free(rows.is_turned);
    return st;
}
