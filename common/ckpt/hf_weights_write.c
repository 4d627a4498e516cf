/* Weights out: model.safetensors, or
 *
 *     model-00001-of-00002.safetensors   model-00002-of-00002.safetensors
 *     model.safetensors.index.json       {"metadata": {"total_size": bytes}, "weight_map": {tensor: file}}
 *
 * Tensors keep the order of the table; a shard is closed when the next one would not fit. The index
 * comes last: without it, nobody takes the shards for a model.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "common/ckpt/safetensors_format.h"

#define SHARD_NAME_SIZE 80

typedef struct weight_writer {
    const char *folder;
    tensor_dtype dtype;
    tensor_source *tensors; /* [n], in table order */
    size_t *n_bytes;        /* [n], as stored */
    size_t n;
    size_t *firsts; /* [n_shards + 1], first tensor of each shard */
    size_t n_shards;
    uint64_t total_size;
} weight_writer;

static void writer_free(weight_writer *w)
{
    free(w->tensors);
    free(w->n_bytes);
    free(w->firsts);
}

static rt_status list_tensors(weight_writer *w, const weight_source *source, rt_error *err)
{
    const param_table *table = source->table;
    w->tensors = rt_calloc(table->n_params, sizeof *w->tensors);
    w->n_bytes = rt_calloc(table->n_params, sizeof *w->n_bytes);
    w->firsts = rt_calloc(table->n_params + 1, sizeof *w->firsts);
    if (w->tensors == NULL || w->n_bytes == NULL || w->firsts == NULL)
        return rt_fail(err, RT_NOMEM, "%s", w->folder);
    for (size_t i = 0; i < table->n_params; i++) {
        const param *p = &table->params[i];
        if (p->alias_of >= 0) continue; /* shared tensors are stored once */
        w->n_bytes[w->n] = p->n * dtype_names[w->dtype].size;
        w->total_size += w->n_bytes[w->n];
        w->tensors[w->n++] = (tensor_source){.name = p->name,
                                             .n_dims = p->n_dims,
                                             .shape = {p->shape[0], p->shape[1]},
                                             .read = source->read,
                                             .context = source->context,
                                             .i_tensor = i};
    }
    return RT_OK;
}

static void cut_shards(weight_writer *w, uint64_t shard_bytes_max)
{
    uint64_t n_bytes = 0;
    w->n_shards = 1;
    for (size_t i = 0; i < w->n; i++) {
        bool fits = shard_bytes_max == 0 || n_bytes == 0 ||
                    w->n_bytes[i] <= shard_bytes_max - RT_MIN(n_bytes, shard_bytes_max);
        if (!fits) {
            w->firsts[w->n_shards++] = i;
            n_bytes = 0;
        }
        n_bytes += w->n_bytes[i];
    }
    w->firsts[w->n_shards] = w->n;
}

static void shard_name(const weight_writer *w, size_t i_shard, char out[SHARD_NAME_SIZE])
{
    if (w->n_shards == 1)
        snprintf(out, SHARD_NAME_SIZE, "%s", HF_WEIGHTS_NAME);
    else
        snprintf(out, SHARD_NAME_SIZE, "model-%05zu-of-%05zu.safetensors", i_shard + 1,
                 w->n_shards);
}

static rt_status write_shard(const weight_writer *w, size_t i_shard,
                             char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    char path[4096], name[SHARD_NAME_SIZE];
    size_t first = w->firsts[i_shard], n = w->firsts[i_shard + 1] - first;
    shard_name(w, i_shard, name);
    rt_status st = rt_fs_join(path, sizeof path, w->folder, name, err);
    if (st != RT_OK) return st;
    return safetensors_write(path, w->tensors + first, n, w->dtype, metadata, sha256, err);
}

static rt_status write_index(const weight_writer *w, rt_error *err)
{
    char path[4096], name[SHARD_NAME_SIZE];
    json_t *map = json_object();
    for (size_t i = 0; i < w->n_shards; i++) {
        shard_name(w, i, name);
        for (size_t t = w->firsts[i]; t < w->firsts[i + 1]; t++)
            json_object_set_new(map, w->tensors[t].name, json_string(name));
    }
    json_t *root = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", (json_int_t)w->total_size,
                             "weight_map", map);
    char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    rt_status st = text == NULL ? rt_fail(err, RT_NOMEM, "%s", HF_INDEX_NAME) : RT_OK;
    if (st == RT_OK) st = rt_fs_join(path, sizeof path, w->folder, HF_INDEX_NAME, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(root);
    return st;
}

static rt_status write_shards(const weight_writer *w, char sha256[RT_SHA256_HEX_SIZE],
                              rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf sums = {0};
    char sum[RT_SHA256_HEX_SIZE], name[SHARD_NAME_SIZE];
    for (size_t i = 0; st == RT_OK && i < w->n_shards; i++) {
        if ((st = write_shard(w, i, sum, err)) != RT_OK) break;
        shard_name(w, i, name);
        st = rt_buf_printf(&sums, err, "%s  %s\n", sum, name);
    }
    if (st == RT_OK) st = write_index(w, err);
    if (st == RT_OK && sha256 != NULL) rt_sha256_of(sums.data, sums.n, sha256);
    rt_buf_free(&sums);
    return st;
}

rt_status hf_weights_write_from(const char *folder, const weight_source *source, tensor_dtype dtype,
                                uint64_t shard_bytes_max, char sha256[RT_SHA256_HEX_SIZE],
                                rt_error *err)
{
    weight_writer w = {.folder = folder, .dtype = dtype};
    rt_status st = rt_fs_mkdirs(folder, err);
    if (st == RT_OK) st = list_tensors(&w, source, err);
    if (st == RT_OK) {
        cut_shards(&w, shard_bytes_max);
        st = w.n_shards == 1 ? write_shard(&w, 0, sha256, err) : write_shards(&w, sha256, err);
    }
    writer_free(&w);
    return st;
}

rt_status hf_weights_write(const char *folder, const param_table *table, const float *weights,
                           tensor_dtype dtype, char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    weights_in_memory held = {.table = table, .weights = weights};
    weight_source source = weights_in_memory_source(&held);
    return hf_weights_write_from(folder, &source, dtype, 0, sha256, err);
}
