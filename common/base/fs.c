#include "common/base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fault_point.h"

rt_status rt_fs_read(const char *path, size_t max_bytes, rt_buf *out, rt_error *err)
{
    rt_status st = RT_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return rt_fail(err, errno == ENOENT ? RT_NOTFOUND : RT_IO, "open %s: %s", path,
                       strerror(errno));
    rt_buf_clear(out);
    for (;;) {
        if ((st = rt_buf_reserve(out, 65536, err)) != RT_OK) break;
        ssize_t n = read(fd, out->data + out->n, 65536);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            st = rt_fail(err, RT_IO, "read %s: %s", path, strerror(errno));
            break;
        }
        if (n == 0) break;
        out->n += (size_t)n;
        out->data[out->n] = '\0';
        if (out->n > max_bytes) {
            st = rt_fail(err, RT_FULL, "%s: larger than the limit of %zu bytes", path, max_bytes);
            break;
        }
    }
    if (st == RT_OK && out->data != NULL) out->data[out->n] = '\0';
    close(fd);
    return st;
}

rt_status rt_fs_write_all(int fd, const void *bytes, size_t n_bytes, const char *name,
                          rt_error *err)
{
    const char *p = bytes;
    int refused = fault_write(fd, bytes, n_bytes, name);
    if (refused != 0) return rt_fail(err, RT_IO, "write %s: %s", name, strerror(refused));
    while (n_bytes > 0) {
        ssize_t n = write(fd, p, n_bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return rt_fail(err, RT_IO, "write %s: %s", name, strerror(errno));
        p += n;
        n_bytes -= (size_t)n;
    }
    return RT_OK;
}

rt_status rt_fs_sync_parent(const char *path, rt_error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return rt_fs_sync_dir(".", err);
    if (slash == path) return rt_fs_sync_dir("/", err);
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return rt_fs_sync_dir(folder, err);
}

rt_status rt_fs_write_atomic(const char *path, const void *bytes, size_t n_bytes, rt_error *err)
{
    char tmp[PATH_MAX];
    int n = snprintf(tmp, sizeof tmp, "%s.tmp-%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof tmp) return rt_fail(err, RT_FULL, "path too long: %s", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return rt_fail(err, RT_IO, "create %s: %s", tmp, strerror(errno));

    rt_status st = rt_fs_write_all(fd, bytes, n_bytes, tmp, err);
    if (st == RT_OK && fsync(fd) != 0)
        st = rt_fail(err, RT_IO, "fsync %s: %s", tmp, strerror(errno));
    if (close(fd) != 0 && st == RT_OK)
        st = rt_fail(err, RT_IO, "close %s: %s", tmp, strerror(errno));
    if (st == RT_OK && rename(tmp, path) != 0)
        st = rt_fail(err, RT_IO, "rename %s to %s: %s", tmp, path, strerror(errno));
    if (st != RT_OK) {
        unlink(tmp);
        return st;
    }
    return rt_fs_sync_parent(path, err);
}

rt_status rt_fs_mkdirs(const char *path, rt_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) return rt_fail(err, RT_INVALID, "folder name '%s'", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0755) == 0) {
            rt_status st = rt_fs_sync_parent(part, err);
            if (st != RT_OK) return st;
        } else if (errno != EEXIST) {
            return rt_fail(err, RT_IO, "make folder %s: %s", part, strerror(errno));
        }
    }
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode))
        return rt_fail(err, RT_IO, "%s exists and is not a folder", path);
    return RT_OK;
}

rt_status rt_fs_sync_dir(const char *path, rt_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return rt_fail(err, RT_IO, "open folder %s: %s", path, strerror(errno));
    rt_status st = RT_OK;
    /* Some file systems cannot sync a folder and say EINVAL: nothing more can be done there. */
    if (fsync(fd) != 0 && errno != EINVAL)
        st = rt_fail(err, RT_IO, "fsync folder %s: %s", path, strerror(errno));
    close(fd);
    return st;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

rt_status rt_fs_remove_tree(const char *path, rt_error *err)
{
    if (!rt_fs_exists(path)) return RT_OK;
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        return rt_fail(err, RT_IO, "remove %s: %s", path, strerror(errno));
    return RT_OK;
}

bool rt_fs_exists(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0;
}

rt_status rt_fs_join(char *out, size_t n_out, const char *folder, const char *name, rt_error *err)
{
    size_t n = strlen(folder);
    const char *slash = n > 0 && folder[n - 1] == '/' ? "" : "/";
    int k = snprintf(out, n_out, "%s%s%s", folder, slash, name);
    if (k < 0 || (size_t)k >= n_out)
        return rt_fail(err, RT_FULL, "path too long: %s/%s", folder, name);
    return RT_OK;
}
