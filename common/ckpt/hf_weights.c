#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"

#define INDEX_BYTES_MAX ((size_t)64 << 20)
#define SHARDS_MAX      4096

#define WEIGHTS_NAME HF_WEIGHTS_NAME
#define INDEX_NAME   HF_INDEX_NAME

/* An open file of weights. */
typedef struct shard {
    char path[4096];
    safetensors *file;
} shard;

typedef struct weight_files {
    const char *folder;
    json_t *index; /* NULL: one file holds everything */
    shard *shards; /* owns */
    size_t n_shards;
} weight_files;

/* Where one entry of the table lies. */
typedef struct place {
    size_t i_shard;
    const tensor_entry *entry;
} place;

static void files_close(weight_files *f)
{
    for (size_t i = 0; i < f->n_shards; i++) safetensors_close(f->shards[i].file);
    free(f->shards);
    json_decref(f->index);
}

/* Open a file of the folder, or find it among those that are open. */
static rt_status open_shard(weight_files *f, const char *name, size_t *i_out, rt_error *err)
{
    char path[sizeof f->shards->path];
    rt_status st = rt_fs_join(path, sizeof path, f->folder, name, err);
    if (st != RT_OK) return st;
    for (size_t i = 0; i < f->n_shards; i++) {
        if (strcmp(f->shards[i].path, path) != 0) continue;
        *i_out = i;
        return RT_OK;
    }
    if (f->n_shards == SHARDS_MAX)
        return rt_fail(err, RT_FULL, "%s: more than %d files of weights", f->folder, SHARDS_MAX);
    shard *grown = realloc(f->shards, (f->n_shards + 1) * sizeof *grown);
    if (grown == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    f->shards = grown;
    shard *s = &f->shards[f->n_shards];
    if ((st = safetensors_open(path, &s->file, err)) != RT_OK) return st;
    memcpy(s->path, path, sizeof path);
    *i_out = f->n_shards++;
    return RT_OK;
}

static rt_status open_index(weight_files *f, rt_error *err)
{
    char path[4096];
    rt_buf text = {0};
    json_error_t trouble;
    rt_status st = rt_fs_join(path, sizeof path, f->folder, WEIGHTS_NAME, err);
    if (st != RT_OK || rt_fs_exists(path)) return st;
    st = rt_fs_join(path, sizeof path, f->folder, INDEX_NAME, err);
    if (st == RT_OK && !rt_fs_exists(path))
        st = rt_fail(err, RT_NOTFOUND, "%s: neither " WEIGHTS_NAME " nor " INDEX_NAME " is there",
                     f->folder);
    if (st == RT_OK) st = rt_fs_read(path, INDEX_BYTES_MAX, &text, err);
    if (st == RT_OK) {
        f->index = json_loadb(text.data == NULL ? "" : text.data, text.n, JSON_REJECT_DUPLICATES,
                              &trouble);
        if (f->index == NULL)
            st = rt_fail(err, RT_CORRUPT, "%s: not JSON: %s in line %d", path, trouble.text,
                         trouble.line);
        else if (!json_is_object(json_object_get(f->index, "weight_map")))
            st = rt_fail(err, RT_CORRUPT, "%s: weight_map is missing", path);
    }
    rt_buf_free(&text);
    return st;
}

static const char *shard_of(const weight_files *f, const char *tensor)
{
    return json_string_value(json_object_get(json_object_get(f->index, "weight_map"), tensor));
}

/* Name of the file that holds a tensor. A file outside the folder is refused. */
static rt_status shard_name(const weight_files *f, const char *tensor, const char **out,
                            rt_error *err)
{
    *out = WEIGHTS_NAME;
    if (f->index == NULL) return RT_OK;
    *out = shard_of(f, tensor);
    if (*out == NULL)
        return rt_fail(err, RT_CORRUPT, "%s/" INDEX_NAME ": tensor %s is missing", f->folder,
                       tensor);
    if (strchr(*out, '/') != NULL || **out == '.')
        return rt_fail(err, RT_CORRUPT,
                       "%s/" INDEX_NAME ": tensor %s is said to be in %.200s, expected a file of "
                       "the same folder",
                       f->folder, tensor, *out);
    return RT_OK;
}

static void print_shape(const size_t *shape, size_t n_dims, char out[64])
{
    size_t n = (size_t)snprintf(out, 64, "[");
    for (size_t i = 0; i < n_dims && n < 60; i++)
        n += (size_t)snprintf(out + n, 64 - n, i == 0 ? "%zu" : ", %zu", shape[i]);
    if (n < 63) snprintf(out + n, 64 - n, "]");
}

/* T5's embedding is one matrix of three names, of which a file may hold any. */
static const char *const shared_names[] = {"shared.weight", "encoder.embed_tokens.weight",
                                           "decoder.embed_tokens.weight"};

/* Whether the files hold a tensor; the index says so where there is one. */
static rt_status holds(weight_files *f, const char *tensor, bool *out, rt_error *err)
{
    size_t i_shard = 0;
    *out = f->index != NULL && shard_of(f, tensor) != NULL;
    if (f->index != NULL) return RT_OK;
    rt_status st = open_shard(f, WEIGHTS_NAME, &i_shard, err);
    if (st == RT_OK) *out = safetensors_find(f->shards[i_shard].file, tensor) != NULL;
    return st;
}

/* The name under which the files hold a parameter: its own, unless only another is there. */
static rt_status stored_name(weight_files *f, const param *p, const char **out, rt_error *err)
{
    rt_status st = RT_OK;
    bool found = false;
    *out = p->name;
    if (strcmp(p->name, shared_names[0]) != 0) return RT_OK;
    for (size_t i = 0; st == RT_OK && !found && i < RT_COUNT(shared_names); i++) {
        st = holds(f, shared_names[i], &found, err);
        if (st == RT_OK && found) *out = shared_names[i];
    }
    return st;
}

static rt_status find_tensor(weight_files *f, const param *p, place *out, rt_error *err)
{
    const char *name, *stored;
    rt_status st = stored_name(f, p, &stored, err);
    if (st == RT_OK) st = shard_name(f, stored, &name, err);
    if (st != RT_OK) return st;
    st = open_shard(f, name, &out->i_shard, err);
    if (st == RT_NOTFOUND && f->index != NULL)
        return rt_fail(err, st,
                       "%s/%.200s is missing; " INDEX_NAME " says that it holds tensor %s: "
                       "download the whole folder again",
                       f->folder, name, stored);
    if (st != RT_OK) return st;
    const shard *s = &f->shards[out->i_shard];
    out->entry = safetensors_find(s->file, stored);
    if (out->entry == NULL)
        return rt_fail(err, RT_CORRUPT, "%s: tensor %s is missing", s->path, p->name);
    bool same = out->entry->n_dims == p->n_dims;
    for (size_t i = 0; same && i < p->n_dims; i++) same = out->entry->shape[i] == p->shape[i];
    if (same) return RT_OK;
    char found[64], expected[64];
    print_shape(out->entry->shape, out->entry->n_dims, found);
    print_shape(p->shape, p->n_dims, expected);
    return rt_fail(err, RT_CORRUPT, "%s: tensor %s has shape %s, expected %s (from config.json)",
                   s->path, p->name, found, expected);
}

struct hf_weights {
    const param_table *table;
    weight_files files;
    place *places; /* [table->n_params] */
};

rt_status hf_weights_open(const char *folder, const param_table *table, hf_weights **out,
                          rt_error *err)
{
    hf_weights *w = rt_calloc(1, sizeof *w);
    if (w == NULL) return rt_fail(err, RT_NOMEM, "%s", folder);
    *w = (hf_weights){.table = table, .files = {.folder = folder}};
    w->places = rt_calloc(table->n_params, sizeof *w->places);
    rt_status st = w->places == NULL ? rt_fail(err, RT_NOMEM, "%s", folder) : RT_OK;
    if (st == RT_OK) st = open_index(&w->files, err);
    for (size_t i = 0; st == RT_OK && i < table->n_params; i++)
        if (table->params[i].alias_of < 0)
            st = find_tensor(&w->files, &table->params[i], &w->places[i], err);
    w->files.folder = NULL; /* the caller's text; all files are open */
    if (st != RT_OK) {
        hf_weights_close(w);
        return st;
    }
    *out = w;
    return RT_OK;
}

void hf_weights_close(hf_weights *w)
{
    if (w == NULL) return;
    files_close(&w->files);
    free(w->places);
    free(w);
}

rt_status hf_weights_check(const char *folder, const param_table *table, rt_error *err)
{
    hf_weights *w = NULL;
    rt_status st = hf_weights_open(folder, table, &w, err);
    hf_weights_close(w);
    return st;
}

static void read_files(const void *context, size_t i_param, size_t first, size_t n, float *out)
{
    const hf_weights *w = context;
    const place *p = &w->places[i_param];
    safetensors_read_range(w->files.shards[p->i_shard].file, p->entry, first, n, out);
}

weight_source hf_weights_source(const hf_weights *w)
{
    return (weight_source){.table = w->table, .read = read_files, .context = w};
}

/* Everything is found and checked before the first weight is written. */
rt_status hf_weights_read(const char *folder, const param_table *table, float *weights,
                          rt_error *err)
{
    hf_weights *w = NULL;
    rt_status st = hf_weights_open(folder, table, &w, err);
    if (st != RT_OK) return st;
    weight_source source = hf_weights_source(w);
    weight_source_read_all(&source, weights);
    hf_weights_close(w);
    return RT_OK;
}

rt_status hf_model_load(const char *folder, model **out, rt_error *err)
{
    model_config config;
    model *m = NULL;
    rt_status st = hf_config_read(folder, &config, err);
    if (st == RT_OK) st = model_new(&config, &m, err);
    if (st == RT_OK) st = hf_weights_read(folder, model_table(m), model_weights(m), err);
    if (st == RT_OK) {
        *out = m;
        m = NULL;
    }
    model_free(m);
    return st;
}
