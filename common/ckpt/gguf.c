#include "common/ckpt/gguf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/id_index.h"
#include "common/ckpt/float16.h"
#include "common/ckpt/mapped_file.h"

#define NESTING_MAX 4
#define KEY_MAX     65535
/* Smallest key (empty name, type, one byte) and tensor (empty name, no sizes) of a file. */
#define KEY_BYTES_MIN    13
#define TENSOR_BYTES_MIN 24
#define ALIGNMENT_MAX    ((uint64_t)1 << 20)

struct gguf {
    mapped_file file;
    uint32_t version;
    gguf_entry *entries; /* [n_entries] */
    size_t n_entries;
    gguf_tensor *tensors; /* [n_tensors] */
    size_t n_tensors;
    rt_buf names; /* of the tensors, each ended */
    const uint8_t *data;
    size_t n_data;
};

/* Where the reading stands; `name` is the file's, for messages. */
typedef struct cursor {
    const char *name;
    const uint8_t *begin, *p, *end;
    rt_error *err;
} cursor;

static rt_status fail_at(const cursor *c, const char *what)
{
    return rt_fail(c->err, RT_CORRUPT, "%s: broken off or damaged at byte %zu: %s", c->name,
                   (size_t)(c->p - c->begin), what);
}

static bool take(cursor *c, size_t n, const uint8_t **out)
{
    if (n > (size_t)(c->end - c->p)) return false;
    *out = c->p;
    c->p += n;
    return true;
}

static uint64_t little_endian(const uint8_t *b, size_t n)
{
    uint64_t x = 0;
    for (size_t i = 0; i < n; i++) x |= (uint64_t)b[i] << 8 * i;
    return x;
}

static bool take_number(cursor *c, size_t n, uint64_t *out)
{
    const uint8_t *b;
    if (!take(c, n, &b)) return false;
    *out = little_endian(b, n);
    return true;
}

static bool take_text(cursor *c, const char **text, size_t *n)
{
    uint64_t length;
    const uint8_t *b;
    if (!take_number(c, 8, &length) || length > SIZE_MAX || !take(c, (size_t)length, &b))
        return false;
    *text = (const char *)b;
    *n = (size_t)length;
    return true;
}

/* ---- keys ---- */

static bool skip_value(cursor *c, uint32_t type, unsigned depth);

static bool skip_items(cursor *c, uint32_t type, uint64_t n, unsigned depth)
{
    size_t size = gguf_value_size(type), n_bytes;
    const uint8_t *b;
    if (size > 0)
        return n <= SIZE_MAX && rt_checked_mul((size_t)n, size, &n_bytes) && take(c, n_bytes, &b);
    if (type != GGUF_TEXT && type != GGUF_ARRAY) return false;
    for (uint64_t i = 0; i < n; i++) /* each takes bytes, so the file bounds the loop */
        if (!skip_value(c, type, depth)) return false;
    return true;
}

static bool take_array(cursor *c, uint32_t *type, uint64_t *n)
{
    uint64_t number;
    if (!take_number(c, 4, &number) || !take_number(c, 8, n)) return false;
    *type = (uint32_t)number;
    return true;
}

static bool skip_value(cursor *c, uint32_t type, unsigned depth)
{
    const char *text;
    const uint8_t *b;
    size_t n;
    uint32_t item_type;
    uint64_t n_items;
    if (type == GGUF_TEXT) return take_text(c, &text, &n);
    if (type == GGUF_ARRAY)
        return depth < NESTING_MAX && take_array(c, &item_type, &n_items) &&
               skip_items(c, item_type, n_items, depth + 1);
    return gguf_value_size(type) > 0 && take(c, gguf_value_size(type), &b);
}

static rt_status read_entry(cursor *c, gguf_entry *e)
{
    uint64_t type;
    if (!take_text(c, &e->key, &e->n_key) || e->n_key == 0 || e->n_key > KEY_MAX)
        return fail_at(c, "expected a key of 1 to 65535 bytes");
    if (!take_number(c, 4, &type) || type >= GGUF_N_VALUE_TYPES)
        return fail_at(c, "expected the type of a value, 0 to 12");
    e->type = (uint32_t)type;
    e->at = c->p;
    if (e->type == GGUF_ARRAY) {
        if (!take_array(c, &e->item_type, &e->n_items)) return fail_at(c, "expected an array");
        e->at = c->p;
        if (!skip_items(c, e->item_type, e->n_items, 1))
            return fail_at(c, "an array is longer than the file, or of an unknown type");
    } else if (!skip_value(c, e->type, 0)) {
        return fail_at(c, "a value is longer than the file");
    }
    if (e->type == GGUF_BOOL && e->at[0] > 1) return fail_at(c, "a bool is neither 0 nor 1");
    return RT_OK;
}

static rt_status add_name(cursor *c, id_index *seen, const char *name, size_t n, const char *what)
{
    size_t place;
    bool added = false;
    rt_status st = id_index_add(seen, rt_id_of(name, n), &place, &added, c->err);
    if (st != RT_OK || added) return st;
    return rt_fail(c->err, RT_CORRUPT, "%s: %s %.*s comes twice", c->name, what,
                   (int)RT_MIN(n, (size_t)100), name);
}

static rt_status read_entries(cursor *c, gguf *f)
{
    rt_status st = RT_OK;
    id_index seen = {0};
    for (size_t i = 0; st == RT_OK && i < f->n_entries; i++) {
        gguf_entry *e = &f->entries[i];
        st = read_entry(c, e);
        if (st == RT_OK) st = add_name(c, &seen, e->key, e->n_key, "key");
    }
    id_index_free(&seen);
    return st;
}

/* ---- tensors ---- */

static rt_status measure(cursor *c, gguf_tensor *t)
{
    size_t n_blocks;
    size_t row = t->n_dims == 0 ? 1 : t->shape[t->n_dims - 1];
    t->n = 1;
    for (size_t i = 0; i < t->n_dims; i++)
        if (!rt_checked_mul(t->n, t->shape[i], &t->n)) return fail_at(c, "a tensor is too large");
    if (row % t->kind->block != 0)
        return rt_fail(c->err, RT_CORRUPT,
                       "%s: tensor %s has rows of %zu, expected a multiple of %u, the block of %s",
                       c->name, t->name, row, t->kind->block, t->kind->name);
    n_blocks = t->n / t->kind->block;
    if (!rt_checked_mul(n_blocks, t->kind->n_bytes, &t->n_bytes))
        return fail_at(c, "a tensor is too large");
    return RT_OK;
}

/* Names are copied to names_at, where they get an end. */
static rt_status read_tensor(cursor *c, gguf_tensor *t, rt_buf *names, id_index *seen)
{
    const char *name;
    size_t n;
    uint64_t n_dims, type, offset, size;
    if (!take_text(c, &name, &n) || n == 0 || n > GGUF_NAME_MAX + 1 || memchr(name, '\0', n))
        return fail_at(c, "expected the name of a tensor, 1 to 64 bytes");
    rt_status st = add_name(c, seen, name, n, "tensor");
    if (st != RT_OK) return st;
    t->name = names->data + names->n; /* room was made for all of them */
    if ((st = rt_buf_add(names, name, n, c->err)) != RT_OK) return st;
    if ((st = rt_buf_add(names, "", 1, c->err)) != RT_OK) return st;
    if (!take_number(c, 4, &n_dims) || n_dims > GGUF_DIMS_MAX)
        return fail_at(c, "expected a tensor of at most 4 dimensions");
    t->n_dims = (size_t)n_dims;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (!take_number(c, 8, &size) || size > SIZE_MAX)
            return fail_at(c, "expected a size of a tensor");
        t->shape[t->n_dims - 1 - i] = (size_t)size;
    }
    if (!take_number(c, 4, &type) || !take_number(c, 8, &offset) || offset > SIZE_MAX)
        return fail_at(c, "expected type and offset of a tensor");
    t->offset = (size_t)offset;
    t->kind = gguf_kind_of((uint32_t)type);
    if (t->kind == NULL)
        return rt_fail(c->err, RT_UNSUPPORTED, "%s: tensor %s is of the unknown type %" PRIu64,
                       c->name, t->name, type);
    return measure(c, t);
}

static rt_status read_tensors(cursor *c, gguf *f)
{
    id_index seen = {0};
    rt_status st = rt_buf_reserve(&f->names, f->n_tensors * (GGUF_NAME_MAX + 2) + 1, c->err);
    for (size_t i = 0; st == RT_OK && i < f->n_tensors; i++)
        st = read_tensor(c, &f->tensors[i], &f->names, &seen);
    id_index_free(&seen);
    return st;
}

static int compare_offsets(const void *a, const void *b)
{
    const gguf_tensor *x = *(const gguf_tensor *const *)a, *y = *(const gguf_tensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x->n_bytes < y->n_bytes ? -1 : x->n_bytes > y->n_bytes;
}

static rt_status check_spans(const cursor *c, const gguf *f, uint64_t alignment)
{
    rt_status st = RT_OK;
    size_t end = 0;
    const gguf_tensor **sorted = rt_calloc(f->n_tensors, sizeof(gguf_tensor *));
    if (sorted == NULL) return rt_fail(c->err, RT_NOMEM, "%s", c->name);
    for (size_t i = 0; i < f->n_tensors; i++) sorted[i] = &f->tensors[i];
    qsort(sorted, f->n_tensors, sizeof *sorted, compare_offsets);
    for (size_t i = 0; st == RT_OK && i < f->n_tensors; i++) {
        const gguf_tensor *t = sorted[i];
        if (t->offset % alignment != 0)
            st = rt_fail(c->err, RT_CORRUPT,
                         "%s: tensor %s lies at %zu, expected a multiple of %" PRIu64, c->name,
                         t->name, t->offset, alignment);
        else if (t->offset > f->n_data || t->n_bytes > f->n_data - t->offset)
            st = rt_fail(c->err, RT_CORRUPT,
                         "%s: tensor %s has %zu bytes at %zu, but the data has %zu: is the file "
                         "complete?",
                         c->name, t->name, t->n_bytes, t->offset, f->n_data);
        else if (t->offset < end)
            st = rt_fail(c->err, RT_CORRUPT, "%s: tensor %s overlaps another", c->name, t->name);
        end = t->offset + t->n_bytes;
    }
    free(sorted);
    return st;
}

/* ---- the file ---- */

static rt_status read_header(cursor *c, gguf *f)
{
    const uint8_t *magic;
    uint64_t version, n_tensors, n_entries;
    if (!take(c, 4, &magic) || memcmp(magic, "GGUF", 4) != 0)
        return rt_fail(c->err, RT_CORRUPT, "%s: does not begin with GGUF", c->name);
    if (!take_number(c, 4, &version)) return fail_at(c, "expected the version");
    if (version >= 1 << 24)
        return rt_fail(c->err, RT_UNSUPPORTED, "%s: is big-endian, expected little-endian",
                       c->name);
    if (version != 2 && version != 3)
        return rt_fail(c->err, RT_UNSUPPORTED, "%s: GGUF version %" PRIu64 ", expected 2 or 3",
                       c->name, version);
    f->version = (uint32_t)version;
    if (!take_number(c, 8, &n_tensors) || !take_number(c, 8, &n_entries))
        return fail_at(c, "expected the numbers of tensors and keys");
    size_t n_left = (size_t)(c->end - c->p);
    if (n_entries > n_left / KEY_BYTES_MIN || n_tensors > n_left / TENSOR_BYTES_MIN)
        return rt_fail(c->err, RT_CORRUPT,
                       "%s: claims %" PRIu64 " keys and %" PRIu64 " tensors in %zu bytes", c->name,
                       n_entries, n_tensors, n_left);
    f->n_entries = (size_t)n_entries;
    f->n_tensors = (size_t)n_tensors;
    f->entries = rt_calloc(f->n_entries, sizeof *f->entries);
    f->tensors = rt_calloc(f->n_tensors, sizeof *f->tensors);
    if (f->entries == NULL || f->tensors == NULL)
        return rt_fail(c->err, RT_NOMEM, "%s: %zu keys, %zu tensors", c->name, f->n_entries,
                       f->n_tensors);
    return RT_OK;
}

static rt_status find_data(cursor *c, gguf *f, uint64_t *alignment)
{
    const gguf_entry *e = gguf_find(f, GGUF_ALIGNMENT_KEY);
    *alignment = GGUF_ALIGNMENT;
    if (e != NULL && (!gguf_size(e, alignment) || *alignment == 0 || *alignment > ALIGNMENT_MAX ||
                      (*alignment & (*alignment - 1)) != 0))
        return rt_fail(c->err, RT_CORRUPT,
                       "%s: " GGUF_ALIGNMENT_KEY " is no power of two up to %" PRIu64, c->name,
                       ALIGNMENT_MAX);
    size_t at = (size_t)(c->p - c->begin), n = (size_t)(c->end - c->begin);
    size_t begin = (size_t)((at + *alignment - 1) / *alignment * *alignment);
    f->n_data = begin < n ? n - begin : 0;
    f->data = c->begin + RT_MIN(begin, n);
    return RT_OK;
}

static rt_status parse(const char *name, gguf *f, rt_error *err)
{
    uint64_t alignment = 0;
    cursor c = {.name = name,
                .begin = f->file.bytes,
                .p = f->file.bytes,
                .end = f->file.bytes + f->file.n_bytes,
                .err = err};
    if (f->file.n_bytes == 0) return rt_fail(err, RT_CORRUPT, "%s: is empty", name);
    rt_status st = read_header(&c, f);
    if (st == RT_OK) st = read_entries(&c, f);
    if (st == RT_OK) st = read_tensors(&c, f);
    if (st == RT_OK) st = find_data(&c, f, &alignment);
    return st == RT_OK ? check_spans(&c, f, alignment) : st;
}

static rt_status open_mapped(const char *name, mapped_file file, gguf **out, rt_error *err)
{
    gguf *f = rt_calloc(1, sizeof *f);
    if (f == NULL) {
        mapped_file_close(&file);
        return rt_fail(err, RT_NOMEM, "%s", name);
    }
    f->file = file;
    rt_status st = parse(name, f, err);
    if (st == RT_OK)
        *out = f;
    else
        gguf_close(f);
    return st;
}

rt_status gguf_open(const char *path, gguf **out, rt_error *err)
{
    mapped_file file = {0};
    rt_status st = mapped_file_open(path, &file, err);
    return st == RT_OK ? open_mapped(path, file, out, err) : st;
}

rt_status gguf_open_bytes(const char *name, const void *bytes, size_t n_bytes, gguf **out,
                          rt_error *err)
{
    return open_mapped(name, (mapped_file){.bytes = bytes, .n_bytes = n_bytes}, out, err);
}

void gguf_close(gguf *f)
{
    if (f == NULL) return;
    mapped_file_close(&f->file);
    free(f->entries);
    free(f->tensors);
    rt_buf_free(&f->names);
    free(f);
}

uint32_t gguf_version(const gguf *f)
{
    return f->version;
}

size_t gguf_count(const gguf *f)
{
    return f->n_entries;
}

const gguf_entry *gguf_at(const gguf *f, size_t i)
{
    RT_ASSERT(i < f->n_entries);
    return &f->entries[i];
}

const gguf_entry *gguf_find(const gguf *f, const char *key)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < f->n_entries; i++)
        if (f->entries[i].n_key == n && memcmp(f->entries[i].key, key, n) == 0)
            return &f->entries[i];
    return NULL;
}

size_t gguf_count_tensors(const gguf *f)
{
    return f->n_tensors;
}

const gguf_tensor *gguf_tensor_at(const gguf *f, size_t i)
{
    RT_ASSERT(i < f->n_tensors);
    return &f->tensors[i];
}

const gguf_tensor *gguf_find_tensor(const gguf *f, const char *name)
{
    for (size_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensors[i].name, name) == 0) return &f->tensors[i];
    return NULL;
}

bool gguf_can_read(const gguf_tensor *t)
{
    uint32_t type = t->kind->type;
    return type == GGUF_TENSOR_F32 || type == GGUF_TENSOR_F16 || type == GGUF_TENSOR_BF16 ||
           type == GGUF_TENSOR_Q8_0;
}

void gguf_read(const gguf *f, const gguf_tensor *t, size_t first, size_t n, float *out)
{
    RT_ASSERT(gguf_can_read(t) && first <= t->n && n <= t->n - first);
    if (n == 0) return;
    const uint8_t *data = f->data + t->offset;
    switch (t->kind->type) {
    case GGUF_TENSOR_F32: memcpy(out, data + 4 * first, n * sizeof *out); break;
    case GGUF_TENSOR_F16: float16_decode(data + 2 * first, n, out); break;
    case GGUF_TENSOR_BF16: bfloat16_decode(data + 2 * first, n, out); break;
    default: q8_0_decode(data, first, n, out); break;
    }
}
