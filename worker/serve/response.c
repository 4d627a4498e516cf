#include "worker/serve/response.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/http_server/sse.h"
#include "worker/serve/logprobs_json.h"

#define LOGPROB_DIGITS 9

static rt_status print(json_t *root, char **out, rt_error *err)
{
    *out =
        root != NULL ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(LOGPROB_DIGITS)) : NULL;
    json_decref(root);
    return *out != NULL ? RT_OK : rt_fail(err, RT_NOMEM, "response as JSON");
}

static rt_status add_body(json_t *root, rt_buf *out, rt_error *err)
{
    char *text = NULL;
    rt_status st = print(root, &text, err);
    if (st == RT_OK) st = rt_buf_add_text(out, text, err);
    free(text);
    return st;
}

static rt_status add_event(json_t *root, rt_buf *out, rt_error *err)
{
    char *text = NULL;
    rt_status st = print(root, &text, err);
    if (st == RT_OK) st = sse_add(out, text, err);
    free(text);
    return st;
}

static json_t *text_or_null(const char *text)
{
    return text != NULL ? json_string(text) : json_null();
}

static json_t *usage_json(const response_usage *usage)
{
    return json_pack("{s:I, s:I, s:I}", "prompt_tokens", (json_int_t)usage->n_prompt,
                     "completion_tokens", (json_int_t)usage->n_completion, "total_tokens",
                     (json_int_t)usage->n_prompt + (json_int_t)usage->n_completion);
}

static json_t *envelope(const response_head *head, bool is_chunk, json_t *choices)
{
    const char *object = head->kind == SERVE_COMPLETIONS ? "text_completion"
                         : is_chunk                      ? "chat.completion.chunk"
                                                         : "chat.completion";
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:o}", "id", head->id, "object", object, "created",
                     (json_int_t)head->created_s, "model", head->model, "system_fingerprint",
                     "retort-" RT_VERSION, "choices", choices);
}

static json_t *message_json(const response_choice *c)
{
    json_t *message = json_pack("{s:s, s:o, s:n}", "role", "assistant", "content",
                                text_or_null(c->content), "refusal");
    if (message != NULL && c->reasoning != NULL)
        json_object_set_new(message, "reasoning_content", json_string(c->reasoning));
    return message;
}

static json_t *delta_json(const response_choice *c, bool first)
{
    json_t *delta = json_object();
    if (delta == NULL) return NULL;
    if (first) json_object_set_new(delta, "role", json_string("assistant"));
    if (c->reasoning != NULL)
        json_object_set_new(delta, "reasoning_content", json_string(c->reasoning));
    if (c->content != NULL || first)
        json_object_set_new(delta, "content", json_string(c->content != NULL ? c->content : ""));
    return delta;
}

static json_t *choice_json(const response_head *head, const token_table *table,
                           const response_choice *c, bool is_chunk, bool first)
{
    json_t *logprobs = json_null(), *root;
    if (c->with_logprobs && (c->n_tokens > 0 || !is_chunk))
        logprobs = head->kind == SERVE_CHAT
                       ? logprobs_chat(table, c->tokens, c->n_tokens)
                       : logprobs_completions(table, c->tokens, c->n_tokens, c->text_offset);
    if (head->kind == SERVE_COMPLETIONS)
        root = json_pack("{s:I, s:s, s:o, s:o}", "index", (json_int_t)c->index, "text",
                         c->content != NULL ? c->content : "", "logprobs", logprobs,
                         "finish_reason", text_or_null(c->finish_reason));
    else
        root = json_pack("{s:I, s:o, s:o, s:o}", "index", (json_int_t)c->index,
                         is_chunk ? "delta" : "message",
                         is_chunk ? delta_json(c, first) : message_json(c), "logprobs", logprobs,
                         "finish_reason", text_or_null(c->finish_reason));
    if (root != NULL && c->problem != NULL)
        json_object_set_new(root, "retort", json_pack("{s:s}", "problem", c->problem));
    return root;
}

rt_status response_whole(const response_head *head, const token_table *table,
                         const response_choice *choices, size_t n, const response_usage *usage,
                         rt_buf *out, rt_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; list != NULL && i < n; i++) {
        if (json_array_append_new(list, choice_json(head, table, &choices[i], false, true)) == 0)
            continue;
        json_decref(list);
        list = NULL;
    }
    if (list == NULL) return rt_fail(err, RT_NOMEM, "response of %zu choices", n);
    json_t *root = envelope(head, false, list);
    if (root != NULL) json_object_set_new(root, "usage", usage_json(usage));
    return add_body(root, out, err);
}

rt_status response_chunk(const response_head *head, const token_table *table,
                         const response_choice *choice, bool first, rt_buf *out, rt_error *err)
{
    json_t *list = json_pack("[o]", choice_json(head, table, choice, true, first));
    json_t *root = list != NULL ? envelope(head, true, list) : NULL;
    if (root != NULL && head->include_usage) json_object_set_new(root, "usage", json_null());
    return add_event(root, out, err);
}

rt_status response_usage_chunk(const response_head *head, const response_usage *usage, rt_buf *out,
                               rt_error *err)
{
    json_t *root = envelope(head, true, json_array());
    if (root != NULL) json_object_set_new(root, "usage", usage_json(usage));
    return add_event(root, out, err);
}

rt_status response_models(const char *id, int64_t created_s, size_t seq_len_max, bool as_list,
                          rt_buf *out, rt_error *err)
{
    json_t *one = json_pack("{s:s, s:s, s:I, s:s, s:I}", "id", id, "object", "model", "created",
                            (json_int_t)created_s, "owned_by", "retort", "max_model_len",
                            (json_int_t)seq_len_max);
    if (as_list && one != NULL) one = json_pack("{s:s, s:[o]}", "object", "list", "data", one);
    return add_body(one, out, err);
}
