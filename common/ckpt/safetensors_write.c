#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/ckpt/float16.h"
#include "common/ckpt/safetensors_format.h"

/* Elements converted at a time. */
#define CHUNK ((size_t)32 * 1024)

/* Bytes go to the file and to the hash. */
typedef struct sink {
    int fd;
    const char *path;
    rt_sha256 hash;
} sink;

static rt_status put(sink *s, const void *bytes, size_t n, rt_error *err)
{
    rt_sha256_add(&s->hash, bytes, n);
    return rt_fs_write_all(s->fd, bytes, n, s->path, err);
}

static json_t *describe(const tensor_source *t, const dtype_name *dtype, size_t begin, size_t *end)
{
    size_t n = 1;
    json_t *shape = json_array();
    for (size_t i = 0; i < t->n_dims; i++) {
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
        n *= t->shape[i];
    }
    *end = begin + n * dtype->size;
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype->name, "shape", shape, "data_offsets",
                     (json_int_t)begin, (json_int_t)*end);
}

static rt_status make_header(const char *path, const tensor_source *tensors, size_t n_tensors,
                             const dtype_name *dtype, const char *const *metadata, rt_buf *out,
                             rt_error *err)
{
    rt_status st = RT_OK;
    size_t end = 0;
    char *text = NULL;
    json_t *header = json_object(), *pairs = json_object();
    for (size_t i = 0; metadata != NULL && metadata[i] != NULL; i += 2)
        json_object_set_new(pairs, metadata[i], json_string(metadata[i + 1]));
    if (json_object_size(pairs) > 0) json_object_set(header, "__metadata__", pairs);
    for (size_t i = 0; i < n_tensors; i++) {
        const tensor_source *t = &tensors[i];
        if (t->n_dims > TENSOR_DIMS_MAX || json_object_get(header, t->name) != NULL) {
            st = rt_fail(err, RT_INVALID,
                         "%s: tensor %s comes twice or has %zu dimensions (at most %d)", path,
                         t->name, t->n_dims, TENSOR_DIMS_MAX);
            goto out;
        }
        if (json_object_set_new(header, t->name, describe(t, dtype, end, &end)) != 0) {
            st = rt_fail(err, RT_INVALID, "%s: tensor %zu has no valid UTF-8 name", path, i);
            goto out;
        }
    }
    text = json_dumps(header, JSON_COMPACT);
    if (text == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s: header", path);
        goto out;
    }
    /* Spaces up to a multiple of 8, so that the data is aligned where the file is mapped. */
    size_t n = strlen(text), n_padded = (n + 7) / 8 * 8;
    uint8_t size[8];
    for (size_t i = 0; i < 8; i++) size[i] = (uint8_t)((uint64_t)n_padded >> 8 * i);
    if (n_padded > SAFETENSORS_HEADER_MAX)
        st = rt_fail(err, RT_INVALID, "%s: the header has %zu bytes, expected at most %d", path,
                     n_padded, SAFETENSORS_HEADER_MAX);
    if (st == RT_OK) st = rt_buf_add(out, size, sizeof size, err);
    if (st == RT_OK) st = rt_buf_add(out, text, n, err);
    if (st == RT_OK) st = rt_buf_add(out, "       ", n_padded - n, err);
out:
    json_decref(header);
    json_decref(pairs);
    free(text);
    return st;
}

static rt_status put_tensor(sink *s, const tensor_source *t, tensor_dtype dtype, uint16_t *chunk,
                            rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++) n *= t->shape[i];
    if (dtype == TENSOR_F32) return put(s, t->data, n * sizeof *t->data, err);
    for (size_t first = 0; st == RT_OK && first < n; first += CHUNK) {
        size_t n_now = RT_MIN(CHUNK, n - first);
        if (dtype == TENSOR_F16)
            float16_encode(t->data + first, n_now, chunk);
        else
            bfloat16_encode(t->data + first, n_now, chunk);
        st = put(s, chunk, n_now * sizeof *chunk, err);
    }
    return st;
}

/* Move the finished file to its place, durably. */
static rt_status commit(sink *s, const char *temporary, const char *path, rt_error *err)
{
    if (fsync(s->fd) != 0) return rt_fail(err, RT_IO, "fsync %s: %s", temporary, strerror(errno));
    if (rename(temporary, path) != 0)
        return rt_fail(err, RT_IO, "rename %s to %s: %s", temporary, path, strerror(errno));
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)RT_MAX(slash - path, 1),
             slash == NULL ? "." : path);
    return rt_fs_sync_dir(folder, err);
}

rt_status safetensors_write(const char *path, const tensor_source *tensors, size_t n_tensors,
                            tensor_dtype dtype, const char *const *metadata,
                            char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    sink s = {.fd = -1};
    rt_buf header = {0};
    uint16_t *chunk = NULL;
    char temporary[4096];
    bool created = false;
    rt_status st =
        make_header(path, tensors, n_tensors, &dtype_names[dtype], metadata, &header, err);
    if (st != RT_OK) goto out;
    int n = snprintf(temporary, sizeof temporary, "%s.tmp-%d", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof temporary) {
        st = rt_fail(err, RT_INVALID, "%s: the path is too long", path);
        goto out;
    }
    if ((chunk = malloc(CHUNK * sizeof *chunk)) == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", path);
        goto out;
    }
    s.path = temporary;
    s.fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (s.fd < 0) {
        st = rt_fail(err, RT_IO, "create %s: %s", temporary, strerror(errno));
        goto out;
    }
    created = true;
    rt_sha256_begin(&s.hash);
    st = put(&s, header.data, header.n, err);
    for (size_t i = 0; st == RT_OK && i < n_tensors; i++)
        st = put_tensor(&s, &tensors[i], dtype, chunk, err);
    if (st == RT_OK) st = commit(&s, temporary, path, err);
    if (st == RT_OK && sha256 != NULL) rt_sha256_end(&s.hash, sha256);
out:
    if (s.fd >= 0) close(s.fd);
    if (st != RT_OK && created) unlink(temporary);
    free(chunk);
    rt_buf_free(&header);
    return st;
}
