#include "cli/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf/document.h"

exit_code exit_code_of(rt_status status)
{
    switch (status) {
    case RT_OK:
    case RT_END: return EXIT_CODE_OK;
    case RT_INVALID:
    case RT_NOTFOUND:
    case RT_EXISTS:
    case RT_UNSUPPORTED: return EXIT_CODE_USAGE;
    case RT_CORRUPT: return EXIT_CODE_DATA;
    case RT_IO:
    case RT_NOMEM:
    case RT_TIMEOUT:
    case RT_UNAVAILABLE:
    case RT_REFUSED: return EXIT_CODE_ENVIRONMENT;
    case RT_CANCELLED: return EXIT_CODE_INTERRUPTED;
    case RT_FULL: return EXIT_CODE_FAILED;
    }
    return EXIT_CODE_FAILED;
}

int command_fail_as(bool as_json, const rt_error *err)
{
    rt_error clean = *err;
    size_t i_bad;
    /* A path may hold any byte, and a long message may be cut inside a character. */
    while (!text_is_utf8(clean.text, strlen(clean.text), &i_bad)) clean.text[i_bad] = '?';
    fprintf(stderr, "retort: %s\n", clean.text);
    if (as_json) {
        json_t *root = json_pack("{s:{s:s,s:s}}", "error", "status", rt_status_name(clean.status),
                                 "message", clean.text);
        if (root != NULL) json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
    }
    return exit_code_of(clean.status);
}

int command_fail(const options *o, const rt_error *err)
{
    return command_fail_as(o != NULL && options_json(o), err);
}

/* Lines, each behind `indent`; empty lines stay empty. */
static rt_status add_indented(rt_buf *out, const char *indent, const char *lines, rt_error *err)
{
    rt_status st = RT_OK;
    while (st == RT_OK && *lines != '\0') {
        size_t n = strcspn(lines, "\n");
        if (n > 0) st = rt_buf_add_text(out, indent, err);
        if (st == RT_OK) st = rt_buf_add(out, lines, n, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
        lines += n + (lines[n] == '\n');
    }
    return st;
}

rt_status command_help_options(const option_def *defs, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && defs != NULL && defs->name != NULL; defs++) {
        char left[64];
        bool has_value = defs->value_name != NULL;
        snprintf(left, sizeof left, "%s%s%s", defs->name, has_value ? " " : "",
                 has_value ? defs->value_name : "");
        st = rt_buf_printf(out, err, "    %-22s %s", left, defs->help);
        if (st == RT_OK && defs->default_value != NULL)
            st = rt_buf_printf(out, err, " (default %s)", defs->default_value);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    }
    return st;
}

rt_status command_help_exit_codes(rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
#define X(code, value, meaning) \
    if (st == RT_OK) st = rt_buf_printf(out, err, "    %-4d %s\n", value, meaning);
    EXIT_CODE_LIST(X)
#undef X
    return st;
}

rt_status command_help(const command *c, rt_buf *out, rt_error *err)
{
    char before[64];
    rt_status st;
    snprintf(before, sizeof before, "    retort %s ", c->name);
    if ((st = rt_buf_printf(out, err, "NAME\n    retort %s - %s\n\nSYNOPSIS\n", c->name,
                            c->summary)) != RT_OK)
        return st;
    if ((st = add_indented(out, before, c->synopsis, err)) != RT_OK) return st;
    if ((st = rt_buf_add_text(out, "\nDESCRIPTION\n", err)) != RT_OK) return st;
    if ((st = add_indented(out, "    ", c->description, err)) != RT_OK) return st;
    if ((st = rt_buf_add_text(out, "\nOPTIONS\n", err)) != RT_OK) return st;
    if ((st = command_help_options(c->options, out, err)) != RT_OK) return st;
    if ((st = command_help_options(options_common, out, err)) != RT_OK) return st;
    if ((st = rt_buf_add_text(out, "\nEXIT STATUS\n", err)) != RT_OK) return st;
    if ((st = command_help_exit_codes(out, err)) != RT_OK) return st;
    if (c->examples == NULL) return RT_OK;
    if ((st = rt_buf_add_text(out, "\nEXAMPLES\n", err)) != RT_OK) return st;
    return add_indented(out, "    ", c->examples, err);
}
