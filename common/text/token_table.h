/* What each token adds to the text, as bytes: for writing a text while it is being decoded.
 *
 *     token_table *table = NULL;
 *     if ((st = token_table_new(t, &table, err)) != RT_OK) goto out;
 *     bool at_start = true;                                  // once for each text
 *     token_bytes b = token_table_get(table, id, &at_start);
 *     rt_buf_add(&out, b.bytes, b.n, err);
 *
 * The bytes of a sequence, joined and repaired as UTF-8, are what tokenizer_decode() gives for the
 * sequence. A single token may hold part of a character (byte pieces); control tokens hold nothing.
 */
#ifndef RT_TEXT_TOKEN_TABLE_H
#define RT_TEXT_TOKEN_TABLE_H

#include "common/text/tokenizer.h"

typedef struct token_table token_table;

typedef struct token_bytes {
    const char *bytes; /* valid until token_table_free() */
    size_t n;
} token_bytes;

/* Keeps the tokenizer for the names of pieces. Returns new; token_table_free(). */
RT_MUST_USE rt_status token_table_new(const tokenizer *t, token_table **out, rt_error *err);
void token_table_free(token_table *table);

/* *at_start says that no token of this text had bytes yet (models drop a leading blank there); it
 * is cleared by the first that has. An id beyond the vocabulary (a model may have more rows than
 * pieces) is empty. */
token_bytes token_table_get(const token_table *table, uint32_t id, bool *at_start);
/* How a token is named where its bytes are no text: its piece. "" for an unknown id. */
const char *token_table_name(const token_table *table, uint32_t id);

#endif
