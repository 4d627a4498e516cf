#include "cli/named_files.h"

#include <errno.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/conf/document.h"

typedef struct looking {
    named_files_problem say;
    void *context;
    size_t n_named, n_problems;
} looking;

static void add_problem(looking *k, const char *path, const char *what, const char *message)
{
    char text[1400];
    size_t i_bad;
    snprintf(text, sizeof text, "%.300s%s%s", what, what[0] != '\0' ? ": " : "", message);
    while (!text_is_utf8(text, strlen(text), &i_bad)) text[i_bad] = '?';
    k->n_problems++;
    k->say(k->context, path, text);
}

static void check_readable(looking *k, const char *path, const char *file)
{
    if (file[0] == '\0') return;
    k->n_named++;
    if (access(file, R_OK) != 0) add_problem(k, path, file, strerror(errno));
}

static void check_files(looking *k, const char *path, const text_list *files)
{
    for (unsigned i = 0; i < files->n; i++) {
        glob_t found = {0};
        int rc = glob(files->items[i], GLOB_NOMAGIC, NULL, &found);
        if (rc == GLOB_NOMATCH) add_problem(k, path, files->items[i], "no file matches");
        if (rc != 0 && rc != GLOB_NOMATCH) add_problem(k, path, files->items[i], strerror(errno));
        for (size_t j = 0; rc == 0 && j < found.gl_pathc; j++)
            check_readable(k, path, found.gl_pathv[j]);
        globfree(&found);
    }
}

static void check_secret(looking *k, const char *path, const char *written)
{
    rt_buf secret = {0};
    rt_error err = {0};
    if (config_secret(path, written, &secret, &err) != RT_OK) add_problem(k, path, "", err.text);
    if (secret.data != NULL) explicit_bzero(secret.data, secret.n);
    rt_buf_free(&secret);
}

/* A server's teacher: its files and secrets, and the texts that must be JSON. */
static void check_openai(looking *k, const config *c)
{
    json_error_t why = {0};
    const teacher_config *t = &c->teacher;
    json_t *schema = NULL, *extra = NULL;
    check_secret(k, "teacher.api_key", t->api_key);
    check_secret(k, "teacher.proxy_login", t->proxy_login);
    check_readable(k, "teacher.ca_file", t->ca_file);
    if (t->schema_file[0] != '\0') {
        k->n_named++;
        schema = json_load_file(t->schema_file, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(schema))
            add_problem(k, "teacher.schema_file", t->schema_file,
                        schema != NULL ? "is no JSON object" : why.text);
    }
    if (t->extra_body[0] != '\0') {
        extra = json_loads(t->extra_body, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(extra))
            add_problem(k, "teacher.extra_body", "",
                        extra != NULL ? "is no JSON object" : why.text);
    }
    json_decref(schema);
    json_decref(extra);
}

static void check_teacher(looking *k, const config *c)
{
    if (c->teacher.backend == TEACHER_RECORDED) check_files(k, "teacher.files", &c->teacher.files);
    if (c->teacher.backend == TEACHER_NATIVE) check_readable(k, "teacher.model", c->teacher.model);
    if (c->teacher.backend == TEACHER_OPENAI) check_openai(k, c);
    check_readable(k, "prompt.exemplars", c->prompt.exemplars);
}

static void check_second_teacher(looking *k, const config *c)
{
    rt_error err = {0};
    config *second = NULL;
    if (c->escalate.config[0] == '\0') return;
    k->n_named++;
    if (config_load_second(c, &second, &err) == RT_OK)
        check_teacher(k, second);
    else
        add_problem(k, "escalate.config", "", err.text);
    config_free(second);
}

size_t named_files_check(const config *c, named_files_problem say, void *context, size_t *n_named)
{
    looking k = {.say = say, .context = context};
    check_files(&k, "corpus.files", &c->corpus.files);
    check_files(&k, "eval.files", &c->eval.files);
    check_teacher(&k, c);
    check_second_teacher(&k, c);
    check_readable(&k, "tokenizer.model", c->tokenizer.model);
    check_readable(&k, "student.init_from", c->student.init_from);
    check_readable(&k, "net.http_key_file", c->net.http_key_file);
    check_readable(&k, "net.keys", c->net.keys);
    check_readable(&k, "net.curve_key_file", c->net.curve_key_file);
    check_secret(&k, "queue.password", c->queue.password);
    check_readable(&k, "queue.ca_file", c->queue.ca_file);
    check_readable(&k, "queue.cert_file", c->queue.cert_file);
    check_readable(&k, "queue.key_file", c->queue.key_file);
    *n_named = k.n_named;
    return k.n_problems;
}
