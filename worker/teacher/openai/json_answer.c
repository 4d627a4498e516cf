#include "worker/teacher/openai/json_answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/template.h"

/* A plain value as text; RT_CORRUPT for anything else. */
static rt_status value_text(const json_t *value, const char *key, rt_buf *out, rt_error *err)
{
    if (json_is_string(value))
        return rt_buf_add(out, json_string_value(value), json_string_length(value), err);
    if (json_is_boolean(value))
        return rt_buf_add_text(out, json_is_true(value) ? "true" : "false", err);
    if (!json_is_number(value))
        return rt_fail(err, RT_CORRUPT, "the answer has no \"%s\" that is a text or a number", key);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    rt_status st =
        text == NULL ? rt_fail(err, RT_NOMEM, "answer") : rt_buf_add_text(out, text, err);
    free(text);
    return st;
}

static rt_status render_label(const json_answer_rules *rules, const char *label, rt_buf *out,
                              rt_error *err)
{
    template *t = NULL;
    const template_pair pairs[] = {{"label", label}, {"marker", rules->marker}};
    rt_status st = template_parse(rules->label_format, &t, err);
    if (st == RT_OK) st = template_render_pairs(t, pairs, RT_COUNT(pairs), out, err);
    template_free(t);
    return st;
}

static rt_status write_text(const json_answer_rules *rules, const json_t *root, rt_buf *out,
                            rt_buf *rationale, rt_error *err)
{
    rt_status st;
    rt_buf label = {0}, reason = {0};
    const json_t *why = json_object_get(root, rules->rationale_key);
    const json_t *what = json_object_get(root, rules->label_key);
    if ((st = value_text(what, rules->label_key, &label, err)) != RT_OK) goto out;
    if (why != NULL && !json_is_null(why)) {
        if ((st = value_text(why, rules->rationale_key, &reason, err)) != RT_OK) goto out;
    }
    rt_buf_clear(out);
    if (rules->marker[0] == '\0') {
        if (rationale != NULL && reason.n > 0) {
            rt_buf_clear(rationale);
            if ((st = rt_buf_add(rationale, reason.data, reason.n, err)) != RT_OK) goto out;
        }
        st = rt_buf_add(out, label.data, label.n, err);
        goto out;
    }
    if (reason.n > 0) {
        st = rt_buf_add(out, reason.data, reason.n, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
        if (st != RT_OK) goto out;
    }
    st = render_label(rules, label.data != NULL ? label.data : "", out, err);
out:
    rt_buf_free(&label);
    rt_buf_free(&reason);
    return st;
}

/* Some models put their JSON between fences, whatever they were asked for. */
static void strip_fences(const char **bytes, size_t *n)
{
    const char *begin = memchr(*bytes, '{', *n);
    const char *end = memrchr(*bytes, '}', *n);
    if (begin == NULL || end == NULL || end < begin) return;
    *n = (size_t)(end - begin) + 1;
    *bytes = begin;
}

rt_status json_answer_text(const json_answer_rules *rules, const char *bytes, size_t n, rt_buf *out,
                           rt_buf *rationale, rt_error *err)
{
    json_error_t problem;
    if (n > 0) strip_fences(&bytes, &n);
    json_t *root = n == 0 ? NULL : json_loadb(bytes, n, 0, &problem);
    if (!json_is_object(root)) {
        json_decref(root);
        return rt_fail(err, RT_CORRUPT, "the answer is no JSON object");
    }
    rt_status st = write_text(rules, root, out, rationale, err);
    json_decref(root);
    return st;
}
