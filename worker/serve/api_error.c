#include "worker/serve/api_error.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/utf8.h"

static const struct {
    unsigned status;
    const char *type, *code;
} kinds[] = {
#define X(problem, status, type, code) {status, type, code},
    API_PROBLEM_LIST(X)
#undef X
};

bool api_refuse(api_error *out, api_problem problem, const char *param, const char *fmt, ...)
{
    va_list args;
    if (out == NULL) return false;
    *out = (api_error){.problem = problem};
    snprintf(out->param, sizeof out->param, "%s", param != NULL ? param : "");
    va_start(args, fmt);
    vsnprintf(out->message, sizeof out->message, fmt, args);
    va_end(args);
    /* What a client sent may be cut in the middle of a character. */
    out->message[utf8_valid_prefix(out->message, strnlen(out->message, sizeof out->message))] =
        '\0';
    return false;
}

unsigned api_error_status(const api_error *e)
{
    return kinds[e->problem].status;
}

const char *api_error_code(const api_error *e)
{
    return kinds[e->problem].code[0] != '\0' ? kinds[e->problem].code : "bad_request";
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

rt_status api_error_to_json(const api_error *e, rt_buf *out, rt_error *err)
{
    json_t *root = json_pack("{s:{s:s, s:s, s:o, s:o}}", "error", "message", e->message, "type",
                             kinds[e->problem].type, "param", text_or_null(e->param), "code",
                             text_or_null(kinds[e->problem].code));
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL) return rt_fail(err, RT_NOMEM, "error as JSON");
    rt_status st = rt_buf_add_text(out, text, err);
    free(text);
    return st;
}
