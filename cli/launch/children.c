#include "cli/launch/children.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

#define ARGV_MAX      128
#define LOG_TAIL_MAX  (1u << 30)
#define LOG_TAIL_ROWS 6

rt_status launch_run_dir(const config *c, char *out, size_t n_out, rt_error *err)
{
    int n = c->run_dir[0] != '\0' ? snprintf(out, n_out, "%s", c->run_dir)
                                  : snprintf(out, n_out, "runs/%s", c->name);
    if (n < 0 || (size_t)n >= n_out) return rt_fail(err, RT_FULL, "run directory: name too long");
    return RT_OK;
}

static rt_status add_set(children *all, rt_error *err, const char *fmt, ...) RT_PRINTF(3, 4);
static rt_status add_set(children *all, rt_error *err, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    RT_ASSERT(all->n_sets < RT_COUNT(all->sets));
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) return rt_fail(err, RT_NOMEM, "launcher settings");
    all->sets[all->n_sets++] = text;
    return RT_OK;
}

static rt_status choose_places(children *all, rt_error *err)
{
    const config *c = all->config;
    unsigned port = 0;
    rt_status st = add_set(all, err, "run_dir=%s", all->run_dir);
    if (st == RT_OK && c->net.coordinator[0] == '\0') {
        if ((st = local_free_port(&port, err)) != RT_OK) return st;
        st = add_set(all, err, "net.coordinator=tcp://127.0.0.1:%u", port);
    }
    if (st == RT_OK && c->net.http[0] == '\0') {
        if ((st = local_free_port(&port, err)) != RT_OK) return st;
        snprintf(all->http, sizeof all->http, "127.0.0.1:%u", port);
        st = add_set(all, err, "net.http=%s", all->http);
    } else if (strcmp(c->net.http, "off") != 0) {
        snprintf(all->http, sizeof all->http, "%.63s", c->net.http);
    }
    all->own_redis = c->queue.url[0] == '\0';
    if (st == RT_OK && all->own_redis) {
        if ((st = local_redis_place(all->run_dir, &all->redis, err)) != RT_OK) return st;
        st = add_set(all, err, "queue.url=unix:%s", all->redis.socket);
    }
    return st;
}

static void add_role(children *all, child_role role, const char *name, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        child *one = &all->items[all->n++];
        *one = (child){.role = role, .index = (unsigned)i};
        if (role == CHILD_REDIS || role == CHILD_COORDINATOR)
            snprintf(one->name, sizeof one->name, "%s", name);
        else
            snprintf(one->name, sizeof one->name, "%s-%u", name, (unsigned)i);
    }
}

rt_status children_plan(const config *c, const launch_options *how, children *out, rt_error *err)
{
    char logs[4096];
    children all = {.config = c, .how = how};
    bool trains = how->stage != LAUNCH_LABEL, labels = how->stage != LAUNCH_TRAIN;
    rt_status st = launch_run_dir(c, all.run_dir, sizeof all.run_dir, err);
    if (st == RT_OK) st = rt_fs_join(logs, sizeof logs, all.run_dir, "logs", err);
    if (st == RT_OK) st = rt_fs_mkdirs(logs, err);
    if (st == RT_OK) st = choose_places(&all, err);
    if (st != RT_OK) goto out;

    size_t n = 2 + c->launch.servers + c->launch.students + c->launch.teachers;
    all.items = rt_calloc(n, sizeof *all.items);
    if (all.items == NULL) {
        st = rt_fail(err, RT_NOMEM, "%zu child processes", n);
        goto out;
    }
    add_role(&all, CHILD_REDIS, "redis", all.own_redis ? 1 : 0);
    add_role(&all, CHILD_COORDINATOR, "coordinator", 1);
    add_role(&all, CHILD_SERVER, "server", trains ? c->launch.servers : 0);
    add_role(&all, CHILD_STUDENT, "student", trains ? c->launch.students : 0);
    add_role(&all, CHILD_TEACHER, "teacher", labels ? c->launch.teachers : 0);
    *out = all;
    all = (children){0};
out:
    children_free(&all);
    return st;
}

void children_free(children *all)
{
    if (all->own_redis) local_redis_clean(&all->redis);
    for (size_t i = 0; i < all->n_sets; i++) free(all->sets[i]);
    free(all->items);
    *all = (children){0};
}

/* Arguments of one child. Everything is borrowed; `shard` is scratch for its number. */
static void compose_argv(children *all, const child *one, char shard[16], char **argv)
{
    static const char *const commands[] = {[CHILD_COORDINATOR] = "coordinator",
                                           [CHILD_SERVER] = "server",
                                           [CHILD_STUDENT] = "student",
                                           [CHILD_TEACHER] = "teacher"};
    static const char *const stages[] = {
        [LAUNCH_ALL] = "all", [LAUNCH_LABEL] = "label", [LAUNCH_TRAIN] = "train"};
    size_t n = 0;
    argv[n++] = "retort";
    argv[n++] = (char *)commands[one->role];
    argv[n++] = "--config";
    argv[n++] = (char *)all->how->config_path;
    for (const char *const *s = all->how->sets; s != NULL && *s != NULL && n < ARGV_MAX - 32; s++) {
        argv[n++] = "--set";
        argv[n++] = (char *)*s;
    }
    for (size_t i = 0; i < all->n_sets; i++) {
        argv[n++] = "--set";
        argv[n++] = all->sets[i];
    }
    if (all->how->log_level != NULL) {
        argv[n++] = "--log-level";
        argv[n++] = (char *)all->how->log_level;
    }
    snprintf(shard, 16, "%u", one->index);
    if (one->role == CHILD_SERVER) {
        argv[n++] = "--shard";
        argv[n++] = shard;
    } else if (one->role == CHILD_COORDINATOR) {
        argv[n++] = "--stage";
        argv[n++] = (char *)stages[all->how->stage];
        if (all->how->dataset != NULL) {
            argv[n++] = "--dataset";
            argv[n++] = (char *)all->how->dataset;
        }
    } else {
        argv[n++] = "--name";
        argv[n++] = (char *)one->name;
    }
    argv[n] = NULL;
}

static rt_status log_path_of(const children *all, const child *one, char out[4096], rt_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "logs/%s.log", one->name);
    return rt_fs_join(out, 4096, all->run_dir, name, err);
}

rt_status children_start(children *all, child *one, rt_error *err)
{
    char *argv[ARGV_MAX], shard[16], log_path[4096];
    if (one->role == CHILD_REDIS) return local_redis_start(&all->redis, &one->pid, err);
    rt_status st = log_path_of(all, one, log_path, err);
    if (st != RT_OK) return st;
    compose_argv(all, one, shard, argv);
    process_spec spec = {.path = PROCESS_SELF, .argv = argv, .log_path = log_path};
    return process_start(&spec, &one->pid, err);
}

void children_signal(children *all, int role, int number)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].pid > 0 && (role < 0 || (int)all->items[i].role == role))
            process_signal(all->items[i].pid, number);
}

size_t children_n_running(const children *all)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++) n += all->items[i].pid > 0;
    return n;
}

rt_status children_write_pids(const children *all, rt_error *err)
{
    char path[4096];
    rt_status st = rt_fs_join(path, sizeof path, all->run_dir, "launcher.json", err);
    if (st != RT_OK) return st;
    json_t *list = json_array();
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i].pid > 0)
            json_array_append_new(list, json_pack("{s:s, s:I}", "name", all->items[i].name, "pid",
                                                  (json_int_t)all->items[i].pid));
    json_t *root = json_pack("{s:I, s:s, s:o}", "pid", (json_int_t)getpid(), "http", all->http,
                             "children", list);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;
    st = text != NULL ? rt_fs_write_atomic(path, text, strlen(text), err)
                      : rt_fail(err, RT_NOMEM, "%s", path);
    free(text);
    json_decref(root);
    return st;
}

rt_status children_log_tail(const children *all, const child *one, rt_buf *out, rt_error *err)
{
    char path[4096];
    rt_buf whole = {0};
    rt_status st = log_path_of(all, one, path, err);
    if (st == RT_OK) st = rt_fs_read(path, LOG_TAIL_MAX, &whole, err);
    if (st == RT_OK) {
        size_t start = whole.n, n_rows = 0;
        while (start > 0 && n_rows <= LOG_TAIL_ROWS) n_rows += whole.data[--start] == '\n';
        if (start > 0) start++;
        st = rt_buf_add(out, whole.data + start, whole.n - start, err);
    }
    rt_buf_free(&whole);
    return st;
}
