#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/file_sink.h"
#include "common/ckpt/float16.h"
#include "common/ckpt/safetensors_format.h"

/* Elements converted at a time. */
#define CHUNK ((size_t)32 * 1024)

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

/* Numbers on their way to the file. */
typedef struct chunk {
    float floats[CHUNK];
    uint16_t halves[CHUNK];
} chunk;

static rt_status put_floats(file_sink *s, const float *x, size_t n, tensor_dtype dtype,
                            uint16_t *halves, rt_error *err)
{
    if (dtype == TENSOR_F32) return file_sink_put(s, x, n * sizeof *x, err);
    if (dtype == TENSOR_F16)
        float16_encode(x, n, halves);
    else
        bfloat16_encode(x, n, halves);
    return file_sink_put(s, halves, n * sizeof *halves, err);
}

static rt_status put_tensor(file_sink *s, const tensor_source *t, tensor_dtype dtype, chunk *c,
                            rt_error *err)
{
    rt_status st = RT_OK;
    size_t n = 1;
    for (size_t i = 0; i < t->n_dims; i++) n *= t->shape[i];
    for (size_t first = 0; st == RT_OK && first < n; first += CHUNK) {
        size_t n_now = RT_MIN(CHUNK, n - first);
        const float *x = t->data != NULL ? t->data + first : c->floats;
        if (t->data == NULL) t->read(t->context, t->i_tensor, first, n_now, c->floats);
        st = put_floats(s, x, n_now, dtype, c->halves, err);
    }
    return st;
}

rt_status safetensors_write(const char *path, const tensor_source *tensors, size_t n_tensors,
                            tensor_dtype dtype, const char *const *metadata,
                            char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    file_sink s = {.fd = -1};
    rt_buf header = {0};
    chunk *c = NULL;
    rt_status st =
        make_header(path, tensors, n_tensors, &dtype_names[dtype], metadata, &header, err);
    if (st != RT_OK) goto out;
    if ((c = malloc(sizeof *c)) == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", path);
        goto out;
    }
    if ((st = file_sink_open(&s, path, err)) != RT_OK) goto out;
    st = file_sink_put(&s, header.data, header.n, err);
    for (size_t i = 0; st == RT_OK && i < n_tensors; i++)
        st = put_tensor(&s, &tensors[i], dtype, c, err);
    if (st == RT_OK) st = file_sink_commit(&s, sha256, err);
out:
    file_sink_close(&s);
    free(c);
    rt_buf_free(&header);
    return st;
}
