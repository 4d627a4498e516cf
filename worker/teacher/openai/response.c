#include "worker/teacher/openai/response.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"
#include "worker/teacher/openai/thought.h"
#include "worker/teacher/openai/top_tokens.h"

static void choice_free(openai_choice *c)
{
    rt_buf_free(&c->text);
    rt_buf_free(&c->reasoning);
    rt_buf_free(&c->topk);
}

void openai_reply_free(openai_reply *reply)
{
    if (reply == NULL) return;
    for (size_t i = 0; i < reply->n_choices; i++) choice_free(&reply->choices[i]);
    free(reply->choices);
    *reply = (openai_reply){0};
}

static bool is_text(const json_t *value)
{
    return json_is_string(value) && json_string_length(value) > 0;
}

static rt_status add_string(rt_buf *out, const json_t *value, rt_error *err)
{
    return rt_buf_add(out, json_string_value(value), json_string_length(value), err);
}

/* A text, or a list of parts that have one under "text". */
static rt_status add_text_or_parts(rt_buf *out, const json_t *value, rt_error *err)
{
    rt_status st = RT_OK;
    if (json_is_string(value)) return add_string(out, value, err);
    for (size_t i = 0; st == RT_OK && i < json_array_size(value); i++) {
        const json_t *text = json_object_get(json_array_get(value, i), "text");
        if (is_text(text)) st = add_string(out, text, err);
    }
    return st;
}

static bool is_blank(const rt_buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (strchr(" \t\r\n", b->data[i]) == NULL || b->data[i] == '\0') return false;
    return true;
}

/* From a field of its own, in the order in which servers came to name it. */
static rt_status read_reasoning(const json_t *message, openai_choice *out, rt_error *err)
{
    static const char *const names[] = {"reasoning", "reasoning_content", "reasoning_details"};
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        rt_status st = add_text_or_parts(&out->reasoning, json_object_get(message, names[i]), err);
        if (st != RT_OK) return st;
        if (!is_blank(&out->reasoning)) {
            out->rationale_source = names[i];
            return RT_OK;
        }
        rt_buf_clear(&out->reasoning);
    }
    return RT_OK;
}

/* Cut an inline thought out of the text; *open when it never ended. A field of its own wins. */
static rt_status split_thought(openai_choice *out, bool *open, rt_error *err)
{
    if (out->text.n == 0 || out->text.data == NULL) return RT_OK;
    thought_parts p = thought_split(out->text.data, out->text.n);
    *open = p.kind == THOUGHT_OPEN;
    if (p.kind == THOUGHT_NONE) return RT_OK;
    if (out->reasoning.n == 0 && p.n_thought > 0) {
        rt_status st = rt_buf_add(&out->reasoning, out->text.data + p.thought, p.n_thought, err);
        if (st != RT_OK) return st;
        out->rationale_source = "think";
    }
    RT_ASSERT(out->text.data != NULL); /* a thought was found in it */
    memmove(out->text.data, out->text.data + p.answer, p.n_answer);
    out->text.n = p.n_answer;
    out->text.data[p.n_answer] = '\0';
    return RT_OK;
}

/* The reason for which a generation ended, as one of our words; NULL: it broke off on the server's
 * side and there is no answer. */
static const char *finish_of(const json_t *value)
{
    static const struct {
        const char *theirs, *ours;
    } words[] = {
        {"stop", "stop"},
        {"eos", "stop"},
        {"end_turn", "stop"},
        {"length", "length"},
        {"max_tokens", "length"},
        {"content_filter", "content_filter"},
        {"tool_calls", "tool_calls"},
        {"function_call", "tool_calls"},
        {"abort", NULL},
        {"error", NULL},
        {"insufficient_system_resource", NULL},
    };
    if (!json_is_string(value)) return "stop"; /* some servers say nothing at a good end */
    for (size_t i = 0; i < RT_COUNT(words); i++)
        if (strcmp(json_string_value(value), words[i].theirs) == 0) return words[i].ours;
    return "other";
}

/* Chats: {"content": [{"logprob"}]}; plain completions: {"token_logprobs": [number or null]}. */
static void read_logprobs(const json_t *logprobs, openai_choice *out)
{
    const json_t *list = json_object_get(logprobs, "content");
    bool chat = json_is_array(list);
    if (!chat) list = json_object_get(logprobs, "token_logprobs");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (chat) value = json_object_get(value, "logprob");
        if (!json_is_number(value)) continue;
        out->sum_logprob += json_number_value(value);
        out->has_logprob = true;
    }
}

static void blank_zeros(rt_buf *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->data[i] == '\0') b->data[i] = ' ';
}

/* False in *is_there: nothing that can be used. */
static rt_status read_choice(const json_t *value, size_t i, openai_choice *out, bool *is_there,
                             rt_error *err)
{
    rt_status st = RT_OK;
    bool open = false;
    const json_t *message = json_object_get(value, "message");
    const json_t *index = json_object_get(value, "index");
    const json_t *refusal = json_object_get(message, "refusal");
    out->index = json_is_integer(index) && json_integer_value(index) >= 0
                     ? (uint64_t)json_integer_value(index)
                     : i;
    out->finish_reason = finish_of(json_object_get(value, "finish_reason"));
    *is_there = out->finish_reason != NULL &&
                (json_is_object(message) || json_is_string(json_object_get(value, "text")));
    if (!*is_there) return RT_OK;
    if (json_is_object(message)) {
        st = add_text_or_parts(&out->text, json_object_get(message, "content"), err);
        if (st == RT_OK) st = read_reasoning(message, out, err);
    } else {
        st = add_string(&out->text, json_object_get(value, "text"), err);
    }
    if (st == RT_OK) st = split_thought(out, &open, err);
    if (st != RT_OK) return st;
    blank_zeros(&out->reasoning);
    read_logprobs(json_object_get(value, "logprobs"), out);
    if ((st = top_tokens_read(json_object_get(value, "logprobs"), &out->topk, err)) != RT_OK)
        return st;
    out->truncated = strcmp(out->finish_reason, "length") == 0;
    if (is_text(refusal)) {
        out->reason = REASON_REFUSED;
        if (is_blank(&out->text)) { /* for people, who want to know why */
            rt_buf_clear(&out->text);
            if ((st = add_string(&out->text, refusal, err)) != RT_OK) return st;
        }
    } else if (strcmp(out->finish_reason, "content_filter") == 0)
        out->reason = REASON_CONTENT_FILTER;
    else if (open || (out->truncated && out->reasoning.n > 0 && is_blank(&out->text)))
        out->reason = REASON_TRUNCATED_REASONING;
    return RT_OK;
}

static uint64_t count_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    if (!json_is_number(value)) return 0;
    double n = json_number_value(value);
    return n >= 0 && n < 1e15 ? (uint64_t)n : 0;
}

static openai_usage read_usage(const json_t *usage)
{
    openai_usage u = {.known = json_is_object(usage)};
    u.n_prompt = count_of(usage, "prompt_tokens");
    u.n_completion = count_of(usage, "completion_tokens");
    u.n_reasoning =
        count_of(json_object_get(usage, "completion_tokens_details"), "reasoning_tokens");
    u.n_cached = count_of(json_object_get(usage, "prompt_tokens_details"), "cached_tokens");
    if (u.n_cached == 0) u.n_cached = count_of(usage, "prompt_cache_hit_tokens");
    u.n_reasoning = RT_MIN(u.n_reasoning, u.n_completion);
    u.n_cached = RT_MIN(u.n_cached, u.n_prompt);
    return u;
}

static int by_index(const void *a, const void *b)
{
    const openai_choice *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

/* Sorted, and of several with one index the first one kept. qsort() may swap equals: which of two
 * that claim one index is first does not matter, only that one is left. */
static void order_choices(openai_reply *reply)
{
    size_t n = 0;
    qsort(reply->choices, reply->n_choices, sizeof *reply->choices, by_index);
    for (size_t i = 0; i < reply->n_choices; i++) {
        if (n > 0 && reply->choices[n - 1].index == reply->choices[i].index)
            choice_free(&reply->choices[i]);
        else
            reply->choices[n++] = reply->choices[i];
    }
    reply->n_choices = n;
}

/* Where a provider keeps the thought to itself, only its tokens tell that there was one. */
static void find_hidden_truncation(openai_reply *reply)
{
    for (size_t i = 0; reply->usage.n_reasoning > 0 && i < reply->n_choices; i++) {
        openai_choice *c = &reply->choices[i];
        if (c->reason == NULL && c->truncated && is_blank(&c->text))
            c->reason = REASON_TRUNCATED_REASONING;
    }
}

static rt_status read_root(const json_t *root, openai_reply *reply, rt_error *err)
{
    const json_t *choices = json_object_get(root, "choices");
    if (!json_is_array(choices)) {
        if (json_object_get(root, "error") != NULL || json_object_get(root, "detail") != NULL)
            return rt_fail(err, RT_REFUSED, "the answer is an error");
        return rt_fail(err, RT_CORRUPT, "the answer has no list \"choices\"");
    }
    size_t n = RT_MIN(json_array_size(choices), (size_t)OPENAI_CHOICES_MAX);
    reply->choices = rt_calloc(n, sizeof *reply->choices);
    if (reply->choices == NULL) return rt_fail(err, RT_NOMEM, "answer of %zu choices", n);
    for (size_t i = 0; i < n; i++) {
        bool is_there = false;
        openai_choice *c = &reply->choices[reply->n_choices];
        rt_status st = read_choice(json_array_get(choices, i), i, c, &is_there, err);
        reply->n_choices++;
        if (st != RT_OK) return st;
        if (is_there) continue;
        choice_free(c);
        *c = (openai_choice){0};
        reply->n_choices--;
    }
    reply->usage = read_usage(json_object_get(root, "usage"));
    order_choices(reply);
    find_hidden_truncation(reply);
    return RT_OK;
}

/* Servers that cut a text between two bytes of a character write bytes that are no UTF-8. */
static json_t *load_repaired(const char *bytes, size_t n, json_error_t *problem)
{
    rt_buf clean = {0};
    json_t *root = NULL;
    if (!utf8_is_valid(bytes, n) && utf8_repair(bytes, n, &clean, NULL) == RT_OK)
        root = json_loadb(clean.data, clean.n, JSON_ALLOW_NUL, problem);
    rt_buf_free(&clean);
    return root;
}

rt_status openai_reply_read(const char *bytes, size_t n, openai_reply *out, rt_error *err)
{
    openai_reply reply = {0};
    json_error_t problem = {0};
    rt_status st;
    json_t *root = n == 0 ? NULL : json_loadb(bytes, n, JSON_ALLOW_NUL, &problem);
    if (root == NULL && n > 0) root = load_repaired(bytes, n, &problem);
    if (root == NULL)
        st =
            rt_fail(err, RT_CORRUPT, "the answer is not JSON: %s", n == 0 ? "empty" : problem.text);
    else
        st = read_root(root, &reply, err);
    if (st == RT_OK) {
        *out = reply;
        reply = (openai_reply){0};
    }
    openai_reply_free(&reply);
    json_decref(root);
    return st;
}
