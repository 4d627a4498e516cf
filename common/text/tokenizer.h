/* Tokenizer: sentencepiece behind a C interface.
 *
 *     tokenizer *t = NULL;
 *     if ((st = tokenizer_load("runs/x/tokenizer.model", &t, err)) != RT_OK) goto out;
 *     id_list ids = {0};
 *     st = tokenizer_encode(t, text, strlen(text), &ids, err);
 *
 * Encoding and decoding are reentrant; one tokenizer may serve many threads.
 */
#ifndef RT_TEXT_TOKENIZER_H
#define RT_TEXT_TOKENIZER_H

#include "common/base/bytes.h"
#include "common/base/hash.h"

typedef struct tokenizer tokenizer;

/* Owns `ids`; zero-initialise; freed by id_list_free(). */
typedef struct id_list {
    uint32_t *ids;
    size_t n;
    size_t capacity;
} id_list;
void id_list_free(id_list *list);
RT_MUST_USE rt_status id_list_add(id_list *list, uint32_t id, rt_error *err);

/* RT_CORRUPT for a file that is not a sentencepiece model, RT_NOTFOUND when absent, RT_FULL when
 * larger than 128 MiB. Returns new; tokenizer_free(). */
RT_MUST_USE rt_status tokenizer_load(const char *path, tokenizer **out, rt_error *err);
void tokenizer_free(tokenizer *t);

/* Append the ids of text[0..n) to *out; no bos or eos is added. Invalid UTF-8 is repaired. Text
 * of more than 64 MiB is RT_FULL. */
RT_MUST_USE rt_status tokenizer_encode(const tokenizer *t, const char *text, size_t n, id_list *out,
                                       rt_error *err);
/* The same for the prompt of a model, with its control id: a decoder-only model reads bos before the
 * prompt, an encoder reads eos behind it, as T5 was trained. */
RT_MUST_USE rt_status tokenizer_encode_prompt(const tokenizer *t, const char *text, size_t n,
                                              bool for_encoder, uint32_t control_id, id_list *out,
                                              rt_error *err);
/* Append the text of ids; control ids give nothing. RT_INVALID for an id >= tokenizer_size(). */
RT_MUST_USE rt_status tokenizer_decode(const tokenizer *t, const uint32_t *ids, size_t n,
                                       rt_buf *out, rt_error *err);
/* The same for what a model wrote. A published model may have more rows than its tokenizer has pieces
 * (T5's sentinels, padding): such ids give nothing, as in token_table.h. */
RT_MUST_USE rt_status tokenizer_decode_output(const tokenizer *t, const uint32_t *ids, size_t n,
                                              rt_buf *out, rt_error *err);
/* Piece text of one id, or NULL. Valid until tokenizer_free(). */
const char *tokenizer_piece(const tokenizer *t, uint32_t id);

size_t tokenizer_size(const tokenizer *t);
/* Ids of the model's control symbols. Our own models have all four: unk 0, bos 1, eos 2, pad 3.
 * Others may not: tokenizer_has() tells, and an id that is missing falls back, so that every
 * sequence can be begun, ended and padded:
 *
 *     bos -> pad -> eos -> unk     (T5 begins its decoder with pad)
 *     eos -> pad -> bos -> unk
 *     pad -> eos -> bos -> unk     (mask by length, not by id, when pad is eos)
 */
typedef enum tokenizer_symbol {
    TOKENIZER_UNK,
    TOKENIZER_BOS,
    TOKENIZER_EOS,
    TOKENIZER_PAD,
    TOKENIZER_N_SYMBOLS,
} tokenizer_symbol;
bool tokenizer_has(const tokenizer *t, tokenizer_symbol symbol);
uint32_t tokenizer_bos(const tokenizer *t);
uint32_t tokenizer_eos(const tokenizer *t);
uint32_t tokenizer_pad(const tokenizer *t);
uint32_t tokenizer_unk(const tokenizer *t);
/* SHA-256 of the model file: two parties agree on ids iff it is equal. */
const char *tokenizer_sha256(const tokenizer *t);

typedef struct tokenizer_training {
    bool bpe; /* else unigram */
    size_t vocab_size;
    bool byte_fallback;
    bool split_digits;
    bool lowercase;
    size_t n_sentences_max; /* 0: all */
    size_t n_bytes_max;     /* of all sentences; 0: 256 MiB */
} tokenizer_training;

/* Hands out the next sentence (borrowed until the next call); RT_END after the last. */
typedef rt_status (*sentence_source)(void *context, const char **text, size_t *n, rt_error *err);

/* Train single-threaded, so the same sentences and settings give the same bytes. Newlines survive
 * ("\n" is a symbol of its own), and so do spaces at the edges and in a row; other text is
 * normalised by NFKC (full width becomes half width, a tab a space). A vocabulary larger than the
 * text supports shrinks to fit and the size is logged; one too small for its characters is
 * RT_INVALID and names the smallest. n_sentences_max and n_bytes_max keep a seeded uniform sample; one
 * sentence stays, however long. A sentence of more than 8 KiB counts as several. No text at all is
 * RT_INVALID. A failure of `next` is returned as it is. Writes the model atomically. */
RT_MUST_USE rt_status tokenizer_train(const tokenizer_training *settings, sentence_source next,
                                      void *context, const char *path, rt_error *err);

#endif
