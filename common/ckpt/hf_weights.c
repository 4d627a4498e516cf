#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"

#define INDEX_BYTES_MAX ((size_t)64 << 20)
#define SHARDS_MAX      4096

#define WEIGHTS_NAME "model.safetensors"
#define INDEX_NAME   "model.safetensors.index.json"

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
    if (st == RT_OK) st = open_shard(f, name, &out->i_shard, err);
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

/* Every tensor of the table that has a place of its own; places[n_params]. */
static rt_status find_tensors(weight_files *f, const param_table *table, place *places,
                              rt_error *err)
{
    rt_status st = open_index(f, err);
    for (size_t i = 0; st == RT_OK && i < table->n_params; i++)
        if (table->params[i].alias_of < 0) st = find_tensor(f, &table->params[i], &places[i], err);
    return st;
}

rt_status hf_weights_check(const char *folder, const param_table *table, rt_error *err)
{
    weight_files f = {.folder = folder};
    place *places = rt_calloc(table->n_params, sizeof *places);
    rt_status st = places == NULL ? rt_fail(err, RT_NOMEM, "%s", folder)
                                  : find_tensors(&f, table, places, err);
    free(places);
    files_close(&f);
    return st;
}

rt_status hf_weights_read(const char *folder, const param_table *table, float *weights,
                          rt_error *err)
{
    weight_files f = {.folder = folder};
    place *places = rt_calloc(table->n_params, sizeof *places);
    /* Everything is found and checked before the first weight is written. */
    rt_status st = places == NULL ? rt_fail(err, RT_NOMEM, "%s", folder)
                                  : find_tensors(&f, table, places, err);
    for (size_t i = 0; st == RT_OK && i < table->n_params; i++)
        if (table->params[i].alias_of < 0)
            safetensors_read_f32(f.shards[places[i].i_shard].file, places[i].entry,
                                 weights + table->params[i].offset);
    free(places);
    files_close(&f);
    return st;
}

rt_status hf_weights_write(const char *folder, const param_table *table, const float *weights,
                           tensor_dtype dtype, char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    char path[4096];
    size_t n = 0;
    tensor_source *sources = rt_calloc(table->n_params, sizeof *sources);
    rt_status st = sources == NULL ? rt_fail(err, RT_NOMEM, "%s", folder) : RT_OK;
    if (st == RT_OK) st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, folder, WEIGHTS_NAME, err);
    for (size_t i = 0; st == RT_OK && i < table->n_params; i++) {
        const param *p = &table->params[i];
        if (p->alias_of >= 0) continue; /* shared tensors are stored once */
        sources[n++] = (tensor_source){.name = p->name,
                                       .n_dims = p->n_dims,
                                       .shape = {p->shape[0], p->shape[1]},
                                       .data = weights + p->offset};
    }
    if (st == RT_OK) st = safetensors_write(path, sources, n, dtype, metadata, sha256, err);
    free(sources);
    return st;
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
