/* A coordinator and `retort serve` are asked over HTTP, workers by their signs of life, and of every
 * process the kernel is asked. Where to ask stands on the process's own command line. */
#include "cli/process_probe.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/launch/launcher.h"
#include "cli/stats_client.h"
#include "common/base/clock.h"
#include "common/base/fs.h"

#define TIMEOUT_MS    5000
#define CMDLINE_MAX   ((size_t)1 << 20)
#define WORDS_MAX     4096
#define ADDRESS_BYTES 256

/* What can be asked of a process; "" where there is nothing to ask. */
typedef struct probe_target {
    char address[ADDRESS_BYTES];
    const char *path;
    char alive_file[PATH_MAX];
} probe_target;

/* "0.0.0.0:80" is where it listens; it is asked on loopback. */
static void set_address(probe_target *t, const char *host, const char *port)
{
    bool any4 = strcmp(host, "0.0.0.0") == 0 || host[0] == '\0';
    bool any6 = strcmp(host, "[::]") == 0 || strcmp(host, "::") == 0;
    snprintf(t->address, sizeof t->address, "%s:%s",
             any4   ? "127.0.0.1"
             : any6 ? "[::1]"
                    : host,
             port);
}

static rt_status address_of_coordinator(const options *o, probe_target *out, rt_error *err)
{
    char run_dir[PATH_MAX], host[ADDRESS_BYTES];
    config *c = NULL;
    rt_status st = options_load_config(o, &c, err);
    if (st != RT_OK) return st;
    const char *colon = strrchr(c->net.http, ':');
    if (strcmp(c->net.http, "off") == 0) {
        out->address[0] = '\0';
    } else if (colon != NULL && strcmp(colon, ":0") != 0) {
        snprintf(host, sizeof host, "%.*s", (int)(colon - c->net.http), c->net.http);
        set_address(out, host, colon + 1);
    } else { /* any free port: the coordinator wrote down which */
        st = launch_run_dir(c, run_dir, sizeof run_dir, err);
        if (st == RT_OK) st = stats_address(run_dir, out->address, sizeof out->address, err);
    }
    config_free(c);
    return st;
}

static rt_status alive_file_of(const options *o, probe_target *out, rt_error *err)
{
    config *c = NULL;
    rt_status st = options_load_config(o, &c, err);
    if (st == RT_OK) snprintf(out->alive_file, sizeof out->alive_file, "%s", c->net.alive_file);
    config_free(c);
    return st;
}

static rt_status address_of_serve(const options *o, probe_target *out, rt_error *err)
{
    (void)err;
    if (strcmp(options_value(o, "--port"), "0") == 0) return RT_OK; /* any: nobody knows which */
    out->path = "/health";
    set_address(out, options_value(o, "--bind"), options_value(o, "--port"));
    return RT_OK;
}

/* What a process that was started with these words (without the program's name) can be asked. */
static rt_status target_of(int argc, char *const *argv, probe_target *out, rt_error *err)
{
    const struct {
        const command *command;
        rt_status (*find)(const options *o, probe_target *out, rt_error *err);
    } all[] = {{&cmd_coordinator, address_of_coordinator},
               {&cmd_serve, address_of_serve},
               {&cmd_teacher, alive_file_of},
               {&cmd_student, alive_file_of},
               {&cmd_server, alive_file_of}};
    for (size_t i = 0; argc > 0 && i < RT_COUNT(all); i++) {
        options *o = NULL;
        if (strcmp(argv[0], all[i].command->name) != 0) continue;
        rt_status st = options_parse(all[i].command->options, 0, 0, argc - 1, argv + 1, &o, err);
        if (st == RT_OK) st = all[i].find(o, out, err);
        options_free(o);
        return st;
    }
    return RT_OK;
}

static rt_status read_proc(uint64_t pid, const char *file, rt_buf *out, rt_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%llu/%s", (unsigned long long)pid, file);
    rt_status st = rt_fs_read(path, CMDLINE_MAX, out, err);
    if (st == RT_NOTFOUND)
        return rt_fail(err, RT_UNAVAILABLE, "there is no process %llu", (unsigned long long)pid);
    return st;
}

/* Refuses a process that is stopped (T, t), dead (X) or left unburied (Z). The state is the first
 * letter after the last ')': the name before it may hold anything. */
static rt_status check_state(uint64_t pid, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = read_proc(pid, "stat", &text, err);
    const char *end = st == RT_OK && text.n > 0 ? memrchr(text.data, ')', text.n) : NULL;
    if (st == RT_OK && (end == NULL || end + 2 >= text.data + text.n))
        st = rt_fail(err, RT_CORRUPT, "/proc/%llu/stat has no state", (unsigned long long)pid);
    if (st == RT_OK && strchr("TtXxZ", end[2]) != NULL)
        st = rt_fail(err, RT_UNAVAILABLE, "process %llu is in state %c: stopped or dead",
                     (unsigned long long)pid, end[2]);
    rt_buf_free(&text);
    return st;
}

static rt_status target_of_process(uint64_t pid, probe_target *out, rt_error *err)
{
    rt_buf line = {0};
    char **words = rt_calloc(WORDS_MAX, sizeof *words);
    int n = 0;
    rt_status st = words == NULL ? rt_fail(err, RT_NOMEM, "command line") : RT_OK;
    if (st == RT_OK) st = read_proc(pid, "cmdline", &line, err);
    if (st == RT_OK) st = rt_buf_add(&line, "", 1, err);
    for (char *w = line.data; st == RT_OK && w + 1 < line.data + line.n && n < WORDS_MAX;
         w += strlen(w) + 1)
        words[n++] = w;
    if (st == RT_OK) st = target_of(n - 1, words + 1, out, err);
    rt_buf_free(&line);
    free(words);
    return st;
}

rt_status file_probe(const char *alive_file, const alive_limits *limits, rt_error *err)
{
    alive_sign sign;
    rt_status st = alive_sign_read(alive_file, &sign, err);
    return st == RT_OK ? alive_sign_judge(&sign, rt_clock_mono_ms(), limits, err) : st;
}

rt_status address_probe(const char *address, const char *path, rt_error *err)
{
    rt_buf body = {0};
    rt_status st = stats_get(address, path, NULL, TIMEOUT_MS, &body, err);
    rt_buf_free(&body);
    return st;
}

rt_status process_probe(uint64_t pid, const alive_limits *limits, rt_error *err)
{
    probe_target target = {.path = limits->heard_max_ms > 0 ? "/readyz" : "/healthz"};
    rt_status st = check_state(pid, err);
    if (st == RT_OK) st = target_of_process(pid, &target, err);
    if (st == RT_OK && target.address[0] != '\0')
        st = address_probe(target.address, target.path, err);
    if (st == RT_OK && target.alive_file[0] != '\0')
        st = file_probe(target.alive_file, limits, err);
    return st;
}
