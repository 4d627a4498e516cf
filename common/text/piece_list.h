/* The pieces of a tokenizer as plain data: what a sentencepiece model, the tokenizer inside a GGUF
 * file and llama2.c's tokenizer.bin have in common. Any of them is read into this struct, and
 * any is written from it; tokenizer.h encodes and decodes.
 *
 *     piece_list list = {0};
 *     if ((st = piece_list_read(file.data, file.n, &list, err)) != RT_OK) goto out;
 *     for (size_t i = 0; i < list.n; i++) use(piece_list_text(&list, i), list.pieces[i].score);
 *     piece_list_free(&list);
 *
 * Source: sentencepiece_model.proto of sentencepiece 0.1.97.
 */
#ifndef RT_TEXT_PIECE_LIST_H
#define RT_TEXT_PIECE_LIST_H

#include "common/base/bytes.h"

/* The numbers of sentencepiece's file, and GGUF's. */
typedef enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER = 4, /* taken out of a text before anything else */
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6, /* "<0x0A>": one byte of a character that no piece holds */
} piece_type;

typedef struct piece {
    size_t at, n; /* its text within `text`, U+2581 for a space */
    float score;
    piece_type type;
} piece;

/* Owns everything; zero-initialise; piece_list_free(). */
typedef struct piece_list {
    piece *pieces;
    size_t n, capacity;
    rt_buf text;
    rt_buf charsmap; /* compiled normalisation rules; empty: none */
    bool bpe;        /* else unigram */
    bool add_dummy_prefix;
    bool remove_extra_whitespaces;
    int unk_id, bos_id, eos_id, pad_id; /* -1: none */
} piece_list;

void piece_list_free(piece_list *list);
/* Append one piece; copies text[0..n). */
RT_MUST_USE rt_status piece_list_add(piece_list *list, const char *text, size_t n, float score,
                                     piece_type type, rt_error *err);
/* Text of piece i, list->pieces[i].n bytes, with no end of its own. Valid until the next add. */
const char *piece_list_text(const piece_list *list, size_t i);

/* The piece that is a line break alone, when no other piece holds one; SIZE_MAX otherwise. */
size_t piece_list_newline(const piece_list *list);

/* From a sentencepiece model's bytes. Control ids are found by name, as the library does it.
 * RT_CORRUPT says what is damaged; RT_UNSUPPORTED for a model of words or characters. */
RT_MUST_USE rt_status piece_list_read(const char *bytes, size_t n, piece_list *out, rt_error *err);
/* As a sentencepiece model that the library loads, appended to *out. A list without an unknown
 * piece, or with two equal pieces, is RT_INVALID: the library demands that. */
RT_MUST_USE rt_status piece_list_write(const piece_list *list, rt_buf *out, rt_error *err);

#endif
