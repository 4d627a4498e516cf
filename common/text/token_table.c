#include "common/text/token_table.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Spans of one text that holds everything: most tokens are the same at the start and later. */
typedef struct span {
    uint32_t first, n;
} span;

struct token_table {
    const tokenizer *t;
    rt_buf text;
    span *spans; /* [n, 2]: later, at the start */
    size_t n;
};

void token_table_free(token_table *table)
{
    if (table == NULL) return;
    rt_buf_free(&table->text);
    free(table->spans);
    free(table);
}

static unsigned hex_value(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(toupper((unsigned char)c) - 'A') + 10;
}

/* A piece "<0xE2>" stands for a byte, unless it is written as it is. */
static bool is_byte(const char *piece, const rt_buf *decoded, char *byte)
{
    if (strlen(piece) != 6 || strncmp(piece, "<0x", 3) != 0 || piece[5] != '>' ||
        !isxdigit((unsigned char)piece[3]) || !isxdigit((unsigned char)piece[4]))
        return false;
    *byte = (char)(hex_value(piece[3]) << 4 | hex_value(piece[4]));
    return decoded->n != 6 || memcmp(decoded->data, piece, 6) != 0;
}

static rt_status add_span(token_table *table, const char *bytes, size_t n, span *out, rt_error *err)
{
    *out = (span){.first = (uint32_t)table->text.n, .n = (uint32_t)n};
    return rt_buf_add(&table->text, bytes, n, err);
}

/* Behind another token, the text is what it adds to that one's. The unknown token always has a text
 * of its own. */
static rt_status add_token(token_table *table, uint32_t id, size_t n_unk, rt_error *err)
{
    span *later = &table->spans[2 * (size_t)id], *start = later + 1;
    uint32_t pair[] = {tokenizer_unk(table->t), id};
    rt_buf alone = {0}, behind = {0};
    char byte;
    rt_status st = tokenizer_decode(table->t, &id, 1, &alone, err);
    if (st == RT_OK && is_byte(tokenizer_piece(table->t, id), &alone, &byte)) {
        st = add_span(table, &byte, 1, later, err);
        *start = *later;
        goto out;
    }
    if (st == RT_OK) st = tokenizer_decode(table->t, pair, 2, &behind, err);
    if (st != RT_OK) goto out;
    RT_ASSERT(behind.n >= n_unk);
    size_t n = behind.n - n_unk;
    if (n > 0) st = add_span(table, behind.data + n_unk, n, later, err);
    if (n == alone.n && (n == 0 || memcmp(behind.data + n_unk, alone.data, n) == 0))
        *start = *later;
    else if (st == RT_OK && alone.n > 0)
        st = add_span(table, alone.data, alone.n, start, err);
out:
    rt_buf_free(&alone);
    rt_buf_free(&behind);
    return st;
}

rt_status token_table_new(const tokenizer *t, token_table **out, rt_error *err)
{
    rt_status st = RT_OK;
    uint32_t unk = tokenizer_unk(t);
    rt_buf unknown = {0};
    token_table *table = rt_calloc(1, sizeof *table);
    if (table != NULL) *table = (token_table){.t = t, .n = tokenizer_size(t)};
    if (table != NULL) table->spans = rt_calloc(table->n, 2 * sizeof *table->spans);
    if (table == NULL || table->spans == NULL) {
        st = rt_fail(err, RT_NOMEM, "table of tokens");
        goto out;
    }
    if ((st = tokenizer_decode(t, &unk, 1, &unknown, err)) != RT_OK) goto out;
    for (uint32_t id = 0; st == RT_OK && id < table->n; id++)
        st = add_token(table, id, unknown.n, err);
    if (st != RT_OK) goto out;
    *out = table;
    table = NULL;
out:
    token_table_free(table);
    rt_buf_free(&unknown);
    return st;
}

token_bytes token_table_get(const token_table *table, uint32_t id, bool *at_start)
{
    if (id >= table->n) return (token_bytes){.bytes = ""};
    const span *later = &table->spans[2 * (size_t)id], *s = later + *at_start;
    if (later->n > 0) *at_start = false;
    return s->n == 0 ? (token_bytes){.bytes = ""}
                     : (token_bytes){.bytes = table->text.data + s->first, .n = s->n};
}

const char *token_table_name(const token_table *table, uint32_t id)
{
    const char *piece = tokenizer_piece(table->t, id);
    return piece != NULL ? piece : "";
}
