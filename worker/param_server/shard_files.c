#include "worker/param_server/shard_files.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/fs.h"
#include "common/ckpt/hf_model.h"
#include "worker/model_shape/model_shape.h"

/* "m.", "v." and the name of a parameter. */
typedef struct moment_name {
    char text[sizeof((param *)NULL)->name + 4];
} moment_name;

static moment_name name_moment(char moment, const char *name)
{
    moment_name out;
    snprintf(out.text, sizeof out.text, "%c.%s", moment, name);
    return out;
}

/* ---- load ---- */

static rt_status load_published(const config *c, shard_model *held, rt_error *err)
{
    float *flat = rt_calloc(held->table.n_total, sizeof *flat);
    if (flat == NULL)
        return rt_fail(err, RT_NOMEM, "weights of %s: %zu floats", c->student.init_from,
                       held->table.n_total);
    rt_status st = hf_weights_read(c->student.init_from, &held->table, flat, err);
    if (st == RT_OK)
        param_slice_gather(&held->slice, &held->table, flat, held->weights->floats);
    else
        st = rt_wrap(err, st, "student.init_from");
    free(flat);
    return st;
}

static rt_status load_initial(const config *c, shard_model *held, rt_error *err)
{
    if (c->student.init_from[0] != '\0') return load_published(c, held, err);
    for (size_t i = 0; i < held->slice.n_params; i++)
        param_init(&held->table, &held->shape, c->seed, held->slice.params[i],
                   held->weights->floats + held->slice.offsets[i]);
    return RT_OK;
}

static rt_status load_checkpoint(const wire_server_order *order, shard_model *held, rt_error *err)
{
    ckpt_reader *reader = NULL;
    rt_status st = ckpt_reader_open(order->folder, &reader, err);
    if (st != RT_OK) return st;
    uint64_t version = ckpt_reader_manifest(reader)->version;
    if (version != order->version)
        st = rt_fail(err, RT_CORRUPT, "%s: found version %" PRIu64 ", expected %" PRIu64,
                     order->folder, version, order->version);
    for (size_t i = 0; st == RT_OK && i < held->slice.n_params; i++) {
        const param *p = &held->table.params[held->slice.params[i]];
        size_t at = held->slice.offsets[i];
        moment_name m = name_moment('m', p->name), v = name_moment('v', p->name);
        st = ckpt_reader_get(reader, p->name, p->n, held->weights->floats + at, err);
        if (st == RT_OK) st = ckpt_reader_get(reader, m.text, p->n, held->m + at, err);
        if (st == RT_OK) st = ckpt_reader_get(reader, v.text, p->n, held->v + at, err);
    }
    ckpt_reader_close(reader);
    return st;
}

rt_status shard_load(const config *c, uint32_t shard, const wire_server_order *order,
                     shard_model **out, rt_error *err)
{
    rt_status st = RT_OK;
    shard_model *held = NULL;
    model_config shape;
    vocabulary v = {.n_vocab = order->n_vocab,
                    .bos_id = order->bos_id,
                    .eos_id = order->eos_id,
                    .pad_id = order->pad_id};
    bool initial = order->folder[0] == '\0';
    if (initial && order->version != 0)
        return rt_fail(err, RT_INVALID,
                       "restore of version %" PRIu64 ": found no checkpoint folder, expected one",
                       order->version);
    if ((st = model_shape_of(c, &v, &shape, err)) != RT_OK) goto out;
    if ((st = shard_model_new(&shape, shard, order->n_shards, &held, err)) != RT_OK) goto out;
    st = initial ? load_initial(c, held, err) : load_checkpoint(order, held, err);
    if (st != RT_OK) goto out;
    if (c->net.shared_memory) shard_weights_share(held->weights);
    *out = held;
    held = NULL;
out:
    shard_model_free(held);
    return st;
}

/* ---- save ---- */

static tensor_source source_of(const param *p, const char *name, const float *data)
{
    return (tensor_source){
        .name = name, .n_dims = p->n_dims, .shape = {p->shape[0], p->shape[1]}, .data = data};
}

static rt_status write_file(const shard_model *held, uint64_t version, const char *folder,
                            const char *stem, const tensor_source *tensors, size_t n_tensors,
                            ckpt_file *out, rt_error *err)
{
    char path[PATH_MAX], text[24];
    struct stat info;
    ckpt_file file = {0};
    const char *metadata[] = {"format", "pt", "version", text, NULL};
    snprintf(text, sizeof text, "%" PRIu64, version);
    snprintf(file.name, sizeof file.name, "%s-%05" PRIu32 "-of-%05" PRIu32 ".safetensors", stem,
             held->slice.shard + 1, held->slice.n_shards);
    rt_status st = rt_fs_join(path, sizeof path, folder, file.name, err);
    if (st != RT_OK) return st;
    st = safetensors_write(path, tensors, n_tensors, TENSOR_F32, metadata, file.sha256, err);
    if (st != RT_OK) return st;
    if (stat(path, &info) != 0) return rt_fail(err, RT_IO, "stat %s: %s", path, strerror(errno));
    file.n_bytes = (uint64_t)info.st_size;
    *out = file;
    return RT_OK;
}

rt_status shard_save(const shard_model *held, uint64_t version, const char *folder,
                     ckpt_file files[2], rt_error *err)
{
    rt_status st = RT_OK;
    const param_slice *slice = &held->slice;
    ckpt_file written[2];
    tensor_source *tensors = rt_calloc(2 * slice->n_params, sizeof *tensors);
    moment_name *names = rt_calloc(2 * slice->n_params, sizeof *names);
    if (tensors == NULL || names == NULL) {
        st = rt_fail(err, RT_NOMEM, "list of %zu tensors", 2 * slice->n_params);
        goto out;
    }
    if ((st = rt_fs_mkdirs(folder, err)) != RT_OK) goto out;
    for (size_t i = 0; i < slice->n_params; i++) {
        const param *p = &held->table.params[slice->params[i]];
        tensors[i] = source_of(p, p->name, held->weights->floats + slice->offsets[i]);
    }
    st = write_file(held, version, folder, "model", tensors, slice->n_params, &written[0], err);
    if (st != RT_OK) goto out;
    for (size_t i = 0; i < slice->n_params; i++) {
        const param *p = &held->table.params[slice->params[i]];
        names[2 * i] = name_moment('m', p->name);
        names[2 * i + 1] = name_moment('v', p->name);
        tensors[2 * i] = source_of(p, names[2 * i].text, held->m + slice->offsets[i]);
        tensors[2 * i + 1] = source_of(p, names[2 * i + 1].text, held->v + slice->offsets[i]);
    }
    st = write_file(held, version, folder, "optim", tensors, 2 * slice->n_params, &written[1], err);
    if (st != RT_OK) goto out;
    memcpy(files, written, sizeof written);
out:
    free(names);
    free(tensors);
    return st;
}
