/* Notes what a process asks of its disk, and what it tells Redis, in the order in which it does so; for
 * LD_PRELOAD. Each line of the file that DISK_CALLS_FILE names is PID, CALL, PATH and perhaps a second
 * PATH, with tabs between:
 *
 *     create PATH | write PATH | cut PATH | sync PATH | rename FROM TO | folder PATH | remove PATH
 *     redis XACK | redis XADD      bytes that hold this word were sent
 *
 * What makes something durable is noted after it was done, everything else before it is done: where the
 * line of a sync stands first, the sync was first. tests/faults/disk_order.py reads it.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ssize_t (*write_call)(int, const void *, size_t);
typedef int (*open_call)(const char *, int, ...);
typedef int (*fd_call)(int);
typedef int (*cut_call)(int, off_t);
typedef int (*path_call)(const char *);
typedef int (*mode_call)(const char *, mode_t);
typedef int (*rename_call)(const char *, const char *);

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static write_call real_write(void)
{
    static write_call call;
    if (call == NULL) *(void **)&call = real("write");
    return call;
}

static open_call real_open(void)
{
    static open_call call;
    if (call == NULL) *(void **)&call = real("open");
    return call;
}

static void absolute(const char *path, char out[PATH_MAX])
{
    char here[PATH_MAX / 2] = "";
    if (path[0] != '/' && getcwd(here, sizeof here) == NULL) here[0] = '\0';
    snprintf(out, PATH_MAX, "%s%s%.2000s", here, here[0] != '\0' ? "/" : "", path);
}

/* `other` may be NULL. */
static void note(const char *call, const char *path, const char *other)
{
    char first[PATH_MAX], second[PATH_MAX] = "", line[3 * PATH_MAX];
    const char *to = getenv("DISK_CALLS_FILE");
    if (to == NULL) return;
    absolute(path, first);
    if (other != NULL) absolute(other, second);
    int n = snprintf(line, sizeof line, "%ld\t%s\t%s%s%s\n", (long)getpid(), call, first,
                     other != NULL ? "\t" : "", second);
    int fd = real_open()(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return;
    ssize_t written = real_write()(fd, line, (size_t)n);
    (void)written; /* the reader misses it */
    close(fd);
}

/* Files and folders only. */
static void note_fd(const char *call, int fd)
{
    char link[64], path[PATH_MAX];
    struct stat info;
    if (fstat(fd, &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return;
    path[n] = '\0';
    note(call, path, NULL);
}

static void note_sent(int fd, const void *bytes, size_t n)
{
    static const char *const words[] = {"XACK", "XADD"};
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISSOCK(info.st_mode)) return;
    for (size_t i = 0; i < 2; i++)
        if (memmem(bytes, n, words[i], 4) != NULL) note("redis", words[i], NULL);
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    if (fd > STDERR_FILENO) {
        note_fd("write", fd);
        note_sent(fd, bytes, n);
    }
    return real_write()(fd, bytes, n);
}

static int sync_fd(const char *name, int fd)
{
    fd_call call = NULL;
    *(void **)&call = real(name);
    int code = call(fd);
    if (code == 0) note_fd("sync", fd);
    return code;
}

int fsync(int fd)
{
    return sync_fd("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_fd("fdatasync", fd);
}

static int cut(const char *name, int fd, off_t n)
{
    cut_call call = NULL;
    *(void **)&call = real(name);
    note_fd("cut", fd);
    return call(fd, n);
}

/* Programs may be built for either name, which are one on 64-bit machines. */
int ftruncate(int fd, off_t n)
{
    return cut("ftruncate", fd, n);
}

int ftruncate64(int fd, off64_t n)
{
    return cut("ftruncate64", fd, n);
}

static int open_noted(const char *path, int flags, mode_t mode)
{
    if ((flags & O_CREAT) != 0 && access(path, F_OK) != 0) note("create", path, NULL);
    return real_open()(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;
    va_start(more, flags);
    if ((flags & O_CREAT) != 0) mode = va_arg(more, mode_t);
    va_end(more);
    return open_noted(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list more;
    va_start(more, flags);
    if ((flags & O_CREAT) != 0) mode = va_arg(more, mode_t);
    va_end(more);
    return open_noted(path, flags, mode);
}

int rename(const char *from, const char *to)
{
    rename_call call = NULL;
    *(void **)&call = real("rename");
    note("rename", from, to);
    return call(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    mode_call call = NULL;
    *(void **)&call = real("mkdir");
    if (access(path, F_OK) != 0) note("folder", path, NULL);
    return call(path, mode);
}

int unlink(const char *path)
{
    path_call call = NULL;
    *(void **)&call = real("unlink");
    note("remove", path, NULL);
    return call(path);
}

int remove(const char *path)
{
    path_call call = NULL;
    *(void **)&call = real("remove");
    note("remove", path, NULL);
    return call(path);
}
