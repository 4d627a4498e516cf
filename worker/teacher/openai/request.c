#include "worker/teacher/openai/request.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"

/* A JSON string of any bytes; NULL on out of memory. */
static json_t *text_json(const char *text, size_t n)
{
    json_t *value = json_stringn(text, n);
    if (value != NULL) return value;
    rt_buf clean = {0};
    if (utf8_repair(text, n, &clean, NULL) == RT_OK) value = json_stringn(clean.data, clean.n);
    rt_buf_free(&clean);
    return value;
}

static bool add_message(json_t *messages, const char *role, const char *text, size_t n)
{
    json_t *message = json_pack("{s:s, s:o*}", "role", role, "content", text_json(text, n));
    return message != NULL && json_object_get(message, "content") != NULL &&
           json_array_append_new(messages, message) == 0;
}

/* Where the user's part of the prompt begins. */
static size_t split_instruction(const openai_shape *shape, const openai_question *q)
{
    size_t n_instruction = strlen(shape->instruction), n_separator = strlen(shape->separator);
    if (n_instruction == 0 || strcmp(shape->instruction_role, "user") == 0 ||
        q->n_prompt < n_instruction + n_separator ||
        memcmp(q->prompt, shape->instruction, n_instruction) != 0 ||
        memcmp(q->prompt + n_instruction, shape->separator, n_separator) != 0)
        return 0;
    return n_instruction + n_separator;
}

/* The prompt from `begin`, and in two steps what makes the model think. */
static rt_status question_text(const openai_shape *shape, const openai_question *q, size_t begin,
                               rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add(out, q->prompt + begin, q->n_prompt - begin, err);
    if (st != RT_OK || q->stage == OPENAI_ANSWER) return st;
    bool needs_line = out->n > 0 && out->data[out->n - 1] != '\n';
    return rt_buf_printf(out, err, "%s%s", needs_line ? "\n" : "", shape->think_text);
}

static rt_status add_chat(json_t *body, const openai_shape *shape, const openai_question *q,
                          rt_error *err)
{
    rt_buf text = {0};
    size_t begin = split_instruction(shape, q);
    json_t *messages = json_array();
    rt_status st = question_text(shape, q, begin, &text, err);
    bool ok = messages != NULL && st == RT_OK;
    if (ok && begin > 0)
        ok = add_message(messages, shape->instruction_role, shape->instruction,
                         strlen(shape->instruction));
    ok = ok && add_message(messages, "user", text.data, text.n);
    if (ok && q->stage == OPENAI_EXTRACT)
        ok = add_message(messages, "assistant", q->thought, q->n_thought) &&
             add_message(messages, "user", shape->extract_text, strlen(shape->extract_text));
    ok = ok && json_object_set(body, "messages", messages) == 0;
    json_decref(messages);
    rt_buf_free(&text);
    return ok ? RT_OK : rt_fail(err, RT_NOMEM, "messages of a request");
}

static rt_status add_prompt(json_t *body, const openai_shape *shape, const openai_question *q,
                            rt_error *err)
{
    rt_buf text = {0};
    rt_status st = question_text(shape, q, 0, &text, err);
    if (st == RT_OK && q->stage == OPENAI_EXTRACT) {
        st = rt_buf_add_text(&text, " ", err);
        if (st == RT_OK) st = rt_buf_add(&text, q->thought, q->n_thought, err);
        if (st == RT_OK) st = rt_buf_printf(&text, err, "\n%s", shape->extract_text);
    }
    if (st == RT_OK && json_object_set_new(body, "prompt", text_json(text.data, text.n)) != 0)
        st = rt_fail(err, RT_NOMEM, "prompt of a request");
    rt_buf_free(&text);
    return st;
}

static json_t *stop_json(const openai_shape *shape)
{
    json_t *list = json_array();
    for (size_t i = 0; i < shape->n_stop; i++)
        json_array_append_new(list, text_json(shape->stop[i], strlen(shape->stop[i])));
    return list;
}

static bool add_sampling(json_t *body, const openai_shape *shape, const openai_question *q)
{
    const char *limit = shape->chat ? shape->max_tokens_field : "max_tokens";
    bool ok = json_object_set_new(body, limit, json_integer((json_int_t)shape->max_tokens)) == 0;
    if (q->n > 1) ok = ok && json_object_set_new(body, "n", json_integer((json_int_t)q->n)) == 0;
    ok = ok && json_object_set_new(body, "temperature", json_real(q->temperature)) == 0;
    if (q->top_p < 1) ok = ok && json_object_set_new(body, "top_p", json_real(q->top_p)) == 0;
    if (q->top_k > 0)
        ok = ok && json_object_set_new(body, "top_k", json_integer((json_int_t)q->top_k)) == 0;
    if (shape->n_stop > 0) ok = ok && json_object_set_new(body, "stop", stop_json(shape)) == 0;
    return ok && json_object_set_new(body, "seed", json_integer((json_int_t)q->seed)) == 0;
}

/* Chats say whether, plain completions say how many. */
static bool add_logprobs(json_t *body, const openai_shape *shape)
{
    if (!shape->logprobs) return true;
    json_int_t n = (json_int_t)shape->top_logprobs;
    if (!shape->chat) return json_object_set_new(body, "logprobs", json_integer(n)) == 0;
    return json_object_set_new(body, "logprobs", json_true()) == 0 &&
           (n == 0 || json_object_set_new(body, "top_logprobs", json_integer(n)) == 0);
}

/* A first thought is free text: the schema is the answer's. */
static bool add_schema(json_t *body, const openai_shape *shape, const openai_question *q)
{
    if (shape->schema == NULL || q->stage == OPENAI_THINK) return true;
    json_t *format = json_pack("{s:s, s:{s:s, s:O, s:b}}", "type", "json_schema", "json_schema",
                               "name", "answer", "schema", shape->schema, "strict", 1);
    return json_object_set_new(body, "response_format", format) == 0;
}

static bool merge_extra(json_t *body, const json_t *extra)
{
    const char *key;
    json_t *value;
    bool ok = true;
    json_object_foreach((json_t *)extra, key, value)
    {
        if (json_is_null(value))
            json_object_del(body, key);
        else
            ok = ok && json_object_set(body, key, value) == 0;
    }
    return ok;
}

rt_status openai_request_body(const openai_shape *shape, const openai_question *q, rt_buf *out,
                              rt_error *err)
{
    rt_status st = RT_OK;
    char *text = NULL;
    json_t *body = json_object();
    bool ok = json_object_set_new(body, "model", json_string(shape->model)) == 0;
    if (!ok) {
        st = rt_fail(err, RT_INVALID, "teacher.model: is not UTF-8");
        goto out;
    }
    st = shape->chat ? add_chat(body, shape, q, err) : add_prompt(body, shape, q, err);
    if (st != RT_OK) goto out;
    ok = add_sampling(body, shape, q) && add_logprobs(body, shape) && add_schema(body, shape, q) &&
         merge_extra(body, shape->extra);
    if (ok) text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (text == NULL) {
        st = rt_fail(err, RT_NOMEM, "body of a request");
        goto out;
    }
    rt_buf_clear(out);
    st = rt_buf_add_text(out, text, err);
out:
    free(text);
    json_decref(body);
    return st;
}

rt_status openai_route_url(const char *base_url, const char *route, rt_buf *out, rt_error *err)
{
    size_t n_base = strcspn(base_url, "?#");
    const char *query = base_url + n_base;
    while (n_base > 0 && base_url[n_base - 1] == '/') n_base--;
    rt_buf_clear(out);
    rt_status st = rt_buf_add(out, base_url, n_base, err);
    if (st == RT_OK) st = rt_buf_add_text(out, route, err);
    return st == RT_OK ? rt_buf_add_text(out, query, err) : st;
}

rt_status openai_request_url(const char *base_url, bool chat, rt_buf *out, rt_error *err)
{
    return openai_route_url(base_url, chat ? "/chat/completions" : "/completions", out, err);
}
