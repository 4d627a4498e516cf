#include "common/text/prompt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fs.h"
#include "common/text/prompt_lint.h"
#include "common/text/template.h"

#define EXEMPLARS_BYTES_MAX ((size_t)16 << 20)

/* Everything before the question is the same for each input, so it is rendered once. */
struct prompt_profile {
    rt_buf prefix;
    template *question;
    bool reasoning;
    size_t n_exemplars;
    char hash[RT_SHA256_HEX_SIZE];
};

void prompt_profile_free(prompt_profile *p)
{
    if (p == NULL) return;
    rt_buf_free(&p->prefix);
    template_free(p->question);
    free(p);
}

/* Refuse a template that names a field which will never be there. */
static rt_status check_fields(const template *t, const char *setting, const char *const *allowed,
                              size_t n_allowed, const char *expected, rt_error *err)
{
    for (size_t i = 0; i < template_n_fields(t); i++) {
        bool is_known = false;
        for (size_t k = 0; k < n_allowed; k++)
            if (strcmp(template_field(t, i), allowed[k]) == 0) is_known = true;
        if (!is_known)
            return rt_fail(err, RT_INVALID, "%s: unknown field {%s}, expected %s", setting,
                           template_field(t, i), expected);
    }
    return RT_OK;
}

static rt_status parse_checked(const char *text, const char *setting, const char *const *allowed,
                               size_t n_allowed, const char *expected, template **out,
                               rt_error *err)
{
    template *t = NULL;
    rt_status st = template_parse(text, &t, err);
    if (st != RT_OK) return rt_wrap(err, st, "%s", setting);
    st = check_fields(t, setting, allowed, n_allowed, expected, err);
    if (st == RT_OK) {
        *out = t;
        t = NULL;
    }
    template_free(t);
    return st;
}

/* Text of a member: a string, or a number as written in JSON; NULL pointer when absent or null. */
static rt_status member_text(const json_t *row, const char *name, char **out, rt_error *err)
{
    json_t *value = json_object_get(row, name);
    if (value == NULL || json_is_null(value)) return RT_OK;
    if (json_is_string(value))
        *out = rt_strndup(json_string_value(value), json_string_length(value));
    else if (json_is_number(value))
        *out = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    else
        return rt_fail(err, RT_CORRUPT, "field '%s' must be a string or a number", name);
    return *out != NULL ? RT_OK : rt_fail(err, RT_NOMEM, "exemplar");
}

/* Data, told apart from what is to be done with it. */
static rt_status tag_input(const char *input, rt_buf *out, rt_error *err)
{
    return rt_buf_printf(out, err, "<input>\n%s\n</input>", input);
}

static rt_status render_exemplar(prompt_profile *p, const template *t, const char *separator,
                                 const char *line, size_t n, rt_error *err)
{
    static const char *const names[] = {"input", "rationale", "label"};
    char *values[RT_COUNT(names)] = {NULL};
    template_pair pairs[RT_COUNT(names)];
    rt_buf tagged = {0};
    json_error_t problem;
    rt_status st = RT_OK;
    json_t *row = json_loadb(line, n, JSON_REJECT_DUPLICATES, &problem);
    if (row == NULL) {
        st =
            rt_fail(err, RT_CORRUPT, "invalid JSON at column %d: %s", problem.column, problem.text);
        goto out;
    }
    if (!json_is_object(row)) {
        st = rt_fail(err, RT_CORRUPT, "expected an object {\"input\", \"rationale\", \"label\"}");
        goto out;
    }
    for (size_t i = 0; i < RT_COUNT(names); i++) {
        if ((st = member_text(row, names[i], &values[i], err)) != RT_OK) goto out;
        pairs[i] = (template_pair){.name = names[i], .value = values[i]};
    }
    if (p->reasoning) {
        if (values[0] != NULL && (st = tag_input(values[0], &tagged, err)) != RT_OK) goto out;
        pairs[0].value = tagged.data;
        if ((st = rt_buf_add_text(&p->prefix, "<example>\n", err)) != RT_OK) goto out;
    }
    st = template_render_pairs(t, pairs, RT_COUNT(pairs), &p->prefix, err);
    if (st == RT_NOTFOUND) st = rt_wrap(err, RT_CORRUPT, "exemplar");
    if (st == RT_OK && p->reasoning) st = rt_buf_add_text(&p->prefix, "\n</example>", err);
    if (st == RT_OK) st = rt_buf_add_text(&p->prefix, separator, err);
    if (st == RT_OK) p->n_exemplars++;
out:
    for (size_t i = 0; i < RT_COUNT(names); i++) free(values[i]);
    rt_buf_free(&tagged);
    json_decref(row);
    return st;
}

static bool is_blank(const char *line, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strchr(" \t\r", line[i]) == NULL || line[i] == '\0') return false;
    return true;
}

static rt_status read_exemplars(prompt_profile *p, const prompt_profile_settings *s, rt_error *err)
{
    static const char *const allowed[] = {"input", "rationale", "label"};
    template *t = NULL;
    rt_buf file = {0};
    rt_status st = parse_checked(s->exemplar_template, "exemplar template", allowed,
                                 RT_COUNT(allowed), "{input}, {rationale} or {label}", &t, err);
    if (st != RT_OK) goto out;
    if ((st = rt_fs_read(s->exemplars_path, EXEMPLARS_BYTES_MAX, &file, err)) != RT_OK) goto out;
    size_t i_line = 0;
    for (size_t i = 0; i < file.n;) {
        const char *line = file.data + i;
        const char *end = memchr(line, '\n', file.n - i);
        size_t n = end == NULL ? file.n - i : (size_t)(end - line);
        i += n + 1;
        i_line++;
        if (is_blank(line, n)) continue;
        st = render_exemplar(p, t, s->separator, line, n, err);
        if (st != RT_OK) {
            st = rt_wrap(err, st, "%s:%zu", s->exemplars_path, i_line);
            goto out;
        }
    }
    if (p->n_exemplars == 0)
        st = rt_fail(err, RT_CORRUPT,
                     "%s: holds no exemplar; leave the setting empty for a prompt "
                     "without exemplars",
                     s->exemplars_path);
out:
    template_free(t);
    rt_buf_free(&file);
    return st;
}

/* Lengths go in too, so that text moved from one part to the next gives another hash. */
static void hash_profile(prompt_profile *p, const char *question)
{
    rt_sha256 state;
    uint64_t n[2] = {p->prefix.n, strlen(question)};
    rt_sha256_begin(&state);
    rt_sha256_add(&state, n, sizeof n);
    if (p->prefix.n > 0) rt_sha256_add(&state, p->prefix.data, p->prefix.n);
    rt_sha256_add(&state, question, strlen(question));
    if (p->reasoning) rt_sha256_add(&state, "reasoning", 9);
    rt_sha256_end(&state, p->hash);
}

static rt_status lint_settings(const prompt_profile_settings *s, rt_error *err)
{
    rt_status st = prompt_lint_reasoning("prompt.instruction", s->instruction, err);
    return st != RT_OK ? st : prompt_lint_reasoning("prompt.template", s->question_template, err);
}

rt_status prompt_profile_new(const prompt_profile_settings *settings, prompt_profile **out,
                             rt_error *err)
{
    static const char *const allowed[] = {"input"};
    prompt_profile *p = rt_calloc(1, sizeof *p);
    if (p == NULL) return rt_fail(err, RT_NOMEM, "prompt profile");
    p->reasoning = settings->reasoning;
    rt_status st = settings->reasoning ? lint_settings(settings, err) : RT_OK;
    if (st == RT_OK)
        st = parse_checked(settings->question_template, "question template", allowed, 1, "{input}",
                           &p->question, err);
    if (st == RT_OK && template_n_fields(p->question) == 0)
        st = rt_fail(err, RT_INVALID,
                     "question template: {input} is missing, every prompt would "
                     "be the same");
    if (st == RT_OK && settings->instruction[0] != '\0') {
        st = rt_buf_add_text(&p->prefix, settings->instruction, err);
        if (st == RT_OK) st = rt_buf_add_text(&p->prefix, settings->separator, err);
    }
    if (st == RT_OK && settings->exemplars_path[0] != '\0') st = read_exemplars(p, settings, err);
    if (st == RT_OK) {
        hash_profile(p, settings->question_template);
        *out = p;
        p = NULL;
    }
    prompt_profile_free(p);
    return st;
}

rt_status prompt_profile_render(const prompt_profile *p, const char *input, rt_buf *out,
                                rt_error *err)
{
    size_t n_before = out->n;
    rt_buf tagged = {0};
    template_pair pair = {.name = "input", .value = input};
    rt_status st = p->reasoning ? tag_input(input, &tagged, err) : RT_OK;
    if (st != RT_OK) return st;
    if (p->reasoning) pair.value = tagged.data;
    st = rt_buf_add(out, p->prefix.n > 0 ? p->prefix.data : "", p->prefix.n, err);
    if (st == RT_OK) st = template_render_pairs(p->question, &pair, 1, out, err);
    rt_buf_free(&tagged);
    if (st != RT_OK && out->data != NULL) {
        out->n = n_before;
        out->data[n_before] = '\0';
    }
    return st;
}

const char *prompt_profile_hash(const prompt_profile *p)
{
    return p->hash;
}

size_t prompt_profile_n_exemplars(const prompt_profile *p)
{
    return p->n_exemplars;
}
