/* One file a value, named by its key; the folders are the first four digits of it:
 *
 *     <folder>/ab/cd/abcd0123...      header and payload (answer_file.h)
 *     <folder>/tmp/<pid>-<random>-<n> a value being written
 *
 * A value is written whole under tmp/ and linked into place. link() does not replace: the first
 * write wins, and nobody sees half a file. Nothing is kept in memory, so millions of values cost
 * nothing to open. A database was rejected: many processes write at once, some of them are killed,
 * and the file system has all the locks that this needs.
 *
 * Nothing is synced: the kernel keeps what a killed process wrote, and after a loss of power the
 * checksum turns what is missing into a miss.
 */
#include "common/cache/answer_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/cache/answer_file.h"

#define TEMPORARY_AGE_S 3600

struct answer_cache {
    char *folder;
    uint64_t random; /* hosts that share the folder may have equal pids */
    uint64_t n_temporary;
    answer_cache_counts counts;
    rt_buf file; /* scratch */
};

/* Temporary files of processes that were killed in mid-write. */
static void sweep(const char *folder)
{
    struct stat info;
    struct dirent *entry;
    DIR *d = opendir(folder);
    if (d == NULL) return;
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') continue;
        if (fstatat(dirfd(d), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(info.st_mode) && info.st_mtime + TEMPORARY_AGE_S < time(NULL))
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    closedir(d);
}

static rt_status prepare(const answer_cache *c, rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = rt_fs_join(path, sizeof path, c->folder, "tmp", err);
    if (st == RT_OK) st = rt_fs_mkdirs(path, err);
    if (st == RT_OK && access(path, W_OK | X_OK) != 0)
        st = rt_fail(err, RT_IO, "%s: %s", path, strerror(errno));
    if (st == RT_OK) sweep(path);
    return st == RT_OK ? st
                       : rt_wrap(err, st,
                                 "answer cache %s cannot be written; choose another folder, or do "
                                 "without (cache.dir: off)",
                                 c->folder);
}

rt_status answer_cache_open(const char *folder, answer_cache **out, rt_error *err)
{
    rt_status st = RT_OK;
    answer_cache *c = rt_calloc(1, sizeof *c);
    if (c == NULL) return rt_fail(err, RT_NOMEM, "answer cache %s", folder);
    c->folder = rt_strndup(folder, strlen(folder));
    if (c->folder == NULL) {
        st = rt_fail(err, RT_NOMEM, "answer cache %s", folder);
        goto out;
    }
    if (getentropy(&c->random, sizeof c->random) != 0) {
        st = rt_fail(err, RT_IO, "random number: %s", strerror(errno));
        goto out;
    }
    if ((st = prepare(c, err)) != RT_OK) goto out;
    *out = c;
    c = NULL;
out:
    answer_cache_close(c);
    return st;
}

void answer_cache_close(answer_cache *c)
{
    if (c == NULL) return;
    rt_buf_free(&c->file);
    free(c->folder);
    free(c);
}

static rt_status place_of(const answer_cache *c, rt_id key, char path[PATH_MAX], rt_error *err)
{
    char hex[RT_ID_HEX_SIZE];
    rt_id_to_hex(key, hex);
    int n = snprintf(path, PATH_MAX, "%s/%.2s/%.2s/%s", c->folder, hex, hex + 2, hex);
    if (n < 0 || n >= PATH_MAX) return rt_fail(err, RT_FULL, "path too long: %s", c->folder);
    return RT_OK;
}

/* RT_NOTFOUND: none; RT_CORRUPT: damaged, and still there. The payload is in c->file. */
static rt_status load(answer_cache *c, rt_id key, const char *path, const char **payload, size_t *n,
                      rt_error *err)
{
    rt_status st = rt_fs_read(path, ANSWER_FILE_HEADER + ANSWER_CACHE_BYTES_MAX, &c->file, err);
    if (st == RT_FULL) return rt_fail(err, RT_CORRUPT, "%s: longer than any answer", path);
    if (st != RT_OK) return st;
    st = answer_file_decode(key, c->file.data == NULL ? "" : c->file.data, c->file.n, payload, n,
                            err);
    return st == RT_OK ? st : rt_wrap(err, st, "%s", path);
}

rt_status answer_cache_get(answer_cache *c, rt_id key, rt_buf *out, rt_error *err)
{
    char path[PATH_MAX];
    const char *payload = NULL;
    size_t n = 0;
    rt_error why = {0};
    rt_status st = place_of(c, key, path, err);
    if (st != RT_OK) return st;
    st = load(c, key, path, &payload, &n, &why);
    if (st == RT_OK) {
        rt_buf_clear(out);
        if ((st = rt_buf_add(out, payload, n, err)) == RT_OK) c->counts.n_hits++;
        return st;
    }
    if (st == RT_CORRUPT) {
        rt_log_warn("cache.damaged", "%s", why.text);
        c->counts.n_damaged++;
        if (unlink(path) != 0 && errno != ENOENT)
            return rt_fail(err, RT_IO, "remove the damaged %s: %s", path, strerror(errno));
        st = RT_NOTFOUND;
    }
    if (st == RT_NOTFOUND) {
        c->counts.n_misses++;
        return rt_fail(err, st, "%s is not in the cache", path);
    }
    return rt_fail(err, st, "%s", why.text);
}

static rt_status write_temporary(answer_cache *c, rt_id key, const void *bytes, size_t n,
                                 char path[PATH_MAX], rt_error *err)
{
    unsigned char header[ANSWER_FILE_HEADER];
    int k = snprintf(path, PATH_MAX, "%s/tmp/%ld-%llx-%llu", c->folder, (long)getpid(),
                     (unsigned long long)c->random, (unsigned long long)c->n_temporary++);
    if (k < 0 || k >= PATH_MAX) return rt_fail(err, RT_FULL, "path too long: %s", c->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return rt_fail(err, RT_IO, "create %s: %s", path, strerror(errno));
    answer_file_header(key, bytes, n, header);
    rt_status st = rt_fs_write_all(fd, header, sizeof header, path, err);
    if (st == RT_OK) st = rt_fs_write_all(fd, bytes, n, path, err);
    if (close(fd) != 0 && st == RT_OK)
        st = rt_fail(err, RT_IO, "close %s: %s", path, strerror(errno));
    if (st != RT_OK) unlink(path);
    return st;
}

/* The folders of a value are made when the first value of theirs comes. */
static rt_status make_place(const char *path, rt_error *err)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    return rt_fs_mkdirs(folder, err);
}

/* Some file systems have no links: there a rename, of equal worth unless two write at once. */
static bool has_no_links(int error)
{
    return error == EPERM || error == EOPNOTSUPP || error == ENOSYS || error == EMLINK;
}

static rt_status move_into_place(answer_cache *c, rt_id key, const char *from, const char *to,
                                 rt_error *err)
{
    const char *payload;
    size_t n;
    int rc = link(from, to);
    if (rc != 0 && errno == ENOENT) {
        rt_status st = make_place(to, err);
        if (st != RT_OK) return st;
        rc = link(from, to);
    }
    if (rc == 0) return RT_OK;
    int error = errno;
    if (error == EEXIST) {
        /* The first write wins, unless it is a damaged one that nobody has read since. */
        if (load(c, key, to, &payload, &n, NULL) != RT_CORRUPT) return RT_OK;
        c->counts.n_damaged++;
    } else if (!has_no_links(error)) {
        return rt_fail(err, RT_IO, "link %s to %s: %s", from, to, strerror(error));
    }
    if (rename(from, to) != 0)
        return rt_fail(err, RT_IO, "rename %s to %s: %s", from, to, strerror(errno));
    return RT_OK;
}

rt_status answer_cache_put(answer_cache *c, rt_id key, const void *bytes, size_t n, rt_error *err)
{
    char to[PATH_MAX], from[PATH_MAX];
    if (n > ANSWER_CACHE_BYTES_MAX)
        return rt_fail(err, RT_FULL, "answer of %zu bytes, the cache takes at most %u", n,
                       ANSWER_CACHE_BYTES_MAX);
    rt_status st = place_of(c, key, to, err);
    if (st == RT_OK) st = write_temporary(c, key, bytes, n, from, err);
    if (st != RT_OK) return st;
    st = move_into_place(c, key, from, to, err);
    unlink(from); /* renamed: gone already */
    if (st == RT_OK) c->counts.n_puts++;
    return st;
}

rt_status answer_cache_remove(answer_cache *c, rt_id key, rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = place_of(c, key, path, err);
    if (st != RT_OK) return st;
    if (unlink(path) == 0) return RT_OK;
    if (errno == ENOENT) return rt_fail(err, RT_NOTFOUND, "%s is not in the cache", path);
    return rt_fail(err, RT_IO, "remove %s: %s", path, strerror(errno));
}

answer_cache_counts answer_cache_get_counts(const answer_cache *c)
{
    return c->counts;
}
