#include "coordinator/run_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/fs.h"

#define CONFIG_BYTES_MAX (4u << 20)

static rt_status fail_held(const run_folder *folder, const char *holder, rt_error *err)
{
    return rt_fail(err, RT_EXISTS,
                   "run %s has a coordinator already (process %s); stop it, or choose another "
                   "run_dir",
                   folder->path, holder[0] == '\0' ? "unknown" : holder);
}

static rt_status take_lock(run_folder *folder, rt_error *err)
{
    char path[RUN_PATH_SIZE], holder[32] = "";
    rt_status st = run_folder_path(folder, "coordinator.lock", path, err);
    if (st != RT_OK) return st;
    folder->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (folder->lock_fd < 0) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    if (flock(folder->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return rt_fail(err, RT_IO, "lock %s: %s", path, strerror(errno));
        ssize_t n = pread(folder->lock_fd, holder, sizeof holder - 1, 0);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        return fail_held(folder, holder, err);
    }
    /* The number is for that message only; the lock itself is the kernel's. */
    int n = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(folder->lock_fd, 0) != 0 || pwrite(folder->lock_fd, holder, (size_t)n, 0) != n)
        return rt_fail(err, RT_IO, "write %s: %s", path, strerror(errno));
    return RT_OK;
}

/* A run directory belongs to one configuration, as far as it decides the student. */
static rt_status check_known_config(const run_folder *folder, const char *path, rt_error *err)
{
    config *known = NULL;
    char fingerprint[33];
    rt_error why = {0};
    if (!rt_fs_exists(path)) return RT_OK;
    rt_status st = config_load(path, NULL, &known, &why);
    if (st == RT_OK) st = config_fingerprint(known, fingerprint, &why);
    config_free(known);
    if (st != RT_OK)
        return rt_fail(err, st, "%s, written when this run began, cannot be read: %s", path,
                       why.text);
    if (strcmp(fingerprint, folder->fingerprint) == 0) return RT_OK;
    return rt_fail(
        err, RT_INVALID,
        "run %s was begun with other settings (fingerprint %s, now %s): go on with those "
        "of %s, or choose another run_dir, or remove that folder to begin anew",
        folder->path, fingerprint, folder->fingerprint, path);
}

static rt_status keep_config(const config *c, run_folder *folder, rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_buf text = {0};
    rt_status st = run_folder_path(folder, "config.yaml", path, err);
    folder->is_new = st == RT_OK && !rt_fs_exists(path);
    if (st == RT_OK) st = check_known_config(folder, path, err);
    if (st == RT_OK) st = config_print(c, &text, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, text.data, text.n, err);
    rt_buf_free(&text);
    return st;
}

static rt_status find_path(const config *c, run_folder *folder, rt_error *err)
{
    size_t size = sizeof folder->path;
    int n = c->run_dir[0] != '\0' ? snprintf(folder->path, size, "%s", c->run_dir)
                                  : snprintf(folder->path, size, "runs/%s", c->name);
    if (n >= 0 && (size_t)n < size - 64) return RT_OK;
    return rt_fail(err, RT_INVALID, "run_dir: the path is longer than %zu bytes", size - 64);
}

/* A shared lock is refused while a coordinator holds its own; it is given back at once. */
static rt_status look_at_lock(const run_folder *folder, rt_error *err)
{
    char path[RUN_PATH_SIZE], holder[32] = "";
    rt_status st = run_folder_path(folder, "coordinator.lock", path, err);
    if (st != RT_OK) return st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return RT_OK;
    if (fd < 0) return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        st = fail_held(folder, holder, err);
    }
    close(fd);
    return st;
}

rt_status run_folder_look(const config *c, run_folder *out, rt_error *err)
{
    run_folder folder = {.lock_fd = -1};
    char path[RUN_PATH_SIZE];
    rt_status st = find_path(c, &folder, err);
    if (st != RT_OK) return st;
    *out = folder;
    st = config_fingerprint(c, folder.fingerprint, err);
    if (st == RT_OK) st = run_folder_path(&folder, "config.yaml", path, err);
    if (st != RT_OK) return st;
    folder.is_new = !rt_fs_exists(path);
    *out = folder;
    st = check_known_config(&folder, path, err);
    return st == RT_OK ? look_at_lock(&folder, err) : st;
}

rt_status run_folder_hold(const config *c, run_folder *out, rt_error *err)
{
    run_folder folder = {.lock_fd = -1};
    rt_status st = find_path(c, &folder, err);
    if (st == RT_OK && !rt_fs_exists(folder.path))
        st = rt_fail(err, RT_NOTFOUND, "%s does not exist: has this run started?", folder.path);
    if (st == RT_OK) st = take_lock(&folder, err);
    if (st == RT_OK)
        *out = folder;
    else
        run_folder_close(&folder);
    return st;
}

rt_status run_folder_open(const config *c, run_folder *out, rt_error *err)
{
    run_folder folder = {.lock_fd = -1};
    rt_status st = find_path(c, &folder, err);
    if (st == RT_OK) st = config_fingerprint(c, folder.fingerprint, err);
    if (st == RT_OK) st = rt_fs_mkdirs(folder.path, err);
    if (st == RT_OK) st = take_lock(&folder, err);
    if (st == RT_OK) st = keep_config(c, &folder, err);
    if (st != RT_OK) {
        run_folder_close(&folder);
        return st;
    }
    *out = folder;
    return RT_OK;
}

void run_folder_close(run_folder *folder)
{
    if (folder == NULL || folder->lock_fd < 0) return;
    close(folder->lock_fd);
    folder->lock_fd = -1;
}

rt_status run_folder_path(const run_folder *folder, const char *name, char out[RUN_PATH_SIZE],
                          rt_error *err)
{
    return rt_fs_join(out, RUN_PATH_SIZE, folder->path, name, err);
}

rt_status run_folder_announce(const run_folder *folder, const char *endpoint, const char *http,
                              rt_error *err)
{
    char path[RUN_PATH_SIZE];
    rt_status st = run_folder_path(folder, "coordinator.json", path, err);
    if (st != RT_OK) return st;
    json_t *top = json_pack("{s:s, s:s, s:I}", "endpoint", endpoint, "http", http, "pid",
                            (json_int_t)getpid());
    char *text = top == NULL ? NULL : json_dumps(top, JSON_INDENT(2));
    st = text == NULL ? rt_fail(err, RT_NOMEM, "%s", path)
                      : rt_fs_write_atomic(path, text, strlen(text), err);
    free(text);
    json_decref(top);
    return st;
}
