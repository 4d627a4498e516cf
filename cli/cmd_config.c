#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/named_files.h"
#include "common/base/fs.h"
#include "common/conf/settings.h"

static json_t *json_of_setting(const config *c, const setting *s)
{
    const char *field = (const char *)c + s->offset;
    switch (s->type) {
    case SETTING_TEXT:
    case SETTING_SECRET: return json_string(*(char *const *)field);
    case SETTING_LIST: {
        const text_list *list = (const text_list *)field;
        json_t *items = json_array();
        for (unsigned i = 0; i < list->n; i++)
            json_array_append_new(items, json_string(list->items[i]));
        return items;
    }
    case SETTING_U64: return json_integer((json_int_t) * (const uint64_t *)field);
    case SETTING_DOUBLE: return json_real(*(const double *)field);
    case SETTING_BOOL: return json_boolean(*(const bool *)field);
    case SETTING_ENUM: return json_string(s->names[*(const answer_kind *)field]);
    }
    return NULL;
}

/* The whole config as JSON, in sections as in the file. */
static json_t *json_of_config(const config *c)
{
    json_t *root = json_object();
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        json_t *into = root;
        if (s->section[0] != '\0') {
            into = json_object_get(root, s->section);
            if (into == NULL) {
                into = json_object();
                json_object_set_new(root, s->section, into);
            }
        }
        json_object_set_new(into, s->key, json_of_setting(c, s));
    }
    return root;
}

static json_t *json_of_reference(void)
{
    static const char *const types[] = {"text", "secret", "list", "u64", "double", "bool", "enum"};
    json_t *root = json_array();
    for (size_t i = 0; i < settings_count(); i++) {
        const setting *s = settings_at(i);
        json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b}", "setting", s->path, "type",
                                types[s->type], "default", s->default_text, "unit", s->unit, "help",
                                s->help, "decides_student", (int)s->decides_student);
        if (s->type == SETTING_U64 || s->type == SETTING_DOUBLE) {
            json_object_set_new(row, "min", json_real(s->min));
            json_object_set_new(row, "max", json_real(s->max));
        }
        if (s->names != NULL) {
            json_t *names = json_array();
            for (size_t j = 0; s->names[j] != NULL; j++)
                json_array_append_new(names, json_string(s->names[j]));
            json_object_set_new(row, "names", names);
        }
        json_array_append_new(root, row);
    }
    return root;
}

static void print_json(json_t *root, size_t flags)
{
    json_dumpf(root, stdout, flags);
    putchar('\n');
    json_decref(root);
}

/* What `check` found wrong, in both forms. */
typedef struct problems {
    json_t *list;
    bool quiet; /* JSON is printed at the end instead */
} problems;

static void add_problem(void *context, const char *path, const char *message)
{
    problems *p = context;
    json_array_append_new(p->list, json_pack("{s:s,s:s}", "setting", path, "message", message));
    if (!p->quiet) fprintf(stderr, "retort: %s: %s\n", path, message);
}

static int run_check(const options *o, const config *c)
{
    problems p = {.list = json_array(), .quiet = options_json(o)};
    size_t n_named = 0;
    size_t n = named_files_check(c, add_problem, &p, &n_named);
    if (options_json(o)) {
        json_t *root = n == 0
                           ? json_pack("{s:b,s:O}", "ok", 1, "problems", p.list)
                           : json_pack("{s:{s:s,s:s},s:O}", "error", "status", "invalid", "message",
                                       "the settings name what is not here", "problems", p.list);
        print_json(root, JSON_COMPACT);
    } else if (n == 0) {
        printf("%s: settings are valid, and every file they name is here\n",
               options_config_path(o));
    }
    json_decref(p.list);
    return n == 0 ? EXIT_CODE_OK : EXIT_CODE_USAGE;
}

static int run_validate(const options *o, const config *c, const char *fingerprint)
{
    if (options_json(o))
        print_json(json_pack("{s:b,s:s,s:s}", "ok", 1, "name", c->name, "fingerprint", fingerprint),
                   JSON_COMPACT);
    else
        printf("%s: settings are valid (fingerprint %s)\n", options_config_path(o), fingerprint);
    return EXIT_CODE_OK;
}

static int run_print(const options *o, const config *c)
{
    rt_buf yaml = {0};
    rt_error err = {0};
    int code = EXIT_CODE_OK;
    if (options_json(o))
        print_json(json_of_config(c), JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    else if (config_print(c, &yaml, &err) == RT_OK)
        fwrite(yaml.data, 1, yaml.n, stdout);
    else
        code = command_fail(o, &err);
    rt_buf_free(&yaml);
    return code;
}

static int run_reference(const options *o)
{
    rt_buf text = {0};
    rt_error err = {0};
    int code = EXIT_CODE_OK;
    if (options_json(o))
        print_json(json_of_reference(), JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    else if (config_reference(&text, &err) == RT_OK)
        fwrite(text.data, 1, text.n, stdout);
    else
        code = command_fail(o, &err);
    rt_buf_free(&text);
    return code;
}

static int run_config(const options *o)
{
    static const char *const actions[] = {"validate", "print", "check", "reference", NULL};
    const char *action = options_arg(o, 0);
    rt_error err = {0};
    config *c = NULL;
    char fingerprint[33];
    int code;
    size_t i = 0;
    while (actions[i] != NULL && strcmp(actions[i], action) != 0) i++;
    if (actions[i] == NULL) {
        const char *nearest = options_nearest(action, actions);
        rt_fail(&err, RT_INVALID,
                "config: found '%.100s', expected validate, print, check or reference%s%s%s",
                action, nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
                nearest != NULL ? "?" : "");
        return command_fail(o, &err);
    }
    if (strcmp(action, "reference") == 0) return run_reference(o);
    if (options_load_config(o, &c, &err) != RT_OK ||
        config_fingerprint(c, fingerprint, &err) != RT_OK) {
        code = command_fail(o, &err);
        goto out;
    }
    if (strcmp(action, "validate") == 0)
        code = run_validate(o, c, fingerprint);
    else if (strcmp(action, "print") == 0)
        code = run_print(o, c);
    else
        code = run_check(o, c);
out:
    config_free(c);
    return code;
}

const command cmd_config = {
    .name = "config",
    .summary = "check and show the settings of a run",
    .synopsis = "validate [--config FILE] [--set KEY=VALUE]...\n"
                "print [--config FILE] [--set KEY=VALUE]...\n"
                "check [--config FILE] [--set KEY=VALUE]...\n"
                "reference\n",
    .description = "validate   reads the settings and says what is wrong, with file, line and\n"
                   "           setting; starts nothing and opens no other file.\n"
                   "print      shows every setting as resolved, defaults included, as a config\n"
                   "           file that loads again. A secret is shown as it is written, never\n"
                   "           its value.\n"
                   "check      validates, and looks whether every file, model and secret that the\n"
                   "           settings name is here and can be read.\n"
                   "reference  lists every setting with its range, default and meaning.\n",
    .examples = "retort config validate --config gsm8k.yaml\n"
                "retort config print --set train.steps=500 --json\n"
                "retort config check --config gsm8k.yaml --set 'corpus.files=[\"a.jsonl\"]'\n",
    .n_args_min = 1,
    .n_args_max = 1,
    .words = "validate print check reference",
    .run = run_config,
};
