/* Events of libyaml go through a small state machine, three levels deep:
 *
 *     LEVEL_TOP      name: run          section: {        key ─► value | section
 *     LEVEL_SECTION    key: text | [items]                key ─► value
 *     LEVEL_LIST         item, item                       text
 *
 * libyaml's own document tree was rejected: it builds whatever the file says before we can refuse
 * it. Anything that does not fit the level is an error at its line.
 */
#include "common/conf/document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/conf/nearest.h"

#define LIST_ITEMS_MAX 10000

struct document {
    char *name;
    document_value *values; /* one a setting */
};

typedef enum level { LEVEL_START, LEVEL_TOP, LEVEL_SECTION, LEVEL_LIST, LEVEL_END } level;

typedef struct reader {
    document *d;
    yaml_parser_t parser;
    level level;
    char section[64];
    size_t section_line;
    const setting *setting; /* its value comes next; NULL: a key comes next */
    bool in_list;
    size_t sections_seen_line[SETTINGS_SECTIONS_MAX];
    const char *sections_seen[SETTINGS_SECTIONS_MAX];
    size_t n_sections_seen;
    bool awaits_section; /* a section's name was read, its mapping comes next */
    rt_error *err;
} reader;

bool text_is_utf8(const char *text, size_t n, size_t *i_bad)
{
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < n;) {
        size_t n_more = s[i] < 0x80             ? 0
                        : (s[i] & 0xe0) == 0xc0 ? 1
                        : (s[i] & 0xf0) == 0xe0 ? 2
                        : (s[i] & 0xf8) == 0xf0 ? 3
                                                : 4;
        static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
        uint32_t code = n_more == 0 ? s[i] : s[i] & (0x3fu >> n_more);
        bool ok = n_more < 4 && i + n_more < n;
        for (size_t j = 1; ok && j <= n_more; j++) {
            ok = (s[i + j] & 0xc0) == 0x80;
            code = code << 6 | (s[i + j] & 0x3f);
        }
        if (!ok || code < smallest[n_more] || code > 0x10ffff ||
            (code >= 0xd800 && code < 0xe000)) {
            *i_bad = i;
            return false;
        }
        i += n_more + 1;
    }
    return true;
}

void quote_found(const char *text, size_t n, char out[FOUND_SIZE])
{
    size_t n_out = RT_MIN(n, FOUND_SIZE - 8);
    size_t i_bad;
    if (!text_is_utf8(text, n_out, &i_bad)) n_out = i_bad;
    for (size_t i = 0; i < n_out; i++) {
        unsigned char c = (unsigned char)text[i];
        out[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
    }
    snprintf(out + n_out, 8, "%s", n_out < n ? "..." : "");
}

rt_status document_fail(const document *d, const setting *s, rt_error *err, const char *fmt, ...)
{
    char text[sizeof err->text];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const document_value *v = &d->values[settings_index(s)];
    if (v->from_sets) return rt_fail(err, RT_INVALID, "--set %s: %s", s->path, text);
    if (v->is_set)
        return rt_fail(err, RT_INVALID, "%s:%zu: %s: %s", d->name, v->line, s->path, text);
    return rt_fail(err, RT_INVALID, "%s: %s: %s", d->name, s->path, text);
}

static void clear_value(document_value *v)
{
    for (size_t i = 0; i < v->n_texts; i++) free(v->texts[i]);
    free(v->texts);
    *v = (document_value){0};
}

void document_free(document *d)
{
    if (d == NULL) return;
    for (size_t i = 0; d->values != NULL && i < settings_count(); i++) clear_value(&d->values[i]);
    free(d->values);
    free(d->name);
    free(d);
}

void document_take(document *d, document *from, const char *section_or_path)
{
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        if (strcmp(s->section, section_or_path) != 0 && strcmp(s->path, section_or_path) != 0)
            continue;
        clear_value(&d->values[i]);
        d->values[i] = from->values[i];
        from->values[i] = (document_value){0};
    }
}

const document_value *document_at(const document *d, size_t i_setting)
{
    RT_ASSERT(i_setting < settings_count());
    return &d->values[i_setting];
}

static rt_status add_text(document_value *v, const char *text, size_t n, rt_error *err)
{
    /* Grows at 1, 2, 4, 8...: a power of two means the array is full. */
    if ((v->n_texts & (v->n_texts - 1)) == 0) {
        char **texts = realloc(v->texts, (v->n_texts == 0 ? 1 : v->n_texts * 2) * sizeof *texts);
        if (texts == NULL) return rt_fail(err, RT_NOMEM, "settings");
        v->texts = texts;
    }
    char *copy = rt_strndup(text, n);
    if (copy == NULL) return rt_fail(err, RT_NOMEM, "settings");
    v->texts[v->n_texts++] = copy;
    return RT_OK;
}

/* "; did you mean X? Known: a, b, c" for an unknown name in a section ("" = top). */
static void describe_known(const char *section, const char *found, char *out, size_t n_out)
{
    const char *names[SETTINGS_MAX + 1];
    size_t n_names = 0;
    const setting *elsewhere = NULL;
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        bool is_top = section[0] == '\0';
        if (strcmp(s->key, found) == 0 && elsewhere == NULL) elsewhere = s;
        if (!is_top && strcmp(s->section, section) != 0) continue;
        const char *name = is_top && s->section[0] != '\0' ? s->section : s->key;
        if (n_names == 0 || strcmp(names[n_names - 1], name) != 0) names[n_names++] = name;
    }
    names[n_names] = NULL;
    const char *nearest = name_nearest(found, names);
    const char *dot = section[0] == '\0' ? "" : ".";
    int n = 0;
    if (nearest != NULL)
        n = snprintf(out, n_out, "; did you mean %s%s%s?", section, dot, nearest);
    else if (elsewhere != NULL)
        n = snprintf(out, n_out, "; did you mean %s?", elsewhere->path);
    for (size_t i = 0; n >= 0 && (size_t)n < n_out && i < n_names; i++)
        n +=
            snprintf(out + n, n_out - (size_t)n, "%s%s", i > 0 ? ", " : "; known here: ", names[i]);
}

static rt_status fail_unknown(const char *where, const char *section, const char *key, size_t n_key,
                              rt_error *err)
{
    char found[FOUND_SIZE], known[700] = "";
    quote_found(key, n_key, found);
    describe_known(section, found, known, sizeof known);
    return rt_fail(err, RT_INVALID, "%s%s%s%s: unknown setting%s", where, section,
                   section[0] == '\0' ? "" : ".", found, known);
}

static rt_status fail_at(const reader *r, size_t line, const char *fmt, ...) RT_PRINTF(3, 4);
static rt_status fail_at(const reader *r, size_t line, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rt_fail(r->err, RT_INVALID, "%s:%zu: %s", r->d->name, line, text);
}

static const char *event_noun(const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_SCALAR_EVENT: return "a text";
    case YAML_SEQUENCE_START_EVENT: return "a list";
    case YAML_MAPPING_START_EVENT: return "a mapping";
    case YAML_ALIAS_EVENT: return "an alias (*name)";
    default: return "something else";
    }
}

static rt_status take_section_name(reader *r, const char *name, size_t line)
{
    for (size_t i = 0; i < r->n_sections_seen; i++)
        if (strcmp(r->sections_seen[i], name) == 0)
            return fail_at(r, line, "%s: given twice, first on line %zu", name,
                           r->sections_seen_line[i]);
    for (size_t i = 0; i < settings_count(); i++)
        if (strcmp(settings_at(i)->section, name) == 0) {
            RT_ASSERT(r->n_sections_seen < SETTINGS_SECTIONS_MAX);
            r->sections_seen[r->n_sections_seen] = settings_at(i)->section;
            r->sections_seen_line[r->n_sections_seen++] = line;
            break;
        }
    snprintf(r->section, sizeof r->section, "%s", name);
    r->section_line = line;
    r->awaits_section = true;
    return RT_OK;
}

static rt_status take_key(reader *r, const yaml_event_t *e, size_t line)
{
    const char *section = r->level == LEVEL_SECTION ? r->section : "";
    if (e->type != YAML_SCALAR_EVENT)
        return fail_at(r, line, "found %s where the name of a setting was expected", event_noun(e));
    const char *key = (const char *)e->data.scalar.value;
    size_t n_key = e->data.scalar.length;
    bool is_text = strlen(key) == n_key;
    if (is_text && r->level == LEVEL_TOP && settings_is_section(key))
        return take_section_name(r, key, line);
    const setting *s = is_text ? settings_find(section, key) : NULL;
    if (s == NULL) {
        char where[512];
        snprintf(where, sizeof where, "%.400s:%zu: ", r->d->name, line);
        return fail_unknown(where, section, key, n_key, r->err);
    }
    document_value *v = &r->d->values[settings_index(s)];
    if (v->is_set) return fail_at(r, line, "%s: given twice, first on line %zu", s->path, v->line);
    v->is_set = true;
    v->line = line;
    r->setting = s;
    return RT_OK;
}

static rt_status take_text(reader *r, const yaml_event_t *e, size_t line)
{
    document_value *v = &r->d->values[settings_index(r->setting)];
    const char *text = (const char *)e->data.scalar.value;
    size_t n = e->data.scalar.length;
    v->line = line;
    if (e->data.scalar.tag != NULL)
        return document_fail(r->d, r->setting, r->err,
                             "found a tag (!...), expected a plain value");
    if (memchr(text, '\0', n) != NULL)
        return document_fail(r->d, r->setting, r->err, "found a NUL character in the text");
    if (v->n_texts >= LIST_ITEMS_MAX)
        return document_fail(r->d, r->setting, r->err, "more than %d items in the list",
                             LIST_ITEMS_MAX);
    bool is_plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (is_plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
                     (n == 0 && r->setting->type != SETTING_TEXT)))
        return document_fail(r->d, r->setting, r->err,
                             "found no value, expected one%s; leave the line out for the default",
                             r->setting->type == SETTING_TEXT ? " (\"\" is the empty text)" : "");
    return add_text(v, text, n, r->err);
}

static rt_status take_value(reader *r, const yaml_event_t *e, size_t line)
{
    document_value *v = &r->d->values[settings_index(r->setting)];
    if (e->type == YAML_SCALAR_EVENT) {
        rt_status st = take_text(r, e, line);
        if (st == RT_OK && !r->in_list) r->setting = NULL;
        return st;
    }
    if (e->type == YAML_SEQUENCE_START_EVENT && !r->in_list) {
        v->is_list = r->in_list = true;
        return RT_OK;
    }
    if (e->type == YAML_SEQUENCE_END_EVENT && r->in_list) {
        r->in_list = false;
        r->setting = NULL;
        return RT_OK;
    }
    return fail_at(r, line, "%s: found %s, expected %s", r->setting->path, event_noun(e),
                   r->in_list || r->setting->type != SETTING_LIST ? "a text or a number"
                                                                  : "a list of texts");
}

/* One event; what is allowed depends on the level. */
static rt_status take_event(reader *r, const yaml_event_t *e)
{
    size_t line = e->start_mark.line + 1;
    switch (e->type) {
    case YAML_STREAM_START_EVENT: return RT_OK;
    case YAML_STREAM_END_EVENT:
        return r->level == LEVEL_END ? RT_OK
                                     : rt_fail(r->err, RT_INVALID,
                                               "%s: the file is empty, expected settings such as "
                                               "\"name: my-run\"",
                                               r->d->name);
    case YAML_DOCUMENT_START_EVENT:
        if (r->level == LEVEL_END)
            return fail_at(r, line, "found a second document (---), expected one");
        return RT_OK;
    case YAML_DOCUMENT_END_EVENT: r->level = LEVEL_END; return RT_OK;
    case YAML_ALIAS_EVENT:
        return fail_at(r, line, "found an alias (*name); aliases are not allowed");
    default: break;
    }
    if (r->level == LEVEL_START) {
        bool is_empty = e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0;
        if (e->type != YAML_MAPPING_START_EVENT && !is_empty)
            return fail_at(r, line, "found %s, expected settings such as \"name: my-run\"",
                           event_noun(e));
        r->level = LEVEL_TOP;
        return is_empty ? fail_at(r, line,
                                  "the file is empty, expected settings such as "
                                  "\"name: my-run\"")
                        : RT_OK;
    }
    if (r->awaits_section) {
        r->awaits_section = false;
        bool is_empty = e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0;
        if (is_empty) return RT_OK; /* "train:" with everything below it commented out */
        if (e->type != YAML_MAPPING_START_EVENT)
            return fail_at(r, line, "%s: found %s, expected settings below it", r->section,
                           event_noun(e));
        r->level = LEVEL_SECTION;
        return RT_OK;
    }
    if (r->setting != NULL) return take_value(r, e, line);
    if (e->type == YAML_MAPPING_END_EVENT) {
        r->level = LEVEL_TOP;
        return RT_OK;
    }
    return take_key(r, e, line);
}

static rt_status fail_yaml(const reader *r, const char *yaml, size_t n_yaml)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return rt_fail(r->err, RT_NOMEM, "%s", r->d->name);
    size_t i_line = p->problem_mark.line, i = 0;
    if (p->error == YAML_READER_ERROR) {
        i_line = 0;
        for (size_t j = 0; j < p->problem_offset && j < n_yaml; j++) i_line += yaml[j] == '\n';
    }
    for (size_t line = 0; i < n_yaml && line < i_line; i++) line += yaml[i] == '\n';
    while (i < n_yaml && yaml[i] == ' ') i++;
    bool has_tab = i < n_yaml && yaml[i] == '\t';
    return fail_at(r, i_line + 1, "not YAML: %s%s%s%s", p->context != NULL ? p->context : "",
                   p->context != NULL ? ": " : "", p->problem != NULL ? p->problem : "unreadable",
                   has_tab ? "; the line is indented with a tab, use spaces" : "");
}

static rt_status read_events(reader *r, const char *yaml, size_t n_yaml)
{
    rt_status st = RT_OK;
    if (!yaml_parser_initialize(&r->parser)) return rt_fail(r->err, RT_NOMEM, "YAML parser");
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)yaml, n_yaml);
    for (bool is_end = false; st == RT_OK && !is_end;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e)) {
            st = fail_yaml(r, yaml, n_yaml);
            break;
        }
        st = take_event(r, &e);
        is_end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&r->parser);
    return st;
}

rt_status document_parse(const char *name, const char *yaml, size_t n_yaml, document **out,
                         rt_error *err)
{
    rt_status st = RT_OK;
    size_t i_bad = 0, line = 1;
    document *d = calloc(1, sizeof *d);
    if (d != NULL) {
        d->name = rt_strndup(name, strlen(name));
        d->values = rt_calloc(settings_count(), sizeof *d->values);
    }
    if (d == NULL || d->name == NULL || d->values == NULL) {
        st = rt_fail(err, RT_NOMEM, "settings of %s", name);
        goto out;
    }
    if (n_yaml > DOCUMENT_BYTES_MAX) {
        st = rt_fail(err, RT_INVALID, "%s: %zu bytes, expected a config file of at most %d", name,
                     n_yaml, DOCUMENT_BYTES_MAX);
        goto out;
    }
    if (!text_is_utf8(yaml, n_yaml, &i_bad)) {
        for (size_t i = 0; i < i_bad; i++) line += yaml[i] == '\n';
        st = rt_fail(err, RT_INVALID, "%s:%zu: found the byte 0x%02x, expected UTF-8 text", name,
                     line, (unsigned char)yaml[i_bad]);
        goto out;
    }
    reader r = {.d = d, .level = LEVEL_START, .err = err};
    st = read_events(&r, yaml, n_yaml);
    if (st != RT_OK) goto out;
    *out = d;
    d = NULL;
out:
    document_free(d);
    return st;
}

/* The items of a list written as YAML after --set: the one setting is read as a file of its own. */
static rt_status set_list(document *d, const setting *s, const char *text, rt_error *err)
{
    rt_status st;
    rt_buf yaml = {0};
    document *one = NULL;
    rt_error inner = {0};
    size_t i = settings_index(s);
    if (s->section[0] == '\0')
        st = rt_buf_printf(&yaml, err, "%s: %s\n", s->key, text);
    else
        st = rt_buf_printf(&yaml, err, "%s: {%s: %s}\n", s->section, s->key, text);
    if (st != RT_OK) goto out;
    st = document_parse("--set", yaml.data, yaml.n, &one, &inner);
    if (st != RT_OK || one == NULL || !one->values[i].is_list) {
        char found[FOUND_SIZE];
        quote_found(text, strlen(text), found);
        st = rt_fail(err, st == RT_NOMEM ? st : RT_INVALID,
                     "--set %s: found '%s', expected a list of texts such as [\"a\", \"b\"]",
                     s->path, found);
        goto out;
    }
    clear_value(&d->values[i]);
    d->values[i] = one->values[i];
    one->values[i] = (document_value){0};
out:
    document_free(one);
    rt_buf_free(&yaml);
    return st;
}

rt_status document_set(document *d, const char *assignment, rt_error *err)
{
    const char *equals = strchr(assignment, '=');
    size_t n_path = equals == NULL ? strlen(assignment) : (size_t)(equals - assignment), i_bad;
    char path[FOUND_SIZE];
    quote_found(assignment, n_path, path);
    if (equals == NULL || n_path == 0)
        return rt_fail(err, RT_INVALID, "--set %s: expected KEY=VALUE such as train.steps=1000",
                       path);
    const setting *s = n_path < sizeof path ? settings_find_path(path) : NULL;
    if (s == NULL) {
        char *dot = strchr(path, '.');
        if (dot == NULL && settings_is_section(path))
            return rt_fail(err, RT_INVALID, "--set %s: a section, expected a setting in it: %s.KEY",
                           path, path);
        if (dot == NULL) return fail_unknown("--set ", "", path, strlen(path), err);
        *dot = '\0';
        if (!settings_is_section(path)) return fail_unknown("--set ", "", path, strlen(path), err);
        return fail_unknown("--set ", path, dot + 1, strlen(dot + 1), err);
    }
    if (!text_is_utf8(equals + 1, strlen(equals + 1), &i_bad))
        return rt_fail(err, RT_INVALID, "--set %s: byte %zu of the value is not UTF-8", s->path,
                       i_bad + 1);
    document_value *v = &d->values[settings_index(s)];
    rt_status st = RT_OK;
    if (s->type == SETTING_LIST) {
        st = set_list(d, s, equals + 1, err);
    } else {
        document_value fresh = {0};
        st = add_text(&fresh, equals + 1, strlen(equals + 1), err);
        clear_value(st == RT_OK ? v : &fresh);
        if (st == RT_OK) *v = fresh;
    }
    if (st != RT_OK) return st;
    v->is_set = v->from_sets = true;
    v->line = 0;
    return RT_OK;
}
