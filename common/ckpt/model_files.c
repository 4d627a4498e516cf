#include "common/ckpt/model_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/gguf_model.h"
#include "common/ckpt/hf_model.h"
#include "common/ckpt/llama2c.h"
#include "common/text/piece_list.h"

#define TOKENIZER_BYTES_MAX ((size_t)128 << 20)
#define TASK_BYTES_MAX      ((size_t)1 << 20)
#define MODEL_PATH_MAX      4096

struct model_files {
    model_format format;
    char *path;
    model_config config;
    param_table own_table; /* of a folder; other readers have theirs */
    const param_table *table;
    hf_weights *hf;
    gguf_model *gguf;
    llama2c *llama2c;
};

static const char *const format_names[] = {[MODEL_FORMAT_AUTO] = "auto",
                                           [MODEL_FORMAT_HF] = "hf",
                                           [MODEL_FORMAT_GGUF] = "gguf",
                                           [MODEL_FORMAT_LLAMA2C] = "llama2c"};

const char *model_format_name(model_format format)
{
    return format_names[format];
}

rt_status model_format_parse(const char *text, model_format *out, rt_error *err)
{
    for (size_t i = 0; i < RT_COUNT(format_names); i++) {
        if (strcmp(text, format_names[i]) != 0) continue;
        *out = (model_format)i;
        return RT_OK;
    }
    return rt_fail(err, RT_INVALID, "found '%.64s', expected auto, hf, gguf or llama2c", text);
}

model_format model_format_find(const char *path)
{
    char config[MODEL_PATH_MAX];
    if (rt_fs_join(config, sizeof config, path, "config.json", NULL) == RT_OK &&
        rt_fs_exists(config))
        return MODEL_FORMAT_HF;
    char magic[4] = "";
    FILE *file = fopen(path, "rbe");
    size_t n = file == NULL ? 0 : fread(magic, 1, sizeof magic, file);
    if (file != NULL) fclose(file);
    return n == 4 && memcmp(magic, "GGUF", 4) == 0 ? MODEL_FORMAT_GGUF : MODEL_FORMAT_LLAMA2C;
}

static rt_status open_hf(model_files *m, rt_error *err)
{
    rt_status st = hf_config_read(m->path, &m->config, err);
    if (st == RT_OK) st = param_table_build(&m->config, &m->own_table, err);
    if (st == RT_OK) st = hf_weights_open(m->path, &m->own_table, &m->hf, err);
    m->table = &m->own_table;
    return st;
}

static rt_status open_gguf(model_files *m, rt_error *err)
{
    rt_status st = gguf_model_open(m->path, &m->gguf, err);
    if (st != RT_OK) return st;
    m->config = *gguf_model_config(m->gguf);
    m->table = gguf_model_table(m->gguf);
    return RT_OK;
}

static rt_status open_llama2c(model_files *m, rt_error *err)
{
    rt_status st = llama2c_open(m->path, &m->llama2c, err);
    if (st != RT_OK) return st;
    m->config = *llama2c_config(m->llama2c);
    m->table = llama2c_table(m->llama2c);
    return RT_OK;
}

rt_status model_files_open(const char *path, model_format as, model_files **out, rt_error *err)
{
    rt_status st = RT_OK;
    model_files *m = rt_calloc(1, sizeof *m);
    if (m == NULL || (m->path = strdup(path)) == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", path);
        goto out;
    }
    if (!rt_fs_exists(path)) {
        st = rt_fail(err, RT_NOTFOUND, "%s: does not exist, expected a model", path);
        goto out;
    }
    m->format = as == MODEL_FORMAT_AUTO ? model_format_find(path) : as;
    switch (m->format) {
    case MODEL_FORMAT_HF: st = open_hf(m, err); break;
    case MODEL_FORMAT_GGUF: st = open_gguf(m, err); break;
    case MODEL_FORMAT_AUTO:
    case MODEL_FORMAT_LLAMA2C: st = open_llama2c(m, err); break;
    }
    if (st != RT_OK) goto out;
    *out = m;
    m = NULL;
out:
    model_files_close(m);
    return st;
}

void model_files_close(model_files *m)
{
    if (m == NULL) return;
    hf_weights_close(m->hf);
    gguf_model_close(m->gguf);
    llama2c_close(m->llama2c);
    param_table_free(&m->own_table);
    free(m->path);
    free(m);
}

model_format model_files_format(const model_files *m)
{
    return m->format;
}

const model_config *model_files_config(const model_files *m)
{
    return &m->config;
}

const param_table *model_files_table(const model_files *m)
{
    return m->table;
}

weight_source model_files_source(const model_files *m)
{
    if (m->hf != NULL) return hf_weights_source(m->hf);
    return m->gguf != NULL ? gguf_model_source(m->gguf) : llama2c_source(m->llama2c);
}

/* ---- the tokenizer ---- */

/* The first of some names in the model's folder. */
static rt_status find_tokenizer(const model_files *m, char path[MODEL_PATH_MAX], rt_error *err)
{
    static const char *const names[] = {"tokenizer.model", "spiece.model", "tokenizer.bin"};
    char folder[MODEL_PATH_MAX];
    const char *slash = strrchr(m->path, '/');
    snprintf(folder, sizeof folder, "%s", m->path);
    if (m->format != MODEL_FORMAT_HF)
        snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - m->path),
                 slash == NULL ? "." : m->path);
    size_t n_names = m->format == MODEL_FORMAT_LLAMA2C ? RT_COUNT(names) : RT_COUNT(names) - 1;
    for (size_t i = 0; i < n_names; i++) {
        /* a llama2.c model's own kind of file comes first */
        size_t which = m->format == MODEL_FORMAT_LLAMA2C ? RT_COUNT(names) - 1 - i : i;
        rt_status st = rt_fs_join(path, MODEL_PATH_MAX, folder, names[which], err);
        if (st != RT_OK || rt_fs_exists(path)) return st;
    }
    return rt_fail(err, RT_NOTFOUND,
                   "%s: no tokenizer beside the model (tokenizer.model or spiece.model%s); name "
                   "one with --tokenizer",
                   folder, m->format == MODEL_FORMAT_LLAMA2C ? " or tokenizer.bin" : "");
}

static rt_status check_size(const model_files *m, const char *path, size_t n_pieces, rt_error *err)
{
    if (n_pieces <= m->config.n_vocab) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "%s: %zu pieces, but %s has only %zu rows of embeddings: take the tokenizer "
                   "that the model was trained with",
                   path, n_pieces, m->path, m->config.n_vocab);
}

/* The bytes of a sentencepiece model or of llama2.c's file; its own trouble is told when they are
 * neither and the model is of that kind. */
static rt_status read_tokenizer(const model_files *m, const char *path, const rt_buf *file,
                                rt_buf *out, rt_error *err)
{
    piece_list list = {0};
    rt_error why = {0};
    rt_status st = piece_list_read(file->n == 0 ? "" : file->data, file->n, &list, &why);
    if (st == RT_OK) {
        if ((st = check_size(m, path, list.n, err)) == RT_OK)
            st = rt_buf_add(out, file->data, file->n, err);
    } else if (m->format == MODEL_FORMAT_LLAMA2C) {
        st = llama2c_tokenizer_parse(path, file->data, file->n, m->config.n_vocab, &list, err);
        if (st == RT_OK && (st = piece_list_write(&list, out, err)) != RT_OK)
            st = rt_wrap(err, RT_CORRUPT, "%s", path);
    } else {
        st = rt_fail(err, st, "%s: %.900s", path, why.text);
    }
    piece_list_free(&list);
    return st;
}

static rt_status inner_tokenizer(const model_files *m, rt_buf *out, rt_error *err)
{
    piece_list list = {0};
    rt_status st = gguf_pieces_read(m->path, gguf_model_file(m->gguf), &list, err);
    if (st == RT_OK) st = check_size(m, m->path, list.n, err);
    if (st == RT_OK && (st = piece_list_write(&list, out, err)) != RT_OK)
        st = rt_wrap(err, RT_CORRUPT, "%s", m->path);
    piece_list_free(&list);
    return st;
}

rt_status model_files_tokenizer(const model_files *m, const char *path, rt_buf *out, rt_error *err)
{
    char found[MODEL_PATH_MAX];
    rt_buf file = {0};
    rt_status st = RT_OK;
    if (path == NULL && m->gguf != NULL) return inner_tokenizer(m, out, err);
    if (path == NULL) {
        if ((st = find_tokenizer(m, found, err)) != RT_OK) return st;
        path = found;
    }
    st = rt_fs_read(path, TOKENIZER_BYTES_MAX, &file, err);
    if (st == RT_OK) st = read_tokenizer(m, path, &file, out, err);
    rt_buf_free(&file);
    return st;
}

rt_status model_files_task(const model_files *m, rt_buf *out, rt_error *err)
{
    char path[MODEL_PATH_MAX];
    const char *text;
    size_t n;
    if (m->gguf != NULL) {
        const gguf_entry *e = gguf_find(gguf_model_file(m->gguf), GGUF_KEY_TASK);
        return gguf_text(e, &text, &n) ? rt_buf_add(out, text, n, err) : RT_OK;
    }
    if (m->hf == NULL) return RT_OK;
    rt_status st = rt_fs_join(path, sizeof path, m->path, "retort.json", err);
    if (st != RT_OK || !rt_fs_exists(path)) return st;
    return rt_fs_read(path, TASK_BYTES_MAX, out, err);
}
