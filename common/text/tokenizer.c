#include "common/text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/text/tokenizer_file.h"
#include "common/text/tokenizer_shim.h"
#include "common/text/utf8.h"

/* The largest published vocabularies (a million pieces) stay below a quarter of this. */
#define MODEL_BYTES_MAX ((size_t)128 << 20)
#define TEXT_BYTES_MAX  ((size_t)64 << 20)

struct tokenizer {
    sp_model *model;
    size_t size;
    int symbols[TOKENIZER_N_SYMBOLS]; /* -1: the model has none */
    char sha256[RT_SHA256_HEX_SIZE];
};

void id_list_free(id_list *list)
{
    if (list == NULL) return;
    free(list->ids);
    *list = (id_list){0};
}

static rt_status id_list_reserve(id_list *list, size_t n_more, rt_error *err)
{
    size_t need, n_bytes;
    if (n_more <= list->capacity - list->n) return RT_OK;
    if (!rt_checked_add(list->n, n_more, &need))
        return rt_fail(err, RT_NOMEM, "list of %zu + %zu ids", list->n, n_more);
    size_t capacity = RT_MAX(RT_MAX(need, (size_t)16), list->capacity + list->capacity / 2);
    uint32_t *ids = NULL;
    if (rt_checked_mul(capacity, sizeof *ids, &n_bytes)) ids = realloc(list->ids, n_bytes);
    if (ids == NULL) return rt_fail(err, RT_NOMEM, "list of %zu ids", capacity);
    list->ids = ids;
    list->capacity = capacity;
    return RT_OK;
}

rt_status id_list_add(id_list *list, uint32_t id, rt_error *err)
{
    rt_status st = id_list_reserve(list, 1, err);
    if (st == RT_OK) list->ids[list->n++] = id;
    return st;
}

void tokenizer_free(tokenizer *t)
{
    if (t == NULL) return;
    sp_model_free(t->model);
    free(t);
}

rt_status tokenizer_load(const char *path, tokenizer **out, rt_error *err)
{
    rt_buf file = {0};
    sp_message message = {{0}};
    sp_result result;
    tokenizer *t = rt_calloc(1, sizeof *t);
    rt_status st = t == NULL ? rt_fail(err, RT_NOMEM, "tokenizer %s", path) : RT_OK;
    if (st != RT_OK) goto out;
    if ((st = rt_fs_read(path, MODEL_BYTES_MAX, &file, err)) != RT_OK) goto out;
    if ((st = tokenizer_file_check(file.data, file.n, err)) != RT_OK) {
        st = rt_wrap(err, st, "%s", path);
        goto out;
    }
    result = sp_model_load(file.data, file.n, &t->model, &message);
    if (result != SP_OK) {
        st = rt_fail(err, result == SP_NOMEM ? RT_NOMEM : RT_CORRUPT,
                     "%s: not a sentencepiece model: %s", path, message.text);
        goto out;
    }
    t->size = (size_t)sp_model_size(t->model);
    t->symbols[TOKENIZER_UNK] = sp_model_unk(t->model);
    t->symbols[TOKENIZER_BOS] = sp_model_bos(t->model);
    t->symbols[TOKENIZER_EOS] = sp_model_eos(t->model);
    t->symbols[TOKENIZER_PAD] = sp_model_pad(t->model);
    rt_sha256_of(file.data, file.n, t->sha256);
    *out = t;
    t = NULL;
out:
    tokenizer_free(t);
    rt_buf_free(&file);
    return st;
}

typedef struct ids_sink {
    id_list *list;
    rt_error *err;
} ids_sink;

static bool add_ids(void *context, const int *ids, size_t n)
{
    ids_sink *sink = context;
    if (id_list_reserve(sink->list, n, sink->err) != RT_OK) return false;
    for (size_t i = 0; i < n; i++) sink->list->ids[sink->list->n + i] = (uint32_t)ids[i];
    sink->list->n += n;
    return true;
}

rt_status tokenizer_encode(const tokenizer *t, const char *text, size_t n, id_list *out,
                           rt_error *err)
{
    rt_buf repaired = {0};
    sp_message message = {{0}};
    ids_sink sink = {.list = out, .err = err};
    rt_status st = RT_OK;
    if (n > TEXT_BYTES_MAX)
        return rt_fail(err, RT_FULL, "text of %zu bytes to encode, at most %zu", n, TEXT_BYTES_MAX);
    if (!utf8_is_valid(text, n)) {
        if ((st = utf8_repair(text, n, &repaired, err)) != RT_OK) goto out;
        text = repaired.data;
        n = repaired.n;
    }
    sp_result result = sp_model_encode(t->model, text, n, add_ids, &sink, &message);
    if (result == SP_NOMEM) st = rt_fail(err, RT_NOMEM, "encode %zu bytes", n);
    if (result == SP_REFUSED) st = rt_fail(err, RT_CORRUPT, "encode: %s", message.text);
out:
    rt_buf_free(&repaired);
    return st;
}

static bool add_text(void *context, const char *text, size_t n)
{
    return rt_buf_add(context, text, n, NULL) == RT_OK;
}

rt_status tokenizer_encode_prompt(const tokenizer *t, const char *text, size_t n, bool for_encoder,
                                  uint32_t control_id, id_list *out, rt_error *err)
{
    rt_status st = for_encoder ? RT_OK : id_list_add(out, control_id, err);
    if (st == RT_OK) st = tokenizer_encode(t, text, n, out, err);
    if (st == RT_OK && for_encoder) st = id_list_add(out, control_id, err);
    return st;
}

rt_status tokenizer_decode(const tokenizer *t, const uint32_t *ids, size_t n, rt_buf *out,
                           rt_error *err)
{
    sp_message message = {{0}};
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= t->size)
            return rt_fail(err, RT_INVALID, "decode: id %u, the vocabulary has %zu", ids[i],
                           t->size);
    sp_result result = sp_model_decode(t->model, ids, n, add_text, out, &message);
    if (result == SP_NOMEM) return rt_fail(err, RT_NOMEM, "decode %zu ids", n);
    if (result != SP_OK) return rt_fail(err, RT_CORRUPT, "decode: %s", message.text);
    return RT_OK;
}

rt_status tokenizer_decode_output(const tokenizer *t, const uint32_t *ids, size_t n, rt_buf *out,
                                  rt_error *err)
{
    id_list known = {0};
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < n; i++)
        if (ids[i] < t->size) st = id_list_add(&known, ids[i], err);
    if (st == RT_OK) st = tokenizer_decode(t, known.ids, known.n, out, err);
    id_list_free(&known);
    return st;
}

const char *tokenizer_piece(const tokenizer *t, uint32_t id)
{
    return id < t->size ? sp_model_piece(t->model, (int)id) : NULL;
}

size_t tokenizer_size(const tokenizer *t)
{
    return t->size;
}

bool tokenizer_has(const tokenizer *t, tokenizer_symbol symbol)
{
    return t->symbols[symbol] >= 0;
}

/* The first of `wanted` that the model has. Every sentencepiece model has unk: loading demands
 * it. */
static uint32_t first_of(const tokenizer *t, tokenizer_symbol a, tokenizer_symbol b,
                         tokenizer_symbol c)
{
    const tokenizer_symbol wanted[] = {a, b, c, TOKENIZER_UNK};
    for (size_t i = 0; i < RT_COUNT(wanted); i++)
        if (tokenizer_has(t, wanted[i])) return (uint32_t)t->symbols[wanted[i]];
    return 0;
}

uint32_t tokenizer_bos(const tokenizer *t)
{
    return first_of(t, TOKENIZER_BOS, TOKENIZER_PAD, TOKENIZER_EOS);
}

uint32_t tokenizer_eos(const tokenizer *t)
{
    return first_of(t, TOKENIZER_EOS, TOKENIZER_PAD, TOKENIZER_BOS);
}

uint32_t tokenizer_pad(const tokenizer *t)
{
    return first_of(t, TOKENIZER_PAD, TOKENIZER_EOS, TOKENIZER_BOS);
}

uint32_t tokenizer_unk(const tokenizer *t)
{
    return first_of(t, TOKENIZER_UNK, TOKENIZER_UNK, TOKENIZER_UNK);
}

const char *tokenizer_sha256(const tokenizer *t)
{
    return t->sha256;
}
