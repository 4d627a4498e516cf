#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "common/base/fs.h"
#include "common/conf/document.h"
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
    size_t n;
    bool quiet; /* JSON is printed at the end instead */
} problems;

static void add_problem(problems *p, const char *path, const char *what, const char *message)
{
    char text[1400];
    size_t i_bad;
    snprintf(text, sizeof text, "%.300s%s%s", what, what[0] != '\0' ? ": " : "", message);
    while (!text_is_utf8(text, strlen(text), &i_bad)) text[i_bad] = '?';
    json_array_append_new(p->list, json_pack("{s:s,s:s}", "setting", path, "message", text));
    p->n++;
    if (!p->quiet) fprintf(stderr, "retort: %s: %s\n", path, text);
}

static void check_readable(problems *p, const char *path, const char *file)
{
    if (file[0] != '\0' && access(file, R_OK) != 0) add_problem(p, path, file, strerror(errno));
}

static void check_files(problems *p, const char *path, const text_list *files)
{
    for (unsigned i = 0; i < files->n; i++) {
        glob_t found = {0};
        int rc = glob(files->items[i], GLOB_NOMAGIC, NULL, &found);
        if (rc == GLOB_NOMATCH) add_problem(p, path, files->items[i], "no file matches");
        if (rc != 0 && rc != GLOB_NOMATCH) add_problem(p, path, files->items[i], strerror(errno));
        for (size_t j = 0; rc == 0 && j < found.gl_pathc; j++)
            check_readable(p, path, found.gl_pathv[j]);
        globfree(&found);
    }
}

static void check_secret(problems *p, const char *path, const char *written)
{
    rt_buf secret = {0};
    rt_error err = {0};
    if (config_secret(path, written, &secret, &err) != RT_OK) add_problem(p, path, "", err.text);
    if (secret.data != NULL) explicit_bzero(secret.data, secret.n);
    rt_buf_free(&secret);
}

/* A server's teacher: its files and secrets, and the texts that must be JSON. */
static void check_openai(const config *c, problems *p)
{
    json_error_t why = {0};
    const teacher_config *t = &c->teacher;
    json_t *schema = NULL, *extra = NULL;
    check_secret(p, "teacher.api_key", t->api_key);
    check_secret(p, "teacher.proxy_login", t->proxy_login);
    check_readable(p, "teacher.ca_file", t->ca_file);
    if (t->schema_file[0] != '\0') {
        schema = json_load_file(t->schema_file, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(schema))
            add_problem(p, "teacher.schema_file", t->schema_file,
                        schema != NULL ? "is no JSON object" : why.text);
    }
    if (t->extra_body[0] != '\0') {
        extra = json_loads(t->extra_body, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(extra))
            add_problem(p, "teacher.extra_body", "",
                        extra != NULL ? "is no JSON object" : why.text);
    }
    json_decref(schema);
    json_decref(extra);
}

static void check_teacher(const config *c, problems *p)
{
    if (c->teacher.backend == TEACHER_RECORDED) check_files(p, "teacher.files", &c->teacher.files);
    if (c->teacher.backend == TEACHER_NATIVE) check_readable(p, "teacher.model", c->teacher.model);
    if (c->teacher.backend == TEACHER_OPENAI) check_openai(c, p);
    check_readable(p, "prompt.exemplars", c->prompt.exemplars);
}

static void check_second_teacher(const config *c, problems *p)
{
    rt_error err = {0};
    config *second = NULL;
    if (c->escalate.config[0] == '\0') return;
    if (config_load_second(c, &second, &err) == RT_OK)
        check_teacher(second, p);
    else
        add_problem(p, "escalate.config", "", err.text);
    config_free(second);
}

/* Everything the settings name on this machine: input files, model folders, secrets. */
static void check_machine(const config *c, problems *p)
{
    check_files(p, "corpus.files", &c->corpus.files);
    check_files(p, "eval.files", &c->eval.files);
    check_teacher(c, p);
    check_second_teacher(c, p);
    check_readable(p, "tokenizer.model", c->tokenizer.model);
    check_readable(p, "student.init_from", c->student.init_from);
    check_readable(p, "net.curve_key_file", c->net.curve_key_file);
    check_secret(p, "queue.password", c->queue.password);
}

static int run_check(const options *o, const config *c)
{
    problems p = {.list = json_array(), .quiet = options_json(o)};
    check_machine(c, &p);
    size_t n = p.n;
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
    .run = run_config,
};
