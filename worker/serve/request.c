#include "worker/serve/request.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "worker/serve/json_fields.h"

void serve_request_free(serve_request *ask)
{
    if (ask == NULL) return;
    free(ask->model);
    free(ask->last_user);
    for (size_t i = 0; i < ask->n_prompts; i++) free(ask->prompts[i]);
    free(ask->prompts);
    for (size_t i = 0; i < ask->n_stops; i++) free(ask->stops[i]);
    *ask = (serve_request){0};
}

static bool no_memory(api_error *why)
{
    return api_refuse(why, API_INTERNAL, NULL, "no memory for the request");
}

static bool copy_text(const json_t *text, char **out, api_error *why)
{
    *out = rt_strndup(json_string_value(text), json_string_length(text));
    return *out != NULL || no_memory(why);
}

/* ---- messages ---- */

/* The content of a message: a text, or parts of type text. */
static bool add_content(const json_t *content, size_t i, rt_buf *out, api_error *why)
{
    size_t j;
    const json_t *part;
    if (json_is_null(content)) return true;
    if (json_is_string(content))
        return rt_buf_add(out, json_string_value(content), json_string_length(content), NULL) ==
                   RT_OK ||
               no_memory(why);
    if (!json_is_array(content))
        return api_refuse(why, API_BAD_REQUEST, "messages",
                          "messages[%zu].content: expected a string or a list of text parts", i);
    json_array_foreach(content, j, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        if (type == NULL || strcmp(type, "text") != 0 || !json_is_string(text))
            return api_refuse(why, API_UNSUPPORTED, "messages",
                              "messages[%zu].content[%zu]: only parts of type text are read", i, j);
        if (rt_buf_add(out, json_string_value(text), json_string_length(text), NULL) != RT_OK)
            return no_memory(why);
    }
    return true;
}

static bool is_role(const char *role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    for (size_t i = 0; role != NULL && i < RT_COUNT(roles); i++)
        if (strcmp(role, roles[i]) == 0) return true;
    return false;
}

static bool set_last_user(serve_request *ask, const char *text, size_t n, api_error *why)
{
    char *copy = rt_strndup(text, n);
    if (copy == NULL) return no_memory(why);
    free(ask->last_user);
    ask->last_user = copy;
    return true;
}

static bool read_messages(const json_t *root, serve_request *ask, api_error *why)
{
    const json_t *messages = json_object_get(root, "messages"), *message;
    size_t i, n = json_array_size(messages);
    rt_buf all = {0};
    bool ok = false;
    if (n == 0 || n > SERVE_MESSAGES_MAX)
        return api_refuse(why, API_BAD_REQUEST, "messages",
                          "messages: expected a list of 1 to %d messages", SERVE_MESSAGES_MAX);
    if (rt_buf_add(&all, "", 0, NULL) != RT_OK) return no_memory(why);
    json_array_foreach(messages, i, message)
    {
        const char *role = json_string_value(json_object_get(message, "role"));
        const json_t *content = json_object_get(message, "content");
        size_t before = all.n;
        if (!is_role(role)) {
            api_refuse(why, API_BAD_REQUEST, "messages",
                       "messages[%zu].role: found '%.40s', expected system, developer, user, "
                       "assistant or tool",
                       i, role != NULL ? role : "");
            goto out;
        }
        if (content == NULL && strcmp(role, "assistant") != 0) {
            api_refuse(why, API_BAD_REQUEST, "messages", "messages[%zu].content: is missing", i);
            goto out;
        }
        if (content != NULL && !add_content(content, i, &all, why)) goto out;
        if (strcmp(role, "user") == 0 &&
            !set_last_user(ask, all.data + before, all.n - before, why))
            goto out;
    }
    if ((ask->prompts = rt_calloc(1, sizeof *ask->prompts)) == NULL) {
        no_memory(why);
        goto out;
    }
    ask->prompts[0] = all.data;
    ask->n_prompts = 1;
    all = (rt_buf){0};
    ok = true;
out:
    rt_buf_free(&all);
    return ok;
}

/* ---- prompt ---- */

static bool read_prompts(const json_t *root, serve_request *ask, api_error *why)
{
    const json_t *prompt = json_object_get(root, "prompt");
    size_t n = json_is_string(prompt) ? 1 : json_array_size(prompt);
    if (n == 0 || n > SERVE_PROMPTS_MAX)
        return api_refuse(why, API_BAD_REQUEST, "prompt",
                          "prompt: expected a string or a list of 1 to %d strings",
                          SERVE_PROMPTS_MAX);
    if ((ask->prompts = rt_calloc(n, sizeof *ask->prompts)) == NULL) return no_memory(why);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_string(prompt) ? prompt : json_array_get(prompt, i);
        if (!json_is_string(one))
            return api_refuse(why, API_UNSUPPORTED, "prompt",
                              "prompt[%zu]: expected a string (lists of token ids are not read)",
                              i);
        if (!copy_text(one, &ask->prompts[i], why)) return false;
        ask->n_prompts++;
    }
    return true;
}

/* ---- the other fields ---- */

static bool add_stop(serve_request *ask, const json_t *one, api_error *why)
{
    if (!json_is_string(one) || json_string_length(one) == 0 ||
        json_string_length(one) > SERVE_STOP_BYTES_MAX)
        return api_refuse(why, API_BAD_REQUEST, "stop", "stop: expected strings of 1 to %d bytes",
                          SERVE_STOP_BYTES_MAX);
    if (!copy_text(one, &ask->stops[ask->n_stops], why)) return false;
    ask->n_stops++;
    return true;
}

static bool read_stop(const json_t *root, serve_request *ask, api_error *why)
{
    const json_t *stop = json_object_get(root, "stop");
    size_t n = json_array_size(stop);
    if (stop == NULL || json_is_null(stop)) return true;
    if (json_is_string(stop)) return add_stop(ask, stop, why);
    if (!json_is_array(stop) || n > SERVE_STOPS_MAX)
        return api_refuse(why, API_BAD_REQUEST, "stop",
                          "stop: expected a string or a list of at most %d strings",
                          SERVE_STOPS_MAX);
    for (size_t i = 0; i < n; i++)
        if (!add_stop(ask, json_array_get(stop, i), why)) return false;
    return true;
}

/* Both names of the same limit; the newer one wins. */
static bool read_max_tokens(const json_t *root, const serve_limits *limits, serve_request *ask,
                            api_error *why)
{
    uint64_t most = limits->max_tokens;
    if (!field_u64(root, "max_tokens", 1, limits->max_tokens, &most, NULL, why)) return false;
    if (!field_u64(root, "max_completion_tokens", 1, limits->max_tokens, &most, NULL, why))
        return false;
    ask->max_tokens = most;
    return true;
}

static bool read_sampling(const json_t *root, serve_request *ask, api_error *why)
{
    double temperature = 0, top_p = 1;
    uint64_t n = 1, top_k = 0;
    int64_t seed = 0;
    const json_t *k = json_object_get(root, "top_k");
    if (!field_real(root, "temperature", 0, 2, &temperature, &ask->has_temperature, why) ||
        !field_real(root, "top_p", 0, 1, &top_p, NULL, why) ||
        !field_u64(root, "n", 1, SERVE_CHOICES_MAX, &n, NULL, why) ||
        !field_i64(root, "seed", &seed, &ask->has_seed, why))
        return false;
    if (!(json_is_integer(k) && json_integer_value(k) == -1) && /* as others say "off" */
        !field_u64(root, "top_k", 0, INT32_MAX, &top_k, NULL, why))
        return false;
    ask->temperature = (float)temperature;
    ask->top_p = (float)top_p;
    if (!(ask->top_p > 0))
        return api_refuse(why, API_BAD_REQUEST, "top_p",
                          "top_p: found %g, expected above 0 and at most 1", top_p);
    ask->top_k = (size_t)top_k;
    ask->seed = (uint64_t)seed;
    ask->n = (size_t)n;
    if (ask->n * ask->n_prompts > SERVE_CHOICES_MAX)
        return api_refuse(why, API_BAD_REQUEST, "n",
                          "n: %zu choices for each of %zu prompts, at most %d in all", ask->n,
                          ask->n_prompts, SERVE_CHOICES_MAX);
    return true;
}

/* chat: a flag and a count; completions: one count. */
static bool read_logprobs(const json_t *root, serve_request *ask, api_error *why)
{
    uint64_t n_top = 0;
    bool given = false;
    if (ask->kind == SERVE_COMPLETIONS) {
        if (!field_u64(root, "logprobs", 0, SERVE_TOP_MAX, &n_top, &ask->logprobs, why))
            return false;
    } else {
        if (!field_bool(root, "logprobs", &ask->logprobs, why) ||
            !field_u64(root, "top_logprobs", 0, SERVE_TOP_MAX, &n_top, &given, why))
            return false;
        if (n_top > 0 && !ask->logprobs)
            return api_refuse(why, API_BAD_REQUEST, "top_logprobs",
                              "top_logprobs: needs logprobs: true");
    }
    ask->n_top = (size_t)n_top;
    return true;
}

static bool read_stream(const json_t *root, serve_request *ask, api_error *why)
{
    const json_t *how = json_object_get(root, "stream_options");
    if (!field_bool(root, "stream", &ask->stream, why)) return false;
    if (how == NULL || json_is_null(how)) return true;
    if (!json_is_object(how))
        return api_refuse(why, API_BAD_REQUEST, "stream_options",
                          "stream_options: expected an object");
    if (!ask->stream)
        return api_refuse(why, API_BAD_REQUEST, "stream_options",
                          "stream_options: needs stream: true");
    return field_bool(how, "include_usage", &ask->include_usage, why);
}

/* Our own extension. */
static bool read_part(const json_t *root, serve_request *ask, api_error *why)
{
    static const char *const names[] = {NULL, "label", "rationale", "both"};
    const json_t *own = json_object_get(root, "retort"), *part = json_object_get(own, "answer");
    if (own == NULL || json_is_null(own)) return true;
    if (!json_is_object(own))
        return api_refuse(why, API_BAD_REQUEST, "retort", "retort: expected an object");
    if (ask->kind != SERVE_CHAT)
        return api_refuse(why, API_UNSUPPORTED, "retort", "retort: is for chat completions");
    if (!field_bool(own, "split_reasoning", &ask->split_reasoning, why)) return false;
    const char *name = json_string_value(part);
    for (size_t i = 1; name != NULL && i < RT_COUNT(names); i++)
        if (strcmp(name, names[i]) == 0) ask->part = (wanted_part)i;
    if (part != NULL && !json_is_null(part) && ask->part == WANT_WRITTEN)
        return api_refuse(why, API_BAD_REQUEST, "retort.answer",
                          "retort.answer: expected \"label\", \"rationale\" or \"both\"");
    if (!ask->split_reasoning) return true;
    if (ask->part == WANT_LABEL || ask->part == WANT_RATIONALE)
        return api_refuse(why, API_BAD_REQUEST, "retort.split_reasoning",
                          "retort.split_reasoning: gives both parts, found answer \"%s\"", name);
    ask->part = WANT_BOTH;
    return true;
}

static bool read_root(const json_t *root, const serve_limits *limits, serve_request *ask,
                      api_error *why)
{
    const json_t *model = json_object_get(root, "model");
    if (!json_is_object(root))
        return api_refuse(why, API_BAD_JSON, NULL, "the body is not a JSON object");
    if (model != NULL && !json_is_string(model))
        return api_refuse(why, API_BAD_REQUEST, "model", "model: expected a string");
    if (model != NULL && !copy_text(model, &ask->model, why)) return false;
    if (!fields_are_offered(root, why)) return false;
    if (!(ask->kind == SERVE_CHAT ? read_messages(root, ask, why) : read_prompts(root, ask, why)))
        return false;
    return read_max_tokens(root, limits, ask, why) && read_sampling(root, ask, why) &&
           read_stop(root, ask, why) && read_stream(root, ask, why) &&
           read_logprobs(root, ask, why) && read_part(root, ask, why);
}

bool serve_request_parse(serve_kind kind, const char *body, size_t n, const serve_limits *limits,
                         serve_request *out, api_error *why)
{
    serve_request ask = {.kind = kind};
    json_error_t problem;
    json_t *root = json_loadb(n > 0 ? body : "", n, 0, &problem);
    if (root == NULL)
        return api_refuse(why, API_BAD_JSON, NULL, "the body is not JSON: line %d, column %d: %s",
                          problem.line, problem.column, problem.text);
    bool ok = read_root(root, limits, &ask, why);
    json_decref(root);
    if (!ok) {
        serve_request_free(&ask);
        return false;
    }
    *out = ask;
    return true;
}
