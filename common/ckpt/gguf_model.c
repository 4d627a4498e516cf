#include "common/ckpt/gguf_model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/gguf_names.h"

#define CONTEXT_DEFAULT 2048
#define THETA_DEFAULT   10000

/* Where a parameter lies, and whether its rows are turned. */
typedef struct place {
    const gguf_tensor *tensor;
    gguf_rows rows;
} place;

struct gguf_model {
    gguf *file;
    model_config config;
    param_table table;
    place *places; /* [table.n_params] */
};

/* Keys while they are read: the first trouble stays. */
typedef struct reading {
    const char *name;
    const gguf *file;
    rt_status status;
    rt_error *err;
} reading;

static size_t read_size(reading *r, const char *key, bool required, size_t missing)
{
    const gguf_entry *e = gguf_find(r->file, key);
    uint64_t value = missing;
    if (r->status != RT_OK) return missing;
    if (e == NULL && required)
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: key %s is missing", r->name, key);
    else if (e != NULL && (!gguf_size(e, &value) || value > SIZE_MAX))
        r->status =
            rt_fail(r->err, RT_UNSUPPORTED, "%s: key %s is no single whole number", r->name, key);
    return (size_t)value;
}

static float read_number(reading *r, const char *key, double missing)
{
    const gguf_entry *e = gguf_find(r->file, key);
    double value = missing;
    if (r->status == RT_OK && e != NULL && !gguf_number(e, &value))
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: key %s is no number", r->name, key);
    return (float)value;
}

static uint32_t read_id(reading *r, const char *key, uint32_t missing)
{
    size_t id = read_size(r, key, false, missing);
    if (r->status == RT_OK && id > UINT32_MAX)
        r->status = rt_fail(r->err, RT_CORRUPT, "%s: key %s is no token id", r->name, key);
    return (uint32_t)id;
}

/* What would change the numbers and is not known here. */
static void refuse_scaling(reading *r)
{
    static const char *const keys[] = {"llama.rope.scaling.type", "llama.rope.scale_linear"};
    if (r->status != RT_OK) return;
    for (size_t i = 0; i < RT_COUNT(keys); i++) {
        const gguf_entry *e = gguf_find(r->file, keys[i]);
        if (e == NULL || gguf_text_is(e, "none")) continue;
        r->status =
            rt_fail(r->err, RT_UNSUPPORTED, "%s: %s is set, expected none", r->name, keys[i]);
        return;
    }
}

static model_config read_config(reading *r)
{
    model_config c = {.arch = MODEL_ARCH_LLAMA};
    const gguf_entry *tokens = gguf_find(r->file, "tokenizer.ggml.tokens");
    if (!gguf_text_is(gguf_find(r->file, "general.architecture"), "llama"))
        r->status = rt_fail(r->err, RT_UNSUPPORTED,
                            "%s: general.architecture is not llama, the one that is read", r->name);
    c.d_model = read_size(r, "llama.embedding_length", true, 0);
    c.n_layers = read_size(r, "llama.block_count", true, 0);
    c.d_ff = read_size(r, "llama.feed_forward_length", true, 0);
    c.n_heads = read_size(r, "llama.attention.head_count", true, 0);
    c.n_kv_heads = read_size(r, "llama.attention.head_count_kv", false, c.n_heads);
    c.d_head = read_size(r, "llama.attention.key_length", false,
                         c.n_heads == 0 ? 0 : c.d_model / c.n_heads);
    c.n_vocab =
        read_size(r, "llama.vocab_size", false, tokens == NULL ? 0 : (size_t)tokens->n_items);
    c.seq_len_max = read_size(r, "llama.context_length", false, CONTEXT_DEFAULT);
    c.norm_eps = read_number(r, "llama.attention.layer_norm_rms_epsilon", 0);
    c.rope_theta = read_number(r, "llama.rope.freq_base", THETA_DEFAULT);
    if (read_size(r, "llama.rope.dimension_count", false, c.d_head) != c.d_head &&
        r->status == RT_OK)
        r->status =
            rt_fail(r->err, RT_UNSUPPORTED,
                    "%s: llama.rope.dimension_count differs from the width of a head", r->name);
    if (read_size(r, "llama.expert_count", false, 0) > 0 && r->status == RT_OK)
        r->status = rt_fail(r->err, RT_UNSUPPORTED, "%s: a mixture of experts", r->name);
    refuse_scaling(r);
    c.tied = gguf_find_tensor(r->file, "output.weight") == NULL;
    c.bos_id = read_id(r, "tokenizer.ggml.bos_token_id", 1);
    c.eos_id = read_id(r, "tokenizer.ggml.eos_token_id", 2);
    c.pad_id = read_id(r, "tokenizer.ggml.padding_token_id", c.eos_id);
    return c;
}

static rt_status find_place(const char *file, gguf_model *m, size_t i, rt_error *err)
{
    const param *p = &m->table.params[i];
    char name[GGUF_NAME_MAX + 1];
    place *at = &m->places[i];
    RT_ASSERT(gguf_name_of("llama", p->name, name, &at->rows));
    const gguf_tensor *t = gguf_find_tensor(m->file, name);
    if (t == NULL) return rt_fail(err, RT_CORRUPT, "%s: tensor %s is missing", file, name);
    if (!gguf_can_read(t))
        return rt_fail(err, RT_UNSUPPORTED,
                       "%s: tensor %s is of type %s, expected F32, F16, BF16 or Q8_0", file, name,
                       t->kind->name);
    bool same = t->n_dims == p->n_dims;
    for (size_t d = 0; same && d < p->n_dims; d++) same = t->shape[d] == p->shape[d];
    if (!same)
        return rt_fail(err, RT_CORRUPT,
                       "%s: tensor %s has shape [%zu, %zu], expected [%zu, %zu] (from the keys)",
                       file, name, t->shape[0], t->shape[1], p->shape[0], p->shape[1]);
    at->tensor = t;
    return RT_OK;
}

/* A tensor that is not ours would be left out of every product. */
static rt_status check_others(const char *file, const gguf_model *m, rt_error *err)
{
    for (size_t t = 0; t < gguf_count_tensors(m->file); t++) {
        const gguf_tensor *tensor = gguf_tensor_at(m->file, t);
        bool known = false;
        for (size_t i = 0; !known && i < m->table.n_params; i++)
            known = m->places[i].tensor == tensor;
        if (!known)
            return rt_fail(err, RT_UNSUPPORTED, "%s: tensor %s has no place in a llama model", file,
                           tensor->name);
    }
    return RT_OK;
}

static rt_status read_model(const char *path, gguf_model *m, rt_error *err)
{
    reading r = {.name = path, .file = m->file, .err = err};
    model_config c = read_config(&r);
    rt_status st = r.status;
    if (st != RT_OK) return st;
    if (model_config_check(&c, err) != RT_OK) return rt_wrap(err, RT_CORRUPT, "%s", path);
    /* Nine tensors a layer: a damaged number of layers must not make a large table. */
    if (c.n_layers > gguf_count_tensors(m->file))
        return rt_fail(err, RT_CORRUPT, "%s: llama.block_count is %zu, but there are %zu tensors",
                       path, c.n_layers, gguf_count_tensors(m->file));
    m->config = c;
    if ((st = param_table_build(&c, &m->table, err)) != RT_OK) return st;
    m->places = rt_calloc(m->table.n_params, sizeof *m->places);
    if (m->places == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    for (size_t i = 0; st == RT_OK && i < m->table.n_params; i++)
        if (m->table.params[i].alias_of < 0) st = find_place(path, m, i, err);
    return st == RT_OK ? check_others(path, m, err) : st;
}

rt_status gguf_model_open(const char *path, gguf_model **out, rt_error *err)
{
    gguf_model *m = rt_calloc(1, sizeof *m);
    if (m == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    rt_status st = gguf_open(path, &m->file, err);
    if (st == RT_OK) st = read_model(path, m, err);
    if (st != RT_OK) {
        gguf_model_close(m);
        return st;
    }
    *out = m;
    return RT_OK;
}

void gguf_model_close(gguf_model *m)
{
    if (m == NULL) return;
    gguf_close(m->file);
    param_table_free(&m->table);
    free(m->places);
    free(m);
}

const gguf *gguf_model_file(const gguf_model *m)
{
    return m->file;
}

const model_config *gguf_model_config(const gguf_model *m)
{
    return &m->config;
}

const param_table *gguf_model_table(const gguf_model *m)
{
    return &m->table;
}

static void read_model_weights(const void *context, size_t i_param, size_t first, size_t n,
                               float *out)
{
    const gguf_model *m = context;
    const place *at = &m->places[i_param];
    if (at->rows == GGUF_ROWS_PLAIN) {
        gguf_read(m->file, at->tensor, first, n, out);
        return;
    }
    size_t n_cols = at->tensor->shape[1];
    while (n > 0) {
        size_t row = first / n_cols, col = first % n_cols, n_now = RT_MIN(n, n_cols - col);
        size_t from = rotary_neighbour_row(row, m->config.d_head) * n_cols + col;
        gguf_read(m->file, at->tensor, from, n_now, out);
        out += n_now;
        first += n_now;
        n -= n_now;
    }
}

weight_source gguf_model_source(const gguf_model *m)
{
    return (weight_source){.table = &m->table, .read = read_model_weights, .context = m};
}
