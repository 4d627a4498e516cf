/* The file, as far as it matters here:
 *
 *     1 pieces (repeated)   1 piece   2 score (float)   3 type
 *     2 trainer_spec        3 model_type (1 unigram, 2 bpe)   4 vocab_size   35 byte_fallback
 *                           40 unk_id  41 bos_id  42 eos_id  43 pad_id
 *                           45 unk_piece  46 bos_piece  47 eos_piece  48 pad_piece
 *     3 normalizer_spec     1 name  2 precompiled_charsmap  3 add_dummy_prefix
 *                           4 remove_extra_whitespaces  5 escape_whitespaces
 */
#include "common/text/piece_list.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/id_index.h"
#include "common/text/protobuf_walk.h"
#include "common/text/tokenizer_file.h"

enum { FILE_PIECES = 1, FILE_TRAINER = 2, FILE_NORMALIZER = 3 };
enum { PIECE_TEXT_FIELD = 1, PIECE_SCORE_FIELD = 2, PIECE_TYPE_FIELD = 3 };
enum { TRAINER_MODEL_TYPE = 3, TRAINER_VOCAB_SIZE = 4, TRAINER_BYTE_FALLBACK = 35 };
enum { TRAINER_UNK_ID = 40, TRAINER_UNK_PIECE = 45 };
enum { NORM_NAME = 1, NORM_CHARSMAP = 2, NORM_PREFIX = 3, NORM_WHITESPACE = 4, NORM_ESCAPE = 5 };
enum { MODEL_UNIGRAM = 1, MODEL_BPE = 2 };

/* The four control symbols: default name, its type, and where the struct keeps its id. */
#define N_SYMBOLS 4
static const struct {
    const char *name;
    piece_type type;
    size_t offset;
} symbols[N_SYMBOLS] = {
    {"<unk>", PIECE_UNKNOWN, offsetof(piece_list, unk_id)},
    {"<s>", PIECE_CONTROL, offsetof(piece_list, bos_id)},
    {"</s>", PIECE_CONTROL, offsetof(piece_list, eos_id)},
    {"<pad>", PIECE_CONTROL, offsetof(piece_list, pad_id)},
};

static int *symbol_id(piece_list *list, size_t i)
{
    return (int *)(void *)((char *)list + symbols[i].offset);
}

static int symbol_id_of(const piece_list *list, size_t i)
{
    return *(const int *)(const void *)((const char *)list + symbols[i].offset);
}

void piece_list_free(piece_list *list)
{
    if (list == NULL) return;
    free(list->pieces);
    rt_buf_free(&list->text);
    rt_buf_free(&list->charsmap);
    *list = (piece_list){0};
}

rt_status piece_list_add(piece_list *list, const char *text, size_t n, float score, piece_type type,
                         rt_error *err)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 256 : 2 * list->capacity;
        piece *grown = reallocarray(list->pieces, capacity, sizeof *grown);
        if (grown == NULL) return rt_fail(err, RT_NOMEM, "%zu pieces", capacity);
        list->pieces = grown;
        list->capacity = capacity;
    }
    size_t at = list->text.n;
    rt_status st = rt_buf_add(&list->text, text, n, err);
    if (st != RT_OK) return st;
    list->pieces[list->n++] = (piece){.at = at, .n = n, .score = score, .type = type};
    return RT_OK;
}

const char *piece_list_text(const piece_list *list, size_t i)
{
    RT_ASSERT(i < list->n);
    return list->text.data + list->pieces[i].at;
}

size_t piece_list_newline(const piece_list *list)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < list->n; i++) {
        const piece *p = &list->pieces[i];
        if (p->n == 0 || memchr(piece_list_text(list, i), '\n', p->n) == NULL) continue;
        if (p->n > 1 || found != SIZE_MAX) return SIZE_MAX;
        found = i;
    }
    return found;
}

/* ---- reading ---- */

/* Names of the control symbols, which a model may choose. */
typedef struct symbol_names {
    protobuf_cursor names[N_SYMBOLS];
} symbol_names;

static rt_status read_piece(protobuf_cursor c, piece_list *list, rt_error *err)
{
    protobuf_field f;
    protobuf_cursor text = {0};
    float score = 0;
    uint64_t type = PIECE_NORMAL;
    while (c.p < c.end) {
        if (!protobuf_next(&c, &f))
            return rt_fail(err, RT_CORRUPT, "sentencepiece model: piece %zu is damaged", list->n);
        if (f.number == PIECE_TEXT_FIELD && f.wire_type == PROTOBUF_BYTES) text = f.bytes;
        if (f.number == PIECE_SCORE_FIELD) score = protobuf_float(&f);
        if (f.number == PIECE_TYPE_FIELD && f.wire_type == PROTOBUF_VARINT) type = f.value;
    }
    if (type < PIECE_NORMAL || type > PIECE_BYTE)
        return rt_fail(err, RT_CORRUPT,
                       "sentencepiece model: piece %zu has type %llu, expected 1 to 6", list->n,
                       (unsigned long long)type);
    size_t n = (size_t)(text.end - text.p);
    return piece_list_add(list, n == 0 ? "" : (const char *)text.p, n, score, (piece_type)type,
                          err);
}

static rt_status read_trainer(protobuf_cursor c, piece_list *list, symbol_names *names,
                              rt_error *err)
{
    protobuf_field f;
    while (c.p < c.end) {
        if (!protobuf_next(&c, &f))
            return rt_fail(err, RT_CORRUPT, "sentencepiece model: trainer_spec is damaged");
        if (f.number == TRAINER_MODEL_TYPE && f.wire_type == PROTOBUF_VARINT) {
            if (f.value != MODEL_UNIGRAM && f.value != MODEL_BPE)
                return rt_fail(err, RT_UNSUPPORTED,
                               "sentencepiece model of type %llu, expected unigram (1) or bpe (2)",
                               (unsigned long long)f.value);
            list->bpe = f.value == MODEL_BPE;
        }
        if (f.wire_type == PROTOBUF_BYTES && f.number >= TRAINER_UNK_PIECE &&
            f.number < TRAINER_UNK_PIECE + N_SYMBOLS)
            names->names[f.number - TRAINER_UNK_PIECE] = f.bytes;
    }
    return RT_OK;
}

static rt_status read_normalizer(protobuf_cursor c, piece_list *list, rt_error *err)
{
    protobuf_field f;
    rt_status st = RT_OK;
    while (st == RT_OK && c.p < c.end) {
        if (!protobuf_next(&c, &f))
            return rt_fail(err, RT_CORRUPT, "sentencepiece model: normalizer_spec is damaged");
        if (f.number == NORM_CHARSMAP && f.wire_type == PROTOBUF_BYTES) {
            rt_buf_clear(&list->charsmap);
            st = rt_buf_add(&list->charsmap, f.bytes.p, (size_t)(f.bytes.end - f.bytes.p), err);
        }
        if (f.wire_type != PROTOBUF_VARINT) continue;
        if (f.number == NORM_PREFIX) list->add_dummy_prefix = f.value != 0;
        if (f.number == NORM_WHITESPACE) list->remove_extra_whitespaces = f.value != 0;
        if (f.number == NORM_ESCAPE && f.value == 0)
            return rt_fail(err, RT_UNSUPPORTED,
                           "sentencepiece model with escape_whitespaces false, expected true");
    }
    return st;
}

/* The first piece of each name that has the type of its symbol. */
static void find_symbols(piece_list *list, const symbol_names *names)
{
    for (size_t s = 0; s < N_SYMBOLS; s++) {
        const char *name = symbols[s].name;
        size_t n = strlen(name);
        if (names->names[s].p != NULL) {
            name = (const char *)names->names[s].p;
            n = (size_t)(names->names[s].end - names->names[s].p);
        }
        *symbol_id(list, s) = -1;
        for (size_t i = 0; i < list->n; i++) {
            if (list->pieces[i].n != n || memcmp(piece_list_text(list, i), name, n) != 0) continue;
            if (list->pieces[i].type == symbols[s].type) *symbol_id(list, s) = (int)i;
            break;
        }
    }
}

rt_status piece_list_read(const char *bytes, size_t n, piece_list *out, rt_error *err)
{
    protobuf_cursor c = {.p = (const unsigned char *)bytes,
                         .end = (const unsigned char *)bytes + n};
    protobuf_field f;
    symbol_names names = {0};
    piece_list list = {.add_dummy_prefix = true, .remove_extra_whitespaces = true};
    rt_status st = tokenizer_file_check(bytes, n, err);
    while (st == RT_OK && c.p < c.end && protobuf_next(&c, &f)) {
        if (f.wire_type != PROTOBUF_BYTES) continue;
        if (f.number == FILE_PIECES) st = read_piece(f.bytes, &list, err);
        if (f.number == FILE_TRAINER) st = read_trainer(f.bytes, &list, &names, err);
        if (f.number == FILE_NORMALIZER) st = read_normalizer(f.bytes, &list, err);
    }
    if (st == RT_OK) {
        find_symbols(&list, &names);
        *out = list;
    } else {
        piece_list_free(&list);
    }
    return st;
}

/* ---- writing ---- */

static rt_status check_list(const piece_list *list, rt_error *err)
{
    size_t n_unknown = 0, place = 0;
    rt_status st = RT_OK;
    id_index seen = {0};
    for (size_t i = 0; st == RT_OK && i < list->n; i++) {
        const piece *p = &list->pieces[i];
        bool added = false;
        if (p->type == PIECE_UNKNOWN) n_unknown++;
        if (p->n == 0) st = rt_fail(err, RT_INVALID, "piece %zu of the tokenizer is empty", i);
        if (st == RT_OK)
            st = id_index_add(&seen, rt_id_of(piece_list_text(list, i), p->n), &place, &added, err);
        if (st == RT_OK && !added)
            st = rt_fail(err, RT_INVALID, "pieces %zu and %zu of the tokenizer are both '%.*s'",
                         place, i, (int)RT_MIN(p->n, (size_t)64), piece_list_text(list, i));
    }
    id_index_free(&seen);
    if (st == RT_OK && n_unknown != 1)
        st = rt_fail(err, RT_INVALID,
                     "the tokenizer has %zu pieces of type unknown, expected exactly one",
                     n_unknown);
    return st;
}

static rt_status write_piece(const piece_list *list, size_t i, rt_buf *part, rt_buf *out,
                             rt_error *err)
{
    const piece *p = &list->pieces[i];
    rt_buf_clear(part);
    rt_status st = protobuf_add_bytes(part, PIECE_TEXT_FIELD, piece_list_text(list, i), p->n, err);
    if (st == RT_OK) st = protobuf_add_float(part, PIECE_SCORE_FIELD, p->score, err);
    if (st == RT_OK && p->type != PIECE_NORMAL)
        st = protobuf_add_varint(part, PIECE_TYPE_FIELD, (uint64_t)p->type, err);
    return st == RT_OK ? protobuf_add_bytes(out, FILE_PIECES, part->data, part->n, err) : st;
}

/* A symbol that the list does not have gets id -1, and a name that no piece has. */
static rt_status write_symbol(const piece_list *list, size_t s, rt_buf *part, rt_error *err)
{
    int id = symbol_id_of(list, s);
    rt_status st = protobuf_add_varint(part, TRAINER_UNK_ID + s, (uint64_t)(int64_t)id, err);
    if (st != RT_OK) return st;
    if (id < 0) return protobuf_add_bytes(part, TRAINER_UNK_PIECE + s, "", 0, err);
    return protobuf_add_bytes(part, TRAINER_UNK_PIECE + s, piece_list_text(list, (size_t)id),
                              list->pieces[id].n, err);
}

static rt_status write_trainer(const piece_list *list, rt_buf *part, rt_error *err)
{
    bool has_bytes = false;
    for (size_t i = 0; i < list->n; i++)
        has_bytes = has_bytes || list->pieces[i].type == PIECE_BYTE;
    rt_buf_clear(part);
    rt_status st =
        protobuf_add_varint(part, TRAINER_MODEL_TYPE, list->bpe ? MODEL_BPE : MODEL_UNIGRAM, err);
    if (st == RT_OK) st = protobuf_add_varint(part, TRAINER_VOCAB_SIZE, list->n, err);
    if (st == RT_OK) st = protobuf_add_varint(part, TRAINER_BYTE_FALLBACK, has_bytes, err);
    for (size_t s = 0; st == RT_OK && s < N_SYMBOLS; s++) st = write_symbol(list, s, part, err);
    return st;
}

static rt_status write_normalizer(const piece_list *list, rt_buf *part, rt_error *err)
{
    const char *name = list->charsmap.n > 0 ? "user_defined" : "identity";
    rt_buf_clear(part);
    rt_status st = protobuf_add_bytes(part, NORM_NAME, name, strlen(name), err);
    if (st == RT_OK && list->charsmap.n > 0)
        st = protobuf_add_bytes(part, NORM_CHARSMAP, list->charsmap.data, list->charsmap.n, err);
    if (st == RT_OK) st = protobuf_add_varint(part, NORM_PREFIX, list->add_dummy_prefix, err);
    if (st == RT_OK)
        st = protobuf_add_varint(part, NORM_WHITESPACE, list->remove_extra_whitespaces, err);
    return st == RT_OK ? protobuf_add_varint(part, NORM_ESCAPE, 1, err) : st;
}

rt_status piece_list_write(const piece_list *list, rt_buf *out, rt_error *err)
{
    rt_buf part = {0};
    rt_status st = check_list(list, err);
    for (size_t i = 0; st == RT_OK && i < list->n; i++) st = write_piece(list, i, &part, out, err);
    if (st == RT_OK) st = write_trainer(list, &part, err);
    if (st == RT_OK) st = protobuf_add_bytes(out, FILE_TRAINER, part.data, part.n, err);
    if (st == RT_OK) st = write_normalizer(list, &part, err);
    if (st == RT_OK) st = protobuf_add_bytes(out, FILE_NORMALIZER, part.data, part.n, err);
    rt_buf_free(&part);
    return st;
}
