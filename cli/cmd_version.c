#include <hiredis/hiredis.h>
#include <jansson.h>
#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <zmq.h>

#include "cli/command.h"

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* Present only where the program links OpenBLAS: the rest of it must not depend on that. */
extern char *openblas_get_config(void) __attribute__((weak));

/* What speed and bits depend on; other flags of a CPU are left out. */
static const char *const cpu_flags[] = {"avx2",     "fma",      "avx512f", "avx512_bf16",
                                        "amx_tile", "amx_bf16", "asimd",   "sve"};

/* Value of the first line "key : value" of /proc/cpuinfo, or NULL. Returns new; free(). */
static char *read_cpuinfo(const char *key)
{
    char *line = NULL, *value = NULL;
    size_t n_line = 0;
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL) return NULL;
    while (value == NULL && getline(&line, &n_line, f) > 0) {
        char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0) continue;
        char *after = line + strlen(key);
        if (after + strspn(after, " \t") != colon) continue;
        colon += 1 + strspn(colon + 1, " \t");
        value = rt_strndup(colon, strcspn(colon, "\n"));
    }
    free(line);
    fclose(f);
    return value;
}

static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += n)
        if ((at == text || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) return true;
    return false;
}

static json_t *describe_cpu(void)
{
    char *model = read_cpuinfo("model name"), *flags = read_cpuinfo("flags");
    if (flags == NULL) flags = read_cpuinfo("Features");
    json_t *features = json_array();
    for (size_t i = 0; flags != NULL && i < RT_COUNT(cpu_flags); i++)
        if (has_word(flags, cpu_flags[i]))
            json_array_append_new(features, json_string(cpu_flags[i]));
    json_t *cpu =
        json_pack("{s:s,s:o}", "model", model != NULL ? model : "unknown", "features", features);
    free(model);
    free(flags);
    return cpu;
}

static json_t *describe_libraries(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    json_t *libraries = json_object();
    json_object_set_new(libraries, "zmq", json_sprintf("%d.%d.%d", major, minor, patch));
    json_object_set_new(libraries, "protobuf-c", json_string(protobuf_c_version()));
    json_object_set_new(libraries, "hiredis",
                        json_sprintf("%d.%d.%d", HIREDIS_MAJOR, HIREDIS_MINOR, HIREDIS_PATCH));
    json_object_set_new(libraries, "jansson", json_string(jansson_version_str()));
    json_object_set_new(libraries, "yaml", json_string(yaml_get_version_string()));
    if (openblas_get_config != NULL)
        json_object_set_new(libraries, "openblas", json_string(openblas_get_config()));
    return libraries;
}

static int run_version(const options *o)
{
    json_t *root = json_pack("{s:s,s:s,s:o,s:o}", "version", RT_VERSION, "compiler", COMPILER,
                             "cpu", describe_cpu(), "libraries", describe_libraries());
    if (root == NULL) {
        rt_error err = {0};
        rt_fail(&err, RT_NOMEM, "version");
        return command_fail(o, &err);
    }
    if (options_json(o)) {
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        const char *key;
        json_t *value, *cpu = json_object_get(root, "cpu");
        size_t i;
        printf("retort %s\ncompiler    %s\ncpu         %s\nfeatures   ", RT_VERSION, COMPILER,
               json_string_value(json_object_get(cpu, "model")));
        json_array_foreach(json_object_get(cpu, "features"), i, value)
            printf(" %s", json_string_value(value));
        putchar('\n');
        json_object_foreach(json_object_get(root, "libraries"), key, value)
            printf("%-11s %s\n", key, json_string_value(value));
    }
    json_decref(root);
    return EXIT_CODE_OK;
}

const command cmd_version = {
    .name = "version",
    .summary = "print the version, the CPU and the libraries in use",
    .synopsis = "[--json]",
    .description = "Prints what a report about Retort should say: the program's version, the CPU\n"
                   "and those of its features that speed and the last bits of results depend on,\n"
                   "and the versions of the libraries in use.\n",
    .examples = "retort version --json\n",
    .run = run_version,
};
