#include "worker/serve/logprobs_json.h"

#include <math.h>

#include "common/text/utf8.h"

/* What others send for "impossible": JSON has no infinity. */
#define LOGPROB_LEAST (-9999.0)

static json_t *number(double logprob)
{
    return json_real(isfinite(logprob) && logprob > LOGPROB_LEAST ? logprob : LOGPROB_LEAST);
}

static token_bytes bytes_of(const token_table *table, uint32_t id, bool at_start)
{
    return token_table_get(table, id, &at_start);
}

static json_t *token_text(const token_table *table, uint32_t id, token_bytes b)
{
    if (b.n > 0 && utf8_is_valid(b.bytes, b.n)) return json_stringn(b.bytes, b.n);
    return json_string(token_table_name(table, id));
}

static json_t *bytes_json(token_bytes b)
{
    json_t *list = json_array();
    for (size_t i = 0; i < b.n; i++)
        json_array_append_new(list, json_integer((unsigned char)b.bytes[i]));
    return list;
}

static json_t *entry(const token_table *table, uint32_t id, bool at_start, double logprob)
{
    token_bytes b = bytes_of(table, id, at_start);
    return json_pack("{s:o, s:o, s:o}", "token", token_text(table, id, b), "logprob",
                     number(logprob), "bytes", bytes_json(b));
}

json_t *logprobs_chat(const token_table *table, const response_token *tokens, size_t n)
{
    json_t *content = json_array();
    for (size_t i = 0; i < n; i++) {
        const response_token *t = &tokens[i];
        json_t *one = entry(table, t->id, t->at_start, t->logprob), *top = json_array();
        for (size_t k = 0; k < t->n_top; k++)
            json_array_append_new(
                top, entry(table, t->top[k].id, t->at_start, (double)t->top[k].logprob));
        json_object_set_new(one, "top_logprobs", top);
        json_array_append_new(content, one);
    }
    return json_pack("{s:o, s:n}", "content", content, "refusal");
}

size_t token_characters(const token_table *table, const response_token *token)
{
    token_bytes b = bytes_of(table, token->id, token->at_start);
    size_t n = 0;
    for (size_t i = 0; i < b.n; i++) n += ((unsigned char)b.bytes[i] & 0xC0) != 0x80;
    return n;
}

/* Two tokens may have one text: the likelier stands. */
static json_t *top_object(const token_table *table, const response_token *t)
{
    json_t *top = json_object();
    for (size_t k = 0; k < t->n_top; k++) {
        token_bytes b = bytes_of(table, t->top[k].id, t->at_start);
        json_t *text = token_text(table, t->top[k].id, b);
        const char *key = json_string_value(text);
        if (key != NULL && json_object_get(top, key) == NULL)
            json_object_set_new(top, key, number((double)t->top[k].logprob));
        json_decref(text);
    }
    return top;
}

json_t *logprobs_completions(const token_table *table, const response_token *tokens, size_t n,
                             size_t text_offset)
{
    json_t *texts = json_array(), *logprobs = json_array(), *tops = json_array();
    json_t *offsets = json_array();
    for (size_t i = 0; i < n; i++) {
        const response_token *t = &tokens[i];
        token_bytes b = bytes_of(table, t->id, t->at_start);
        json_array_append_new(texts, token_text(table, t->id, b));
        json_array_append_new(logprobs, number(t->logprob));
        json_array_append_new(tops, t->n_top > 0 ? top_object(table, t) : json_null());
        json_array_append_new(offsets, json_integer((json_int_t)text_offset));
        text_offset += token_characters(table, t);
    }
    return json_pack("{s:o, s:o, s:o, s:o}", "tokens", texts, "token_logprobs", logprobs,
                     "top_logprobs", tops, "text_offset", offsets);
}
