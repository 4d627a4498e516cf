#include "cli/pages/man.h"

#include <string.h>

/* A . or ' at the start of a line is a command of roff; \ begins an escape; - is a hyphen, \- what one
 * types. */
rt_status man_text(const char *text, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    bool line_start = true, bold = false;
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        char c = text[i];
        if (line_start && (c == '.' || c == '\'')) st = rt_buf_add_text(out, "\\&", err);
        if (st != RT_OK) break;
        line_start = c == '\n';
        if (c == '\\') {
            st = rt_buf_add_text(out, "\\e", err);
        } else if (c == '-') {
            st = rt_buf_add_text(out, "\\-", err);
        } else if (c == '`') {
            bold = !bold;
            st = rt_buf_add_text(out, bold ? "\\fB" : "\\fR", err);
        } else {
            st = rt_buf_add(out, &c, 1, err);
        }
    }
    return st == RT_OK && bold ? rt_buf_add_text(out, "\\fR", err) : st;
}

static rt_status add_text(const char *text, rt_buf *out, rt_error *err)
{
    return man_text(text, strlen(text), out, err);
}

static rt_status add_macro(const char *macro, const char *text, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_printf(out, err, "%s ", macro);
    if (st == RT_OK) st = add_text(text, out, err);
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

/* Lines as they stand, indented. */
static rt_status add_block(const char *lines, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, ".RS 4\n.nf\n", err);
    if (st == RT_OK) st = man_text(lines, n, out, err);
    return st == RT_OK ? rt_buf_add_text(out, ".fi\n.RE\n", err) : st;
}

/* Columns were made with blanks: filling would lose them. */
static bool is_laid_out(const char *text, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        bool at_start = i == 0 || text[i - 1] == '\n';
        if (text[i] == ' ' && (at_start || text[i + 1] == ' ')) return true;
    }
    return false;
}

/* Paragraphs are set apart by empty lines. */
static rt_status add_paragraphs(const char *text, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    while (st == RT_OK && *text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t n = end != NULL ? (size_t)(end - text) + 1 : strlen(text);
        if (is_laid_out(text, n)) {
            st = add_block(text, n, out, err);
        } else {
            st = rt_buf_add_text(out, ".PP\n", err);
            if (st == RT_OK) st = man_text(text, n, out, err);
        }
        text += n + (end != NULL ? 1 : 0);
    }
    return st;
}

static rt_status add_option(const option_def *o, rt_buf *out, rt_error *err)
{
    rt_status st = add_macro(".TP\n.B", o->name, out, err);
    if (st == RT_OK && o->value_name != NULL) {
        out->data[--out->n] = '\0'; /* on the same line */
        st = rt_buf_add_text(out, " \\fI", err);
        if (st == RT_OK) st = add_text(o->value_name, out, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\\fR\n", err);
    }
    if (st == RT_OK) st = add_text(o->help, out, err);
    if (st == RT_OK && o->default_value != NULL) {
        st = rt_buf_add_text(out, " (default ", err);
        if (st == RT_OK) st = add_text(o->default_value, out, err);
        if (st == RT_OK) st = rt_buf_add_text(out, ")", err);
    }
    return st == RT_OK ? rt_buf_add_text(out, "\n", err) : st;
}

static rt_status add_options(const option_def *o, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    for (; st == RT_OK && o != NULL && o->name != NULL; o++) st = add_option(o, out, err);
    return st;
}

static rt_status add_exit_codes(rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, ".SH EXIT STATUS\n", err);
#define X(code, value, meaning)                                           \
    if (st == RT_OK) st = rt_buf_printf(out, err, ".TP\n.B %d\n", value); \
    if (st == RT_OK) st = add_text(meaning, out, err);                    \
    if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    EXIT_CODE_LIST(X)
#undef X
    return st;
}

/* One line for each line of the synopsis. */
static rt_status add_synopsis(const command *c, rt_buf *out, rt_error *err)
{
    rt_status st = rt_buf_add_text(out, ".SH SYNOPSIS\n", err);
    const char *line = c->synopsis;
    do {
        size_t n = strcspn(line, "\n");
        if (st == RT_OK) st = rt_buf_printf(out, err, ".HP\n\\fBretort %s\\fR ", c->name);
        if (st == RT_OK) st = man_text(line, n, out, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
        line += n + (line[n] == '\n');
    } while (st == RT_OK && *line != '\0');
    return st;
}

/* What man takes for the name of a page: in capitals. */
static rt_status add_title(const char *command_name, rt_buf *out, rt_error *err)
{
    char title[64] = "RETORT";
    size_t n = strlen(title);
    if (command_name[0] != '\0') title[n++] = '-';
    for (const char *at = command_name; *at != '\0' && n + 1 < sizeof title; at++)
        title[n++] = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    return rt_buf_printf(out, err, ".TH %s 1 \"\" \"retort %s\" \"Retort\"\n.nh\n.ad l\n", title,
                         RT_VERSION);
}

rt_status man_of_command(const command *c, rt_buf *out, rt_error *err)
{
    rt_status st = add_title(c->name, out, err);
    if (st == RT_OK) st = rt_buf_printf(out, err, ".SH NAME\nretort\\-%s \\- ", c->name);
    if (st == RT_OK) st = add_text(c->summary, out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    if (st == RT_OK) st = add_synopsis(c, out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, ".SH DESCRIPTION\n", err);
    if (st == RT_OK) st = add_paragraphs(c->description, out, err);
    if (st == RT_OK && c->options != NULL) st = rt_buf_add_text(out, ".SH OPTIONS\n", err);
    if (st == RT_OK) st = add_options(c->options, out, err);
    if (st == RT_OK) st = rt_buf_add_text(out, ".SH OPTIONS OF EVERY COMMAND\n", err);
    if (st == RT_OK) st = add_options(options_common, out, err);
    if (st == RT_OK) st = add_exit_codes(out, err);
    if (st == RT_OK && c->examples != NULL) {
        st = rt_buf_add_text(out, ".SH EXAMPLES\n", err);
        if (st == RT_OK) st = add_block(c->examples, strlen(c->examples), out, err);
    }
    if (st != RT_OK) return st;
    return rt_buf_add_text(out, ".SH SEE ALSO\n.BR retort (1)\n", err);
}

rt_status man_of_program(const command *const *commands, size_t n, rt_buf *out, rt_error *err)
{
    rt_status st = add_title("", out, err);
    if (st == RT_OK)
        st = rt_buf_add_text(
            out,
            ".SH NAME\n"
            "retort \\- distils a large language model into a small one, step by step\n"
            ".SH SYNOPSIS\n"
            ".B retort\n"
            ".I COMMAND\n"
            "[options]\n"
            ".SH DESCRIPTION\n"
            ".PP\n"
            "You bring an unlabeled corpus, a prompt and a teacher; you take away a labelled dataset with\n"
            "rationales and a small trained student. One program plays every role. \\fBretort run\\fR starts\n"
            "all of them on this machine; on a cluster each process is started with its own command, with\n"
            "the same config file.\n"
            ".SH COMMANDS\n"
            ".PP\n"
            "Each has a page of its own, such as\n"
            ".BR retort\\-run (1).\n",
            err);
    for (size_t i = 0; st == RT_OK && i < n; i++) {
        st = add_macro(".TP\n.B", commands[i]->name, out, err);
        if (st == RT_OK) st = add_text(commands[i]->summary, out, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
    }
    if (st == RT_OK) st = rt_buf_add_text(out, ".SH OPTIONS OF EVERY COMMAND\n", err);
    if (st == RT_OK) st = add_options(options_common, out, err);
    return st == RT_OK ? add_exit_codes(out, err) : st;
}
