#include "common/ckpt/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/ckpt/float16.h"
#include "common/ckpt/mapped_file.h"
#include "common/ckpt/safetensors_format.h"

struct safetensors {
    mapped_file file;
    const uint8_t *data; /* what follows the header */
    size_t n_data;
    json_t *header;        /* owns the strings that entries point to */
    tensor_entry *entries; /* [n], in order of their data */
    size_t *begins;        /* [n], offsets into data */
    size_t n;
};

/* An entry while it is checked. */
typedef struct span {
    tensor_entry entry;
    size_t begin, end;
} span;

const dtype_name dtype_names[] = {
    {"F32", TENSOR_F32, 4}, {"F16", TENSOR_F16, 2}, {"BF16", TENSOR_BF16, 2}};
const size_t n_dtype_names = RT_COUNT(dtype_names);

static rt_status find_dtype(const char *file, const char *tensor, const char *name, span *out,
                            size_t *size, rt_error *err)
{
    static const char *const others[] = {"F64", "I64", "I32", "I16", "I8",
                                         "U64", "U32", "U16", "U8",  "BOOL"};
    for (size_t i = 0; name != NULL && i < n_dtype_names; i++) {
        if (strcmp(name, dtype_names[i].name) != 0) continue;
        out->entry.dtype = dtype_names[i].dtype;
        *size = dtype_names[i].size;
        return RT_OK;
    }
    for (size_t i = 0; name != NULL && i < RT_COUNT(others); i++)
        if (strcmp(name, others[i]) == 0)
            return rt_fail(err, RT_UNSUPPORTED,
                           "%s: tensor %s is of type %s, expected F32, F16 or BF16", file, tensor,
                           name);
    return rt_fail(err, RT_CORRUPT, "%s: tensor %s has dtype %.32s, expected F32, F16 or BF16",
                   file, tensor, name == NULL ? "(none)" : name);
}

/* A JSON number that is a size. */
static bool get_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static rt_status read_shape(const char *file, const json_t *shape, tensor_entry *out, rt_error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_DIMS_MAX)
        return rt_fail(err, RT_CORRUPT, "%s: tensor %s has no shape of at most %d sizes", file,
                       out->name, TENSOR_DIMS_MAX);
    out->n = 1;
    out->n_dims = json_array_size(shape);
    for (size_t i = 0; i < out->n_dims; i++) {
        if (!get_size(json_array_get(shape, i), &out->shape[i]) ||
            !rt_checked_mul(out->n, out->shape[i], &out->n))
            return rt_fail(err, RT_CORRUPT,
                           "%s: size %zu of tensor %s is not a number, or too large", file, i,
                           out->name);
    }
    return RT_OK;
}

static rt_status read_entry(const char *file, const char *name, const json_t *value, size_t n_data,
                            span *out, rt_error *err)
{
    size_t size = 0, n_bytes = 0;
    *out = (span){.entry = {.name = name}};
    if (!json_is_object(value))
        return rt_fail(err, RT_CORRUPT, "%s: tensor %s is not a JSON object", file, name);
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    rt_status st = find_dtype(file, name, dtype, out, &size, err);
    if (st == RT_OK) st = read_shape(file, json_object_get(value, "shape"), &out->entry, err);
    if (st != RT_OK) return st;
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &out->begin) ||
        !get_size(json_array_get(offsets, 1), &out->end))
        return rt_fail(err, RT_CORRUPT, "%s: tensor %s has no data_offsets of two numbers", file,
                       name);
    if (out->begin > out->end || out->end > n_data)
        return rt_fail(err, RT_CORRUPT,
                       "%s: tensor %s lies at [%zu, %zu), but the data has %zu bytes", file, name,
                       out->begin, out->end, n_data);
    if (!rt_checked_mul(out->entry.n, size, &n_bytes) || n_bytes != out->end - out->begin)
        return rt_fail(err, RT_CORRUPT,
                       "%s: tensor %s has %zu elements of %zu bytes, but its span has %zu bytes",
                       file, name, out->entry.n, size, out->end - out->begin);
    return RT_OK;
}

static rt_status check_metadata(const char *file, json_t *value, rt_error *err)
{
    const char *key;
    json_t *text;
    if (!json_is_object(value))
        return rt_fail(err, RT_CORRUPT, "%s: __metadata__ is not a JSON object", file);
    json_object_foreach(value, key, text)
    {
        if (!json_is_string(text))
            return rt_fail(err, RT_CORRUPT, "%s: __metadata__ key %s is not a text", file, key);
    }
    return RT_OK;
}

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    return strcmp(x->entry.name, y->entry.name);
}

/* Spans sorted by begin must follow each other from 0 to the end. */
static rt_status check_spans(const char *file, const span *spans, size_t n, size_t n_data,
                             rt_error *err)
{
    size_t end = 0;
    for (size_t i = 0; i < n; i++) {
        if (spans[i].begin != end)
            return rt_fail(err, RT_CORRUPT, "%s: tensor %s begins at %zu, expected %zu (%s)", file,
                           spans[i].entry.name, spans[i].begin, end,
                           spans[i].begin < end ? "it overlaps another" : "there is a hole");
        end = spans[i].end;
    }
    if (end != n_data)
        return rt_fail(err, RT_CORRUPT, "%s: tensors end at %zu, but the data has %zu bytes", file,
                       end, n_data);
    return RT_OK;
}

static rt_status read_entries(const char *file, safetensors *s, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_keys = json_object_size(s->header), n = 0;
    const char *name;
    json_t *value;
    span *spans = rt_calloc(n_keys, sizeof *spans);
    s->entries = rt_calloc(n_keys, sizeof *s->entries);
    s->begins = rt_calloc(n_keys, sizeof *s->begins);
    if (spans == NULL || s->entries == NULL || s->begins == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s: %zu tensors", file, n_keys);
        goto out;
    }
    json_object_foreach(s->header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            st = check_metadata(file, value, err);
        else
            st = read_entry(file, name, value, s->n_data, &spans[n++], err);
        if (st != RT_OK) goto out;
    }
    qsort(spans, n, sizeof *spans, compare_spans);
    if ((st = check_spans(file, spans, n, s->n_data, err)) != RT_OK) goto out;
    for (size_t i = 0; i < n; i++) {
        s->entries[i] = spans[i].entry;
        s->begins[i] = spans[i].begin;
    }
    s->n = n;
out:
    free(spans);
    return st;
}

/* Check bytes and fill in everything that is read from them. */
static rt_status parse(const char *file, safetensors *s, rt_error *err)
{
    uint64_t n_header = 0;
    if (s->file.n_bytes < 8)
        return rt_fail(err, RT_CORRUPT, "%s: %zu bytes, expected at least 8", file,
                       s->file.n_bytes);
    for (size_t i = 0; i < 8; i++) n_header |= (uint64_t)s->file.bytes[i] << 8 * i;
    if (n_header > SAFETENSORS_HEADER_MAX || n_header > s->file.n_bytes - 8)
        return rt_fail(err, RT_CORRUPT,
                       "%s: the header claims %" PRIu64
                       " bytes, but the file has %zu and the limit "
                       "is %d",
                       file, n_header, s->file.n_bytes, SAFETENSORS_HEADER_MAX);
    const char *text = (const char *)s->file.bytes + 8;
    if (n_header == 0 || text[0] != '{')
        return rt_fail(err, RT_CORRUPT, "%s: the header does not begin with '{'", file);
    json_error_t trouble;
    s->header = json_loadb(text, (size_t)n_header, JSON_REJECT_DUPLICATES, &trouble);
    if (s->header == NULL)
        return rt_fail(err, RT_CORRUPT, "%s: the header is not JSON: %s at byte %d", file,
                       trouble.text, trouble.position);
    s->data = s->file.bytes + 8 + n_header;
    s->n_data = s->file.n_bytes - 8 - (size_t)n_header;
    return read_entries(file, s, err);
}

rt_status safetensors_open(const char *path, safetensors **out, rt_error *err)
{
    safetensors *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    rt_status st = mapped_file_open(path, &s->file, err);
    if (st == RT_OK) st = parse(path, s, err);
    if (st != RT_OK) {
        safetensors_close(s);
        return st;
    }
    *out = s;
    return RT_OK;
}

void safetensors_close(safetensors *file)
{
    if (file == NULL) return;
    mapped_file_close(&file->file);
    json_decref(file->header);
    free(file->entries);
    free(file->begins);
    free(file);
}

size_t safetensors_count(const safetensors *file)
{
    return file->n;
}

const tensor_entry *safetensors_entry(const safetensors *file, size_t i)
{
    RT_ASSERT(i < file->n);
    return &file->entries[i];
}

const tensor_entry *safetensors_find(const safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n; i++)
        if (strcmp(file->entries[i].name, name) == 0) return &file->entries[i];
    return NULL;
}

void safetensors_read_range(const safetensors *file, const tensor_entry *entry, size_t first,
                            size_t n, float *out)
{
    size_t i = (size_t)(entry - file->entries);
    RT_ASSERT(i < file->n && first <= entry->n && n <= entry->n - first);
    if (n == 0) return;
    const uint8_t *data = file->data + file->begins[i] + first * dtype_names[entry->dtype].size;
    switch (entry->dtype) {
    case TENSOR_F32: memcpy(out, data, n * sizeof *out); break;
    case TENSOR_F16: float16_decode(data, n, out); break;
    case TENSOR_BF16: bfloat16_decode(data, n, out); break;
    }
}

void safetensors_read_f32(const safetensors *file, const tensor_entry *entry, float *out)
{
    safetensors_read_range(file, entry, 0, entry->n, out);
}

const char *safetensors_metadata(const safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

rt_status safetensors_check_bytes(const void *bytes, size_t n_bytes, rt_error *err)
{
    safetensors *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "safetensors");
    s->file = (mapped_file){.bytes = bytes, .n_bytes = n_bytes};
    rt_status st = parse("bytes", s, err);
    safetensors_close(s);
    return st;
}
