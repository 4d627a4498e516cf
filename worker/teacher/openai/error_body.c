#include "worker/teacher/openai/error_body.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/text/utf8.h"

/* On one line, and cut between two characters. */
static void copy_text(const char *text, size_t n, char *out, size_t n_out)
{
    n = utf8_valid_prefix(text, RT_MIN(n, n_out - 1));
    memcpy(out, text, n);
    out[n] = '\0';
    for (char *c = out; c < out + n; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = ' ';
}

/* A text, or any other value as JSON. */
static void copy_value(const json_t *value, char *out, size_t n_out)
{
    if (json_is_string(value)) {
        copy_text(json_string_value(value), json_string_length(value), out, n_out);
    } else if (value != NULL && !json_is_null(value)) {
        char text[512] = {0}; /* what does not fit is left out */
        size_t n = json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_COMPACT);
        copy_text(text, RT_MIN(n, strlen(text)), out, n_out);
    }
}

static void read_fields(const json_t *e, openai_error *out)
{
    const json_t *code = json_object_get(e, "code");
    copy_value(json_object_get(e, "message"), out->message, sizeof out->message);
    copy_value(code, out->code, sizeof out->code);
    copy_value(json_object_get(e, "type"), out->type, sizeof out->type);
    copy_value(json_object_get(e, "param"), out->param, sizeof out->param);
    if (json_is_integer(code) && json_integer_value(code) >= 400 && json_integer_value(code) < 600)
        out->status = (long)json_integer_value(code);
}

openai_error openai_error_read(const char *bytes, size_t n)
{
    openai_error out = {0};
    json_t *root = n == 0 ? NULL : json_loadb(bytes, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const json_t *error = json_object_get(root, "error");
    const json_t *detail = json_object_get(root, "detail");
    if (json_is_object(error))
        read_fields(error, &out);
    else if (error != NULL)
        copy_value(error, out.message, sizeof out.message);
    else if (json_is_object(detail))
        read_fields(detail, &out);
    else if (detail != NULL)
        copy_value(detail, out.message, sizeof out.message);
    else if (json_is_object(root))
        read_fields(root, &out);
    else if (json_is_string(root))
        copy_value(root, out.message, sizeof out.message);
    else if (root == NULL && n > 0)
        copy_text(bytes, n, out.message, sizeof out.message);
    json_decref(root);
    return out;
}

bool openai_error_says(const openai_error *e, const char *words)
{
    return strcasestr(e->message, words) != NULL;
}

bool openai_error_is(const openai_error *e, const char *code_or_type)
{
    return strcasecmp(e->code, code_or_type) == 0 || strcasecmp(e->type, code_or_type) == 0;
}
