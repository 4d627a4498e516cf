#include "worker/report/columns.h"

#include <stdlib.h>
#include <string.h>

#include "worker/report/cards.h"

typedef enum column_kind {
    COLUMN_NULL,
    COLUMN_BOOL,
    COLUMN_INTEGER,
    COLUMN_REAL,
    COLUMN_TEXT,
    COLUMN_LIST,
    COLUMN_OBJECT,
} column_kind;

typedef struct column {
    char *name;
    column_kind kind;
    struct column *children; /* of an object its fields, of a list its one element */
    size_t n;
} column;

struct columns {
    column top;
    size_t n_all;
    bool too_many, is_mixed;
};

static void drop_children(column *c)
{
    for (size_t i = 0; i < c->n; i++) {
        drop_children(&c->children[i]);
        free(c->children[i].name);
    }
    free(c->children);
    c->children = NULL;
    c->n = 0;
}

rt_status columns_new(columns **out, rt_error *err)
{
    columns *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return rt_fail(err, RT_NOMEM, "columns of a dataset");
    c->top.kind = COLUMN_OBJECT;
    *out = c;
    return RT_OK;
}

void columns_free(columns *c)
{
    if (c == NULL) return;
    drop_children(&c->top);
    free(c);
}

/* The child of that name, a new one where there is none; *out NULL when there are too many. */
static rt_status child_of(columns *all, column *parent, const char *name, column **out,
                          rt_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < parent->n; i++)
        if (strcmp(parent->children[i].name, name) == 0) *out = &parent->children[i];
    if (*out != NULL) return RT_OK;
    if (all->n_all == COLUMNS_MAX) {
        all->too_many = true;
        return RT_OK;
    }
    column *more = realloc(parent->children, (parent->n + 1) * sizeof *more);
    char *copy = strdup(name);
    if (more != NULL) parent->children = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        return rt_fail(err, RT_NOMEM, "columns of a dataset");
    }
    all->n_all++;
    *out = &parent->children[parent->n++];
    **out = (column){.name = copy};
    return RT_OK;
}

static column_kind kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_TRUE:
    case JSON_FALSE: return COLUMN_BOOL;
    case JSON_INTEGER: return COLUMN_INTEGER;
    case JSON_REAL: return COLUMN_REAL;
    case JSON_STRING: return COLUMN_TEXT;
    case JSON_ARRAY: return COLUMN_LIST;
    case JSON_OBJECT: return COLUMN_OBJECT;
    case JSON_NULL: break;
    }
    return COLUMN_NULL;
}

static bool is_number(column_kind kind)
{
    return kind == COLUMN_INTEGER || kind == COLUMN_REAL;
}

/* False where one column cannot hold both. */
static bool join(column_kind *into, column_kind kind)
{
    if (kind == COLUMN_NULL || *into == kind) return true;
    if (*into == COLUMN_NULL)
        *into = kind;
    else if (is_number(*into) && is_number(kind))
        *into = COLUMN_REAL;
    else
        return false;
    return true;
}

static rt_status add_value(columns *all, column *c, const json_t *value, rt_error *err)
{
    rt_status st = RT_OK;
    column *child = NULL;
    const char *name;
    json_t *field;
    size_t i;
    if (!join(&c->kind, kind_of(value))) all->is_mixed = true;
    if (json_is_array(value) && c->kind == COLUMN_LIST) {
        json_array_foreach(value, i, field)
        {
            if (st == RT_OK) st = child_of(all, c, "", &child, err);
            if (st == RT_OK && child != NULL) st = add_value(all, child, field, err);
        }
    } else if (json_is_object(value) && c->kind == COLUMN_OBJECT) {
        json_object_foreach((json_t *)value, name, field)
        {
            if (st == RT_OK) st = child_of(all, c, name, &child, err);
            if (st == RT_OK && child != NULL) st = add_value(all, child, field, err);
        }
    }
    return st;
}

rt_status columns_add(columns *c, const json_t *object, rt_error *err)
{
    return json_is_object(object) ? add_value(c, &c->top, object, err) : RT_OK;
}

const char *columns_problem(const columns *c)
{
    if (c->is_mixed) return "A field holds values of different types.";
    if (c->too_many)
        return "There are more fields than can be declared: keys of an object are data.";
    return NULL;
}

/* ---- as YAML ---- */

static const char *type_name(column_kind kind)
{
    switch (kind) {
    case COLUMN_BOOL: return "bool";
    case COLUMN_INTEGER: return "int64";
    case COLUMN_REAL: return "float64";
    default: return "string";
    }
}

static rt_status put_fields(const column *c, const char *indent, size_t depth, rt_buf *out,
                            rt_error *err);

/* The type of a column or of a list's element: behind "dtype:", "struct:", "sequence:" or "list:". */
static rt_status put_type(const column *c, const char *indent, size_t depth, rt_buf *out,
                          rt_error *err)
{
    int n = (int)(2 * depth);
    const column *element = c->n > 0 ? &c->children[0] : NULL;
    if (c->kind == COLUMN_OBJECT) {
        rt_status st =
            rt_buf_printf(out, err, "%s%*sstruct:%s\n", indent, n, "", c->n == 0 ? " []" : "");
        return st == RT_OK ? put_fields(c, indent, depth, out, err) : st;
    }
    if (c->kind != COLUMN_LIST)
        return rt_buf_printf(out, err, "%s%*sdtype: %s\n", indent, n, "", type_name(c->kind));
    if (element == NULL || (element->kind != COLUMN_OBJECT && element->kind != COLUMN_LIST))
        return rt_buf_printf(out, err, "%s%*ssequence: %s\n", indent, n, "",
                             element == NULL ? "string" : type_name(element->kind));
    rt_status st = rt_buf_printf(out, err, "%s%*s%s:\n", indent, n, "",
                                 element->kind == COLUMN_OBJECT ? "list" : "sequence");
    if (st != RT_OK) return st;
    return element->kind == COLUMN_OBJECT ? put_fields(element, indent, depth, out, err)
                                          : put_type(element, indent, depth + 1, out, err);
}

static rt_status put_fields(const column *c, const char *indent, size_t depth, rt_buf *out,
                            rt_error *err)
{
    rt_status st = RT_OK;
    for (size_t i = 0; st == RT_OK && i < c->n; i++) {
        st = rt_buf_printf(out, err, "%s%*s- name: ", indent, (int)(2 * depth), "");
        if (st == RT_OK) st = yaml_quote(c->children[i].name, out, err);
        if (st == RT_OK) st = rt_buf_add_text(out, "\n", err);
        if (st == RT_OK) st = put_type(&c->children[i], indent, depth + 1, out, err);
    }
    return st;
}

rt_status columns_to_yaml(const columns *c, const char *indent, rt_buf *out, rt_error *err)
{
    return put_fields(&c->top, indent, 0, out, err);
}
