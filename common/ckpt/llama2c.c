#include "common/ckpt/llama2c.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/ckpt/mapped_file.h"
#include "common/nn/model/llama.h"

#define MAGIC       0x616b3432u
#define HEADER_NEW  ((size_t)256)
#define NUMBERS_MAX 7
#define NORM_EPS    1e-5f
#define ROPE_THETA  10000.0f
#define TOKEN_BOS   1u

struct llama2c {
    mapped_file file;
    model_config config;
    param_table table;
    size_t *offsets; /* [table.n_params], bytes from the start of the file */
};

/* Where the next matrix lies while the file is laid out. */
typedef struct layout {
    llama2c *f;
    size_t at;
} layout;

static uint32_t u32_at(const llama2c *f, size_t at)
{
    const uint8_t *b = f->file.bytes + at;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void place(layout *l, size_t i_param)
{
    l->f->offsets[i_param] = l->at;
    l->at += l->f->table.params[i_param].n * sizeof(float);
}

/* One matrix of every layer. */
static void place_layers(layout *l, llama_layer_param which)
{
    for (size_t i = 0; i < l->f->config.n_layers; i++) place(l, llama_param(i, which));
}

static void place_matrices(layout *l, const llama_layer_param *which, size_t n)
{
    for (size_t i = 0; i < n; i++) place_layers(l, which[i]);
}

/* Bytes that the sizes of the header ask for. */
static size_t expected_size(const model_config *c, bool is_new, size_t header)
{
    size_t d = c->d_model, n_kv = c->n_kv_heads * c->d_head;
    size_t n = c->n_vocab * d * (c->tied ? 1 : 2) + d +
               c->n_layers * (2 * d + 2 * d * d + 2 * n_kv * d + 3 * d * c->d_ff);
    if (!is_new) n += c->seq_len_max * c->d_head;
    return header + n * sizeof(float);
}

/* The order of the matrices; returns where the last one ends. */
static size_t lay_out(llama2c *f, bool is_new, size_t header)
{
    static const llama_layer_param old_order[] = {LLAMA_NORM_1, LLAMA_Q,    LLAMA_K,
                                                  LLAMA_V,      LLAMA_O,    LLAMA_NORM_2,
                                                  LLAMA_GATE,   LLAMA_DOWN, LLAMA_UP};
    static const llama_layer_param new_order[] = {LLAMA_Q,    LLAMA_K,    LLAMA_V, LLAMA_O,
                                                  LLAMA_GATE, LLAMA_DOWN, LLAMA_UP};
    static const llama_layer_param norms[] = {LLAMA_NORM_1, LLAMA_NORM_2};
    const model_config *c = &f->config;
    size_t i_norm = llama_param(c->n_layers, 0), i_head = i_norm + 1;
    layout l = {.f = f, .at = header};
    if (is_new) {
        place_matrices(&l, norms, RT_COUNT(norms));
        place(&l, i_norm);
        place(&l, 0);
        place_matrices(&l, new_order, RT_COUNT(new_order));
    } else {
        place(&l, 0);
        place_matrices(&l, old_order, RT_COUNT(old_order));
        place(&l, i_norm);
        l.at += c->seq_len_max * c->d_head * sizeof(float);
    }
    if (!c->tied) place(&l, i_head);
    return l.at;
}

/* Seven numbers at `at`; those of version 0 say with a sign whether the head is tied. */
static rt_status read_sizes(const char *name, llama2c *f, size_t at, bool is_new, rt_error *err)
{
    static const char *const names[NUMBERS_MAX] = {
        "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len"};
    size_t n[NUMBERS_MAX];
    bool tied = true;
    for (size_t i = 0; i < NUMBERS_MAX; i++) {
        int64_t value = (int32_t)u32_at(f, at + 4 * i);
        if (i == 5 && !is_new) {
            tied = value > 0;
            value = value < 0 ? -value : value;
        }
        if (value <= 0)
            return rt_fail(err, RT_CORRUPT,
                           "%s: %s is %lld, expected a number above 0: is this a model of "
                           "llama2.c?",
                           name, names[i], (long long)value);
        n[i] = (size_t)value;
    }
    if (is_new) tied = f->file.bytes[at + NUMBERS_MAX * 4] != 0;
    if (n[0] % n[3] != 0)
        return rt_fail(err, RT_CORRUPT, "%s: dim is %zu, expected a multiple of n_heads (%zu)",
                       name, n[0], n[3]);
    f->config = (model_config){.arch = MODEL_ARCH_LLAMA,
                               .d_model = n[0],
                               .d_ff = n[1],
                               .n_layers = n[2],
                               .n_heads = n[3],
                               .n_kv_heads = n[4],
                               .d_head = n[0] / n[3],
                               .n_vocab = n[5],
                               .seq_len_max = n[6],
                               .rope_theta = ROPE_THETA,
                               .norm_eps = NORM_EPS,
                               .tied = tied,
                               .bos_id = TOKEN_BOS,
                               .eos_id = TOKEN_BOS,
                               .pad_id = TOKEN_BOS};
    rt_status st = model_config_check(&f->config, err);
    return st == RT_OK ? RT_OK : rt_wrap(err, RT_CORRUPT, "%s", name);
}

static rt_status read_header(const char *name, llama2c *f, bool *is_new, size_t *header,
                             rt_error *err)
{
    size_t n_bytes = f->file.n_bytes;
    if (n_bytes < NUMBERS_MAX * 4)
        return rt_fail(err, RT_CORRUPT, "%s: %zu bytes, expected at least %d", name, n_bytes,
                       NUMBERS_MAX * 4);
    *is_new = u32_at(f, 0) == MAGIC;
    *header = *is_new ? HEADER_NEW : NUMBERS_MAX * 4;
    if (n_bytes < *header)
        return rt_fail(err, RT_CORRUPT, "%s: %zu bytes, expected at least %zu", name, n_bytes,
                       *header);
    uint32_t version = *is_new ? u32_at(f, 4) : 0;
    if (version > 1)
        return rt_fail(err, RT_UNSUPPORTED,
                       "%s: llama2.c's version %u, expected 0 or 1 (float32): export it again "
                       "with --version 1",
                       name, version);
    return read_sizes(name, f, *is_new ? 8 : 0, *is_new, err);
}

static rt_status parse(const char *name, llama2c *f, rt_error *err)
{
    bool is_new = false;
    size_t header = 0;
    const model_config *c = &f->config;
    rt_status st = read_header(name, f, &is_new, &header, err);
    if (st != RT_OK) return st;
    size_t expected = expected_size(c, is_new, header);
    if (expected != f->file.n_bytes)
        return rt_fail(err, RT_CORRUPT,
                       "%s: %zu bytes, but dim %zu, hidden_dim %zu, n_layers %zu, n_heads %zu, "
                       "n_kv_heads %zu, vocab_size %zu and seq_len %zu make %zu",
                       name, f->file.n_bytes, c->d_model, c->d_ff, c->n_layers, c->n_heads,
                       c->n_kv_heads, c->n_vocab, c->seq_len_max, expected);
    if ((st = param_table_build(c, &f->table, err)) != RT_OK) return st;
    f->offsets = rt_calloc(f->table.n_params, sizeof *f->offsets);
    if (f->offsets == NULL) return rt_fail(err, RT_NOMEM, "%s", name);
    RT_ASSERT(lay_out(f, is_new, header) == expected);
    return RT_OK;
}

rt_status llama2c_open(const char *path, llama2c **out, rt_error *err)
{
    llama2c *f = rt_calloc(1, sizeof *f);
    if (f == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    rt_status st = mapped_file_open(path, &f->file, err);
    if (st == RT_OK) st = parse(path, f, err);
    if (st != RT_OK) {
        llama2c_close(f);
        return st;
    }
    *out = f;
    return RT_OK;
}

void llama2c_close(llama2c *file)
{
    if (file == NULL) return;
    mapped_file_close(&file->file);
    param_table_free(&file->table);
    free(file->offsets);
    free(file);
}

const model_config *llama2c_config(const llama2c *file)
{
    return &file->config;
}

const param_table *llama2c_table(const llama2c *file)
{
    return &file->table;
}

static bool is_rotated(const model_config *c, size_t i_param)
{
    if (i_param == 0 || i_param >= llama_param(c->n_layers, 0)) return false;
    size_t which = (i_param - 1) % LLAMA_LAYER_PARAMS;
    return which == LLAMA_Q || which == LLAMA_K;
}

static void read_file(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const llama2c *f = context;
    const param *p = &f->table.params[i_param];
    const uint8_t *data = f->file.bytes + f->offsets[i_param];
    RT_ASSERT(first <= p->n && n <= p->n - first);
    if (!is_rotated(&f->config, i_param)) {
        memcpy(out, data + first * sizeof *out, n * sizeof *out);
        return;
    }
    size_t n_cols = p->shape[1];
    while (n > 0) {
        size_t row = first / n_cols, col = first % n_cols, n_now = RT_MIN(n, n_cols - col);
        size_t from = rotary_neighbour_row(row, f->config.d_head) * n_cols + col;
        memcpy(out, data + from * sizeof *out, n_now * sizeof *out);
        out += n_now;
        first += n_now;
        n -= n_now;
    }
}

weight_source llama2c_source(const llama2c *file)
{
    return (weight_source){.table = &file->table, .read = read_file, .context = file};
}

rt_status llama2c_check_bytes(const void *bytes, size_t n_bytes, rt_error *err)
{
    float *weights = NULL;
    llama2c *f = rt_calloc(1, sizeof *f);
    if (f == NULL) return rt_fail(err, RT_NOMEM, "llama2.c");
    f->file = (mapped_file){.bytes = bytes, .n_bytes = n_bytes};
    rt_status st = parse("bytes", f, err);
    if (st == RT_OK) {
        weight_source source = llama2c_source(f);
        weights = rt_calloc(f->table.n_total, sizeof *weights);
        if (weights == NULL)
            st = rt_fail(err, RT_NOMEM, "llama2.c");
        else
            weight_source_read_all(&source, weights);
    }
    free(weights);
    llama2c_close(f);
    return st;
}
