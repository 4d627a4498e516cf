#include "common/ckpt/gguf_write.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/ckpt/file_sink.h"
#include "common/ckpt/float16.h"

/* Elements converted at a time: whole blocks. */
#define CHUNK       ((size_t)32 * 1024)
#define F16_LARGEST 65504.0f

/* A tensor that waits for its data. */
typedef struct waiting {
    gguf_source source;
    char name[GGUF_NAME_MAX + 1];
    const gguf_kind *kind;
    size_t n, n_bytes, offset;
} waiting;

struct gguf_writer {
    rt_buf keys;
    uint64_t n_keys;
    uint64_t n_items_due; /* of the array that was begun last */
    gguf_value_type item_type;
    waiting *tensors;
    size_t n_tensors;
    size_t n_data;
    rt_status status; /* the first trouble, and its text */
    rt_error trouble;
};

rt_status gguf_writer_new(gguf_writer **out, rt_error *err)
{
    *out = rt_calloc(1, sizeof **out);
    return *out == NULL ? rt_fail(err, RT_NOMEM, "gguf") : RT_OK;
}

void gguf_writer_free(gguf_writer *w)
{
    if (w == NULL) return;
    rt_buf_free(&w->keys);
    free(w->tensors);
    free(w);
}

/* ---- keys ---- */

static void put(gguf_writer *w, const void *bytes, size_t n)
{
    if (w->status == RT_OK) w->status = rt_buf_add(&w->keys, bytes, n, &w->trouble);
}

static void add_number(rt_buf *out, uint64_t value, size_t n, rt_status *st, rt_error *err)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(value >> 8 * i);
    if (*st == RT_OK) *st = rt_buf_add(out, bytes, n, err);
}

static void put_number(gguf_writer *w, uint64_t value, size_t n)
{
    add_number(&w->keys, value, n, &w->status, &w->trouble);
}

static void put_text(gguf_writer *w, const char *text, size_t n)
{
    put_number(w, n, 8);
    put(w, text, n);
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static void begin_key(gguf_writer *w, const char *key, gguf_value_type type)
{
    RT_ASSERT(w->n_items_due == 0); /* the array before this key is complete */
    put_text(w, key, strlen(key));
    put_number(w, (uint64_t)type, 4);
    w->n_keys++;
}

void gguf_add_text(gguf_writer *w, const char *key, const char *text)
{
    begin_key(w, key, GGUF_TEXT);
    put_text(w, text, strlen(text));
}

void gguf_add_u32(gguf_writer *w, const char *key, uint64_t value)
{
    begin_key(w, key, GGUF_U32);
    if (value > UINT32_MAX && w->status == RT_OK)
        w->status = rt_fail(&w->trouble, RT_INVALID, "%s is %llu, beyond 32 bits", key,
                            (unsigned long long)value);
    put_number(w, value, 4);
}

void gguf_add_f32(gguf_writer *w, const char *key, float value)
{
    begin_key(w, key, GGUF_F32);
    put_number(w, bits_of(value), 4);
}

void gguf_add_bool(gguf_writer *w, const char *key, bool value)
{
    begin_key(w, key, GGUF_BOOL);
    put_number(w, value, 1);
}

void gguf_add_array(gguf_writer *w, const char *key, gguf_value_type type, uint64_t n)
{
    begin_key(w, key, GGUF_ARRAY);
    put_number(w, (uint64_t)type, 4);
    put_number(w, n, 8);
    w->n_items_due = n;
    w->item_type = type;
}

static void take_items(gguf_writer *w, gguf_value_type type, uint64_t n)
{
    RT_ASSERT(w->item_type == type && n <= w->n_items_due);
    w->n_items_due -= n;
}

void gguf_item_text(gguf_writer *w, const char *text, size_t n)
{
    take_items(w, GGUF_TEXT, 1);
    put_text(w, text, n);
}

void gguf_item_f32(gguf_writer *w, float value)
{
    take_items(w, GGUF_F32, 1);
    put_number(w, bits_of(value), 4);
}

void gguf_item_i32(gguf_writer *w, int32_t value)
{
    take_items(w, GGUF_I32, 1);
    put_number(w, (uint32_t)value, 4);
}

void gguf_item_u8s(gguf_writer *w, const void *bytes, size_t n)
{
    take_items(w, GGUF_U8, n);
    put(w, bytes, n);
}

/* ---- tensors ---- */

static size_t padded(size_t n)
{
    return (n + GGUF_ALIGNMENT - 1) / GGUF_ALIGNMENT * GGUF_ALIGNMENT;
}

static rt_status check_source(const gguf_source *s, const waiting *t, rt_error *err)
{
    if (strlen(s->name) > GGUF_NAME_MAX)
        return rt_fail(err, RT_INVALID, "tensor %s: its name has more than %d bytes", s->name,
                       GGUF_NAME_MAX);
    if (s->shape[s->n_dims - 1] % t->kind->block != 0)
        return rt_fail(err, RT_INVALID, "tensor %s has rows of %zu, %s needs a multiple of %u",
                       s->name, s->shape[s->n_dims - 1], t->kind->name, t->kind->block);
    return RT_OK;
}

void gguf_add_tensor(gguf_writer *w, const gguf_source *source)
{
    if (w->status != RT_OK) return;
    waiting *grown = reallocarray(w->tensors, w->n_tensors + 1, sizeof *grown);
    if (grown == NULL) {
        w->status = rt_fail(&w->trouble, RT_NOMEM, "%zu tensors", w->n_tensors + 1);
        return;
    }
    w->tensors = grown;
    waiting *t = &w->tensors[w->n_tensors];
    *t = (waiting){.source = *source, .kind = gguf_kind_of((uint32_t)source->type), .n = 1};
    RT_ASSERT(t->kind != NULL && source->n_dims >= 1 && source->n_dims <= GGUF_DIMS_MAX);
    if ((w->status = check_source(source, t, &w->trouble)) != RT_OK) return;
    memcpy(t->name, source->name, strlen(source->name) + 1);
    for (size_t i = 0; i < source->n_dims; i++) t->n *= source->shape[i];
    t->n_bytes = t->n / t->kind->block * t->kind->n_bytes;
    t->offset = w->n_data;
    w->n_data += padded(t->n_bytes);
    w->n_tensors++;
}

static rt_status make_infos(const gguf_writer *w, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < w->n_tensors; i++) {
        const waiting *t = &w->tensors[i];
        add_number(out, strlen(t->name), 8, &st, err);
        if (st == RT_OK) st = rt_buf_add_text(out, t->name, err);
        add_number(out, t->source.n_dims, 4, &st, err);
        for (size_t d = t->source.n_dims; d-- > 0;)
            add_number(out, t->source.shape[d], 8, &st, err);
        add_number(out, t->kind->type, 4, &st, err);
        add_number(out, t->offset, 8, &st, err);
    }
    return st;
}

/* ---- data ---- */

typedef struct chunk {
    float floats[CHUNK];
    uint8_t bytes[CHUNK * 2]; /* f16 and bf16 are the largest that are encoded */
} chunk;

static rt_status check_numbers(const waiting *t, size_t first, size_t n, const float *x,
                               rt_error *err)
{
    float most = t->kind->type == GGUF_TENSOR_F16    ? F16_LARGEST
                 : t->kind->type == GGUF_TENSOR_Q8_0 ? F16_LARGEST * 127.0f
                                                     : INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i]) && fabsf(x[i]) <= most) continue;
        return rt_fail(err, RT_INVALID, "tensor %s: element %zu is %g, which %s cannot hold%s",
                       t->name, first + i, (double)x[i], t->kind->name,
                       isfinite(x[i]) ? "; choose bf16 or f32" : "");
    }
    return RT_OK;
}

/* As the file has it; returns the number of bytes. */
static size_t encode(const waiting *t, const float *x, size_t n, uint8_t *out)
{
    if (t->kind->type == GGUF_TENSOR_Q8_0) {
        q8_0_encode(x, n, out);
        return n / Q8_0_BLOCK * Q8_0_BYTES;
    }
    uint16_t *halves = (uint16_t *)(void *)out;
    if (t->kind->type == GGUF_TENSOR_F16)
        float16_encode(x, n, halves);
    else
        bfloat16_encode(x, n, halves);
    return 2 * n;
}

static rt_status put_tensor(file_sink *s, const waiting *t, chunk *c, rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t first = 0; st == RT_OK && first < t->n; first += CHUNK) {
        size_t n = RT_MIN(CHUNK, t->n - first);
        t->source.read(t->source.context, t->source.i_tensor, first, n, c->floats);
        if ((st = check_numbers(t, first, n, c->floats, err)) != RT_OK) break;
        if (t->kind->type == GGUF_TENSOR_F32)
            st = file_sink_put(s, c->floats, n * sizeof *c->floats, err);
        else
            st = file_sink_put(s, c->bytes, encode(t, c->floats, n, c->bytes), err);
    }
    return st == RT_OK ? file_sink_pad(s, padded(t->n_bytes) - t->n_bytes, err) : st;
}

static rt_status put_all(file_sink *s, const gguf_writer *w, rt_error *err)
{
    rt_buf head = {0}, infos = {0};
    chunk *c = malloc(sizeof *c);
    rt_status st = c == NULL ? rt_fail(err, RT_NOMEM, "gguf") : rt_buf_add(&head, "GGUF", 4, err);
    add_number(&head, GGUF_VERSION, 4, &st, err);
    add_number(&head, w->n_tensors, 8, &st, err);
    add_number(&head, w->n_keys, 8, &st, err);
    if (st == RT_OK) st = make_infos(w, &infos, err);
    if (st == RT_OK) st = file_sink_put(s, head.data, head.n, err);
    if (st == RT_OK && w->keys.n > 0) st = file_sink_put(s, w->keys.data, w->keys.n, err);
    if (st == RT_OK && infos.n > 0) st = file_sink_put(s, infos.data, infos.n, err);
    if (st == RT_OK) st = file_sink_pad(s, padded((size_t)s->n_bytes) - (size_t)s->n_bytes, err);
    for (size_t i = 0; st == RT_OK && i < w->n_tensors; i++)
        st = put_tensor(s, &w->tensors[i], c, err);
    rt_buf_free(&head);
    rt_buf_free(&infos);
    free(c);
    return st;
}

rt_status gguf_writer_save(gguf_writer *w, const char *path, char sha256[RT_SHA256_HEX_SIZE],
                           rt_error *err)
{
    file_sink s = {.fd = -1};
    RT_ASSERT(w->n_items_due == 0);
    if (w->status != RT_OK) return rt_fail(err, w->status, "%s: %.900s", path, w->trouble.text);
    rt_status st = file_sink_open(&s, path, err);
    if (st == RT_OK && (st = put_all(&s, w, err)) == RT_INVALID) st = rt_wrap(err, st, "%s", path);
    if (st == RT_OK) st = file_sink_commit(&s, sha256, err);
    file_sink_close(&s);
    return st;
}
