#include "worker/teacher/openai/top_tokens.h"

#include <string.h>

#include "common/dataset/topk.h"

/* One place and the bytes of its tokens, which its entries point to. */
typedef struct gathering {
    topk_place place;
    char bytes[TOPK_ENTRIES_MAX][TOPK_TOKEN_BYTES_MAX];
} gathering;

/* A token's bytes: as numbers where the server tells them, because half a character is no text. */
static bool take_token(const json_t *token, const json_t *numbers, char *out, size_t *n)
{
    *n = json_is_array(numbers) ? json_array_size(numbers) : json_string_length(token);
    if (*n > TOPK_TOKEN_BYTES_MAX || (!json_is_array(numbers) && !json_is_string(token)))
        return false;
    if (!json_is_array(numbers)) {
        if (*n > 0) memcpy(out, json_string_value(token), *n);
        return true;
    }
    for (size_t i = 0; i < *n; i++) {
        const json_t *number = json_array_get(numbers, i);
        json_int_t byte = json_is_integer(number) ? json_integer_value(number) : -1;
        if (byte < 0 || byte > 255) return false;
        out[i] = (char)byte;
    }
    return true;
}

/* A token that is there already is the one that was written: it is told twice. */
static bool is_there(const topk_place *p, const char *token, size_t n)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->entries[i].n == n && (n == 0 || memcmp(p->entries[i].token, token, n) == 0))
            return true;
    return false;
}

/* False when it cannot be used. */
static bool gather(gathering *g, const json_t *token, const json_t *numbers, const json_t *logprob)
{
    topk_place *p = &g->place;
    topk_entry *e = &p->entries[p->n];
    size_t n = 0;
    if (p->n == TOPK_ENTRIES_MAX || !json_is_number(logprob)) return false;
    if (!take_token(token, numbers, g->bytes[p->n], &n)) return false;
    if (is_there(p, g->bytes[p->n], n)) return true;
    *e = (topk_entry){.token = g->bytes[p->n], .n = n, .logprob = json_number_value(logprob)};
    p->n++;
    return true;
}

static const json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static bool gather_chat(gathering *g, const json_t *content, size_t i)
{
    const json_t *one = json_array_get(content, i), *top = get(one, "top_logprobs");
    if (!gather(g, get(one, "token"), get(one, "bytes"), get(one, "logprob"))) return false;
    for (size_t k = 0; k < json_array_size(top); k++) {
        const json_t *other = json_array_get(top, k);
        /* One that cannot be kept is part of the tail. */
        (void)gather(g, get(other, "token"), get(other, "bytes"), get(other, "logprob"));
    }
    return true;
}

static bool gather_plain(gathering *g, const json_t *logprobs, size_t i)
{
    const char *token;
    const json_t *value;
    const json_t *top = json_array_get(get(logprobs, "top_logprobs"), i);
    if (!gather(g, json_array_get(get(logprobs, "tokens"), i), NULL,
                json_array_get(get(logprobs, "token_logprobs"), i)))
        return false;
    json_object_foreach((json_t *)top, token, value)
    {
        json_t *text = json_string(token);
        (void)gather(g, text, NULL, value);
        json_decref(text);
    }
    return true;
}

static bool tells_others(const json_t *content, const json_t *top)
{
    if (!json_is_array(content)) return json_array_size(top) > 0;
    return json_array_size(get(json_array_get(content, 0), "top_logprobs")) > 0;
}

rt_status top_tokens_read(const json_t *logprobs, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    gathering g;
    topk_writer w = {0};
    rt_error why = {0};
    const json_t *content = get(logprobs, "content");
    bool chat = json_is_array(content);
    if (!tells_others(content, get(logprobs, "top_logprobs"))) return RT_OK;
    size_t n = json_array_size(chat ? content : get(logprobs, "tokens"));
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        g.place.n = 0;
        bool ok = chat ? gather_chat(&g, content, i) : gather_plain(&g, logprobs, i);
        st = ok ? topk_add(&w, &g.place, &why) : RT_INVALID;
    }
    if (st == RT_OK) st = topk_text(&w, out, &why);
    topk_writer_free(&w);
    if (st == RT_INVALID) return RT_OK; /* no probabilities: as if none had come */
    return st == RT_OK ? RT_OK : rt_fail(err, st, "%s", why.text);
}
