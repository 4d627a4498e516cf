#include "worker/teacher/openai/answer_bytes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"
#include "worker/teacher/openai/response.h"

#define BYTES_VERSION 1

/* The words that an answer points to: static, so that reading one owns nothing. */
static const char *const reasons[] = {REASON_REFUSED, REASON_CONTENT_FILTER,
                                      REASON_TRUNCATED_REASONING, REASON_TRUNCATED};
static const char *const finishes[] = {"stop", "length", "content_filter", "tool_calls", "other"};
static const char *const sources[] = {"reasoning", "reasoning_content", "reasoning_details",
                                      "think",     "two_step",          "json"};

rt_status answer_key(const answer_key_parts *parts, rt_id *out, rt_error *err)
{
    rt_buf head = {0};
    rt_status st = rt_buf_printf(&head, err, "openai %d\n%zu %s\n%zu %s\n%u\n", BYTES_VERSION,
                                 strlen(parts->base_url), parts->base_url, strlen(parts->kind),
                                 parts->kind, parts->sample);
    if (st == RT_OK) *out = rt_id_of_two(head.data, head.n, parts->body, parts->n_body);
    rt_buf_free(&head);
    return st;
}

static json_t *text_json(const char *text, size_t n)
{
    rt_buf clean = {0};
    json_t *value = NULL;
    if (utf8_repair(text, n, &clean, NULL) == RT_OK)
        value = json_stringn(clean.data != NULL ? clean.data : "", clean.n);
    rt_buf_free(&clean);
    return value;
}

rt_status answer_to_bytes(const backend_answer *a, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    char *text = NULL;
    json_t *root = json_pack(
        "{s:i, s:o, s:s*, s:s*, s:s*, s:o*, s:b, s:I, s:I, s:I, s:I}", "v", BYTES_VERSION, "text",
        text_json(a->text != NULL ? a->text : "", a->n_text), "reason", a->reason, "finish_reason",
        a->finish_reason, "rationale_source", a->rationale_source, "reasoning",
        a->reasoning != NULL ? text_json(a->reasoning, strlen(a->reasoning)) : NULL, "truncated",
        (int)a->truncated, "prompt_tokens", (json_int_t)a->n_prompt_tokens, "completion_tokens",
        (json_int_t)a->n_completion_tokens, "reasoning_tokens", (json_int_t)a->n_reasoning_tokens,
        "cached_tokens", (json_int_t)a->n_cached_tokens);
    if (root != NULL && a->has_logprob)
        json_object_set_new(root, "logprob", json_real(a->sum_logprob));
    if (root != NULL && a->topk != NULL) json_object_set_new(root, "topk", json_string(a->topk));
    if (root != NULL) text = json_dumps(root, JSON_COMPACT);
    if (text == NULL) {
        st = rt_fail(err, RT_NOMEM, "bytes of an answer");
    } else {
        rt_buf_clear(out);
        st = rt_buf_add_text(out, text, err);
    }
    free(text);
    json_decref(root);
    return st;
}

/* False when there is a word that is not one of ours. */
static bool find_word(const char *text, const char *const *words, size_t n, const char **out)
{
    if (text == NULL) return true;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], text) != 0) continue;
        *out = words[i];
        return true;
    }
    return false;
}

static bool read_root(const json_t *root, backend_answer *a)
{
    const char *text = NULL, *reason = NULL, *finish = NULL, *source = NULL, *reasoning = NULL;
    int version = 0, truncated = 0;
    size_t n_text = 0;
    double logprob = 0;
    json_int_t n[4] = {0};
    const json_t *sum = json_object_get(root, "logprob");
    if (json_unpack((json_t *)root, "{s:i, s:s%, s?s, s?s, s?s, s?s, s:b, s:I, s:I, s:I, s:I}", "v",
                    &version, "text", &text, &n_text, "reason", &reason, "finish_reason", &finish,
                    "rationale_source", &source, "reasoning", &reasoning, "truncated", &truncated,
                    "prompt_tokens", &n[0], "completion_tokens", &n[1], "reasoning_tokens", &n[2],
                    "cached_tokens", &n[3]) != 0 ||
        version != BYTES_VERSION)
        return false;
    for (size_t i = 0; i < RT_COUNT(n); i++)
        if (n[i] < 0) return false;
    if (!find_word(reason, reasons, RT_COUNT(reasons), &a->reason) ||
        !find_word(finish, finishes, RT_COUNT(finishes), &a->finish_reason) ||
        !find_word(source, sources, RT_COUNT(sources), &a->rationale_source))
        return false;
    if (json_is_number(sum)) logprob = json_number_value(sum);
    a->has_logprob = json_is_number(sum);
    a->sum_logprob = logprob;
    a->truncated = truncated != 0;
    a->n_prompt_tokens = (uint64_t)n[0];
    a->n_completion_tokens = (uint64_t)n[1];
    a->n_reasoning_tokens = (uint64_t)n[2];
    a->n_cached_tokens = (uint64_t)n[3];
    a->text = rt_strndup(text, n_text);
    a->n_text = n_text;
    if (reasoning != NULL) a->reasoning = rt_strndup(reasoning, strlen(reasoning));
    const char *topk = json_string_value(json_object_get(root, "topk"));
    if (topk != NULL) a->topk = strdup(topk);
    return a->text != NULL && (reasoning == NULL || a->reasoning != NULL) &&
           (topk == NULL || a->topk != NULL);
}

rt_status answer_from_bytes(const char *bytes, size_t n, backend_answer *out, rt_error *err)
{
    backend_answer a = {.cached = true};
    json_t *root = n == 0 ? NULL : json_loadb(bytes, n, JSON_ALLOW_NUL, NULL);
    bool ok = root != NULL && read_root(root, &a);
    json_decref(root);
    if (!ok) {
        free(a.text);
        free(a.reasoning);
        free(a.topk);
        return rt_fail(err, RT_CORRUPT, "a cached answer cannot be read");
    }
    *out = a;
    return RT_OK;
}
