/* text ─► document (names, shape, lines) ─► resolve (environment, types, ranges, defaults)
 *      ─► canonical YAML, every setting present ─► libcyaml ─► config ─► rules between settings
 *
 * libcyaml fills the struct from the schema that is built from the table of settings, and frees
 * it. It sees only text that was checked before: on its own it knows no ranges of numbers, reads
 * 010 as eight, and names no line after a merge with --set.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/conf/check.h"
#include "common/conf/expand.h"
#include "common/conf/nearest.h"
#include "common/conf/student_preset.h"
#include "common/conf/writer.h"

#define NUMBER_SIZE 40

static const cyaml_config_t cyaml_settings = {
    .log_fn = NULL, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS};

static rt_status fail_value(const document *d, const setting *s, const char *text, rt_error *err)
{
    char found[FOUND_SIZE];
    rt_buf expected = {0};
    const char *nearest = s->names != NULL ? name_nearest(text, s->names) : NULL;
    quote_found(text, strlen(text), found);
    rt_status st = settings_expected(s, &expected, err);
    if (st == RT_OK)
        st = document_fail(d, s, err, "found '%s', expected %s%s%s%s", found, expected.data,
                           nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                           nearest != NULL ? "?" : "");
    rt_buf_free(&expected);
    return st;
}

/* Check one text (not of a list) against its type; numbers are rewritten in their plain form. */
static rt_status resolve_text(const document *d, const setting *s, const char *text,
                              char number[NUMBER_SIZE], const char **out, rt_error *err)
{
    uint64_t n;
    double x;
    bool ok = true;
    *out = text;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_LIST: break;
    case SETTING_SECRET: /* what was found may be the secret: it is not in the message */
        if (text[0] != '\0' && !expand_is_variable(text) &&
            (strncmp(text, "file:", 5) != 0 || text[5] == '\0'))
            return document_fail(d, s, err, "expected file:PATH or ${NAME}, not the secret itself");
        break;
    case SETTING_U64:
        ok = rt_parse_u64(text, &n) && (double)n >= s->min && (double)n <= s->max;
        if (ok) snprintf(number, NUMBER_SIZE, "%" PRIu64, n);
        *out = number;
        break;
    case SETTING_DOUBLE:
        ok = rt_parse_double(text, &x) && isfinite(x) && x >= s->min && x <= s->max;
        if (ok) snprintf(number, NUMBER_SIZE, "%.17g", x);
        *out = number;
        break;
    case SETTING_BOOL: ok = strcmp(text, "true") == 0 || strcmp(text, "false") == 0; break;
    case SETTING_ENUM: {
        size_t i = 0;
        while (s->names[i] != NULL && strcmp(s->names[i], text) != 0) i++;
        ok = s->names[i] != NULL;
        break;
    }
    }
    return ok ? RT_OK : fail_value(d, s, text, err);
}

static rt_status expand_written(const document *d, const setting *s, const char *text, rt_buf *out,
                                rt_error *err)
{
    rt_error inner = {0};
    rt_status st = s->type == SETTING_SECRET ? rt_buf_add_text(out, text, &inner)
                                             : expand_text(text, out, &inner);
    if (st == RT_NOMEM) return rt_fail(err, st, "%s", inner.text);
    return st == RT_OK ? st : document_fail(d, s, err, "%s", inner.text);
}

/* An item of a list that allows only some. */
static rt_status check_item(const document *d, const setting *s, const char *text, rt_error *err)
{
    for (size_t i = 0; s->names[i] != NULL; i++)
        if (strcmp(s->names[i], text) == 0) return RT_OK;
    return fail_value(d, s, text, err);
}

static rt_status resolve_list(const document *d, const setting *s, writer *w, rt_error *err)
{
    rt_status st = RT_OK;
    const document_value *v = document_at(d, settings_index(s));
    const char **texts = rt_calloc(v->n_texts, sizeof *texts);
    rt_buf *expanded = rt_calloc(v->n_texts, sizeof *expanded);
    if (texts == NULL || expanded == NULL) {
        st = rt_fail(err, RT_NOMEM, "%s", s->path);
        goto out;
    }
    for (size_t i = 0; i < v->n_texts; i++) {
        if ((st = expand_written(d, s, v->texts[i], &expanded[i], err)) != RT_OK) goto out;
        texts[i] = expanded[i].data;
        if (texts[i][0] == '\0') {
            st = document_fail(d, s, err, "item %zu is empty", i + 1);
            goto out;
        }
        if (s->names != NULL && (st = check_item(d, s, texts[i], err)) != RT_OK) goto out;
    }
    st = writer_add(w, s, texts, v->n_texts, err);
out:
    for (size_t i = 0; expanded != NULL && i < v->n_texts; i++) rt_buf_free(&expanded[i]);
    free(expanded);
    free(texts);
    return st;
}

/* What a setting is when it is not written: the preset's value for a student, else its default. */
static const char *missing_text(const setting *s, const student_preset *preset, char number[16])
{
    const char *text = NULL;
    if (preset != NULL && strcmp(s->section, "student") == 0)
        text = student_preset_value(preset, s->key, number);
    return text != NULL ? text : s->default_text;
}

static rt_status resolve_setting(const document *d, const setting *s, const student_preset *preset,
                                 writer *w, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf expanded = {0};
    char number[NUMBER_SIZE], found[FOUND_SIZE], missing[16];
    const char *text = missing_text(s, preset, missing);
    const document_value *v = document_at(d, settings_index(s));
    if (s->type == SETTING_LIST) {
        if (!v->is_set || v->is_list) return resolve_list(d, s, w, err);
        quote_found(v->texts[0], strlen(v->texts[0]), found);
        return document_fail(d, s, err,
                             "found the text '%s', expected a list of texts such as [\"a\", \"b\"]",
                             found);
    }
    if (v->is_set) {
        if (v->is_list) {
            if ((st = settings_expected(s, &expanded, err)) == RT_OK)
                st = document_fail(d, s, err, "found a list, expected %s", expanded.data);
            goto out;
        }
        if ((st = expand_written(d, s, v->texts[0], &expanded, err)) != RT_OK) goto out;
        text = expanded.data;
    }
    if ((st = resolve_text(d, s, text, number, &text, err)) != RT_OK) goto out;
    st = writer_add(w, s, &text, 1, err);
out:
    rt_buf_free(&expanded);
    return st;
}

/* The preset that the document names; NULL when it names none. */
static rt_status find_preset(const document *d, const student_preset **out, rt_error *err)
{
    const setting *s = settings_find("student", "preset");
    const document_value *v = document_at(d, settings_index(s));
    rt_buf name = {0};
    char found[FOUND_SIZE];
    rt_status st = RT_OK;
    *out = NULL;
    if (!v->is_set || v->is_list) return RT_OK; /* a list is refused with all others */
    st = expand_written(d, s, v->texts[0], &name, err);
    if (st == RT_OK && name.data[0] != '\0' && (*out = student_preset_find(name.data)) == NULL) {
        const char *nearest = student_preset_nearest(name.data);
        quote_found(name.data, name.n, found);
        st = document_fail(d, s, err,
                           "found '%s', expected one of those that `retort model --presets` "
                           "lists%s%s%s",
                           found, nearest != NULL ? "; did you mean " : "",
                           nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    rt_buf_free(&name);
    return st;
}

static rt_status resolve(const document *d, rt_buf *yaml, rt_error *err)
{
    writer *w = NULL;
    const student_preset *preset = NULL;
    rt_status st = find_preset(d, &preset, err);
    if (st == RT_OK) st = writer_new(yaml, &w, err);
    for (size_t i = 0; st == RT_OK && i < settings_count(); i++)
        st = resolve_setting(d, settings_at(i), preset, w, err);
    if (st == RT_OK) st = writer_end(w, err);
    writer_free(w);
    return st;
}

/* Types, ranges and rules, then the struct. `name` is used in messages. */
static rt_status fill_config(const char *name, const document *d, config **out, rt_error *err)
{
    rt_status st;
    rt_buf resolved = {0};
    cyaml_data_t *c = NULL;
    settings_schema schema;
    if ((st = resolve(d, &resolved, err)) != RT_OK) goto out;
    settings_build_schema(&schema);
    cyaml_err_t cyaml_st = cyaml_load_data((const uint8_t *)resolved.data, resolved.n,
                                           &cyaml_settings, &schema.top, &c, NULL);
    if (cyaml_st != CYAML_OK) {
        st = rt_fail(err, cyaml_st == CYAML_ERR_OOM ? RT_NOMEM : RT_INVALID, "%s: %s", name,
                     cyaml_strerror(cyaml_st));
        goto out;
    }
    if ((st = check_config(d, (config *)c, err)) != RT_OK) goto out;
    *out = (config *)c;
    c = NULL;
out:
    config_free((config *)c);
    rt_buf_free(&resolved);
    return st;
}

rt_status config_parse(const char *name, const char *yaml, size_t n_yaml, const char *const *sets,
                       config **out, rt_error *err)
{
    document *d = NULL;
    rt_status st = document_parse(name, yaml, n_yaml, &d, err);
    for (; st == RT_OK && sets != NULL && *sets != NULL; sets++) st = document_set(d, *sets, err);
    if (st == RT_OK) st = fill_config(name, d, out, err);
    document_free(d);
    return st;
}

rt_status config_load(const char *path, const char *const *sets, config **out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(path, DOCUMENT_BYTES_MAX, &text, err);
    if (st == RT_OK)
        st = config_parse(path, text.data == NULL ? "" : text.data, text.n, sets, out, err);
    rt_buf_free(&text);
    return st;
}

/* A section, or the setting of a path. */
static bool is_within(const setting *s, const char *section_or_path)
{
    return strcmp(s->section, section_or_path) == 0 || strcmp(s->path, section_or_path) == 0;
}

static bool has_any(const document *d, const char *section_or_path)
{
    for (size_t i = 0; i < settings_count(); i++)
        if (document_at(d, i)->is_set && is_within(settings_at(i), section_or_path)) return true;
    return false;
}

/* What a second teacher may have of its own: sections, and all of its prices or none. */
static const char *const second_sections[] = {"teacher", "prompt", "quality"};
static const char *const second_prices[] = {"limits.price_input", "limits.price_cached_input",
                                            "limits.price_output"};

static bool may_be_seconds(const setting *s)
{
    for (size_t k = 0; k < RT_COUNT(second_sections); k++)
        if (is_within(s, second_sections[k])) return true;
    for (size_t k = 0; k < RT_COUNT(second_prices); k++)
        if (is_within(s, second_prices[k])) return true;
    return false;
}

static rt_status check_second(const document *d, const config *base, const char *path,
                              rt_error *err)
{
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        if (!document_at(d, i)->is_set) continue;
        if (!may_be_seconds(s))
            return document_fail(
                d, s, err,
                "does not belong here: a second teacher has the sections teacher, "
                "prompt and quality, and prices of its own; all else is the run's");
        if (strcmp(s->section, "limits") == 0 && base->limits.price_input <= 0 &&
            base->limits.price_output <= 0)
            return document_fail(d, s, err,
                                 "has a price, and the run has none: nothing would be counted. "
                                 "Write prices into the run's own file, these ones where only the "
                                 "second teacher costs something");
    }
    if (has_any(d, "teacher")) return RT_OK;
    return rt_fail(err, RT_INVALID, "%s: found no section teacher, expected the second teacher",
                   path);
}

static void take_second(document *d, document *second)
{
    bool has_prices = false;
    for (size_t i = 0; i < RT_COUNT(second_sections); i++)
        if (has_any(second, second_sections[i])) document_take(d, second, second_sections[i]);
    for (size_t i = 0; i < RT_COUNT(second_prices); i++)
        has_prices = has_prices || has_any(second, second_prices[i]);
    for (size_t i = 0; has_prices && i < RT_COUNT(second_prices); i++)
        document_take(d, second, second_prices[i]);
    document_take(d, second, "escalate"); /* empty there: nobody comes after the second */
}

rt_status config_load_second(const config *base, config **out, rt_error *err)
{
    rt_status st;
    rt_buf text = {0}, base_text = {0};
    document *d = NULL, *second = NULL;
    const char *path = base->escalate.config;
    if ((st = rt_fs_read(path, DOCUMENT_BYTES_MAX, &text, err)) != RT_OK) goto out;
    st = document_parse(path, text.data == NULL ? "" : text.data, text.n, &second, err);
    if (st != RT_OK) goto out;
    if ((st = check_second(second, base, path, err)) != RT_OK) goto out;
    if ((st = config_print(base, &base_text, err)) != RT_OK) goto out;
    if ((st = document_parse(path, base_text.data, base_text.n, &d, err)) != RT_OK) goto out;
    take_second(d, second);
    st = fill_config(path, d, out, err);
out:
    rt_buf_free(&text);
    rt_buf_free(&base_text);
    document_free(d);
    document_free(second);
    return st == RT_OK ? st : rt_wrap(err, st, "escalate.config");
}

void config_free(config *c)
{
    if (c == NULL) return;
    settings_schema schema;
    settings_build_schema(&schema);
    cyaml_free(&cyaml_settings, &schema.top, c, 0);
}

rt_status config_check_corpus(const config *c, rt_error *err)
{
    if (c->corpus.files.n > 0) return RT_OK;
    return rt_fail(err, RT_INVALID,
                   "corpus.files: found none, expected at least one path to label; `retort train "
                   "--dataset` does without");
}

bool config_has_limits(const config *c)
{
    const limits_config *l = &c->limits;
    return l->in_flight_max > 0 || l->requests_per_minute > 0 || l->tokens_per_minute > 0 ||
           l->price_input > 0 || l->price_cached_input > 0 || l->price_output > 0;
}
