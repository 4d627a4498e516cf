#include "common/text/template.h"

#include <stdlib.h>
#include <string.h>

/* A part is literal text followed by a field (index into fields; SIZE_MAX: none). */
typedef struct template_part {
    char *literal;
    size_t n_literal;
    size_t i_field;
} template_part;

struct template
{
    template_part *parts;
    size_t n_parts;
    char **fields;
    size_t n_fields;
};

void template_free(template *t)
{
    if (t == NULL) return;
    for (size_t i = 0; i < t->n_parts; i++) free(t->parts[i].literal);
    for (size_t i = 0; i < t->n_fields; i++) free(t->fields[i]);
    free(t->parts);
    free(t->fields);
    free(t);
}

static rt_status refuse(const char *text, size_t i, const char *why, rt_error *err)
{
    size_t line = 1, column = 1;
    for (size_t k = 0; k < i; k++) {
        if (text[k] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[k] & 0xC0) != 0x80) {
            column++;
        }
    }
    return rt_fail(err, RT_INVALID, "template, line %zu, column %zu: %s", line, column, why);
}

/* Index of a field, added when new. */
static rt_status field_index(template *t, const char *name, size_t n, size_t *out, rt_error *err)
{
    for (size_t i = 0; i < t->n_fields; i++) {
        if (strlen(t->fields[i]) == n && memcmp(t->fields[i], name, n) == 0) {
            *out = i;
            return RT_OK;
        }
    }
    char **fields = reallocarray(t->fields, t->n_fields + 1, sizeof *fields);
    if (fields == NULL) return rt_fail(err, RT_NOMEM, "template fields");
    t->fields = fields;
    char *copy = rt_strndup(name, n);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "template fields");
    t->fields[t->n_fields] = copy;
    *out = t->n_fields++;
    return RT_OK;
}

static rt_status add_part(template *t, const rt_buf *literal, size_t i_field, rt_error *err)
{
    template_part *parts = reallocarray(t->parts, t->n_parts + 1, sizeof *parts);
    if (parts == NULL) return rt_fail(err, RT_NOMEM, "template parts");
    t->parts = parts;
    char *copy = rt_strndup(literal->n > 0 ? literal->data : "", literal->n);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "template parts");
    t->parts[t->n_parts++] =
        (template_part){.literal = copy, .n_literal = literal->n, .i_field = i_field};
    return RT_OK;
}

/* At text[*i] == '{' that opens a field: read the name and step behind its '}'. */
static rt_status parse_field(template *t, const char *text, size_t *i, size_t *i_field,
                             rt_error *err)
{
    size_t start = *i + 1, end = start;
    while (text[end] != '\0' && text[end] != '{' && text[end] != '}') end++;
    if (text[end] != '}')
        return refuse(text, *i, "'{' is not closed; a brace as text is written {{", err);
    if (end == start)
        return refuse(text, *i, "'{}' names no field; braces as text are written {{}}", err);
    *i = end + 1;
    return field_index(t, text + start, end - start, i_field, err);
}

static rt_status parse_parts(template *t, const char *text, rt_buf *literal, rt_error *err)
{
    rt_status st = RT_OK;
    size_t i = 0, i_field = SIZE_MAX;
    while (st == RT_OK && text[i] != '\0') {
        if ((text[i] == '{' || text[i] == '}') && text[i + 1] == text[i]) {
            st = rt_buf_add(literal, text + i, 1, err);
            i += 2;
        } else if (text[i] == '}') {
            st = refuse(text, i, "'}' without '{'; a brace as text is written }}", err);
        } else if (text[i] == '{') {
            if ((st = parse_field(t, text, &i, &i_field, err)) != RT_OK) break;
            st = add_part(t, literal, i_field, err);
            rt_buf_clear(literal);
        } else {
            size_t n = strcspn(text + i, "{}");
            st = rt_buf_add(literal, text + i, n, err);
            i += n;
        }
    }
    if (st == RT_OK && literal->n > 0) st = add_part(t, literal, SIZE_MAX, err);
    return st;
}

rt_status template_parse(const char *text, template **out, rt_error *err)
{
    rt_buf literal = {0};
    template *t = rt_calloc(1, sizeof *t);
    rt_status st = t == NULL ? rt_fail(err, RT_NOMEM, "template") : RT_OK;
    if (st == RT_OK) st = parse_parts(t, text, &literal, err);
    if (st == RT_OK) {
        *out = t;
        t = NULL;
    }
    rt_buf_free(&literal);
    template_free(t);
    return st;
}

rt_status template_render(const template *t, template_lookup lookup, void *context, rt_buf *out,
                          rt_error *err)
{
    size_t n_before = out->n;
    rt_status st = rt_buf_reserve(out, 0, err);
    for (size_t i = 0; st == RT_OK && i < t->n_parts; i++) {
        const template_part *part = &t->parts[i];
        st = rt_buf_add(out, part->literal, part->n_literal, err);
        if (st != RT_OK || part->i_field == SIZE_MAX) continue;
        const char *field = t->fields[part->i_field];
        st = lookup(context, field, out, err);
        if (st == RT_NOTFOUND)
            st = rt_fail(err, RT_NOTFOUND, "template: field '%s' is missing", field);
    }
    if (out->data != NULL) {
        if (st != RT_OK) out->n = n_before;
        out->data[out->n] = '\0';
    }
    return st;
}

typedef struct pair_list {
    const template_pair *pairs;
    size_t n;
} pair_list;

static rt_status lookup_pair(void *context, const char *field, rt_buf *out, rt_error *err)
{
    const pair_list *list = context;
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->pairs[i].name, field) != 0) continue;
        if (list->pairs[i].value == NULL) break;
        return rt_buf_add_text(out, list->pairs[i].value, err);
    }
    return RT_NOTFOUND;
}

rt_status template_render_pairs(const template *t, const template_pair *pairs, size_t n_pairs,
                                rt_buf *out, rt_error *err)
{
    pair_list list = {.pairs = pairs, .n = n_pairs};
    return template_render(t, lookup_pair, &list, out, err);
}

size_t template_n_fields(const template *t)
{
    return t->n_fields;
}

const char *template_field(const template *t, size_t i)
{
    return i < t->n_fields ? t->fields[i] : NULL;
}
