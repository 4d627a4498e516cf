#include "common/dataset/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"
#include "common/dataset/archive.h"

#define BLOCK_BYTES (256u << 10)
#define LINE_BYTES  1024 /* read at first when a line is asked for */

rt_status archive_file_open(archive_file *f, const char *folder, const char *name, bool writable,
                            rt_error *err)
{
    char path[PATH_MAX];
    rt_status st = rt_fs_join(path, sizeof path, folder, name, err);
    if (st != RT_OK) return st;
    int flags = writable ? O_RDWR | O_APPEND | O_CREAT : O_RDONLY;
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0 && !(errno == ENOENT && !writable))
        return rt_fail(err, RT_IO, "open %s: %s", path, strerror(errno));
    char *copy = rt_strndup(path, strlen(path));
    if (copy == NULL) {
        if (fd >= 0) close(fd);
        return rt_fail(err, RT_NOMEM, "open %s", path);
    }
    *f = (archive_file){.path = copy, .fd = fd};
    return RT_OK;
}

void archive_file_close(archive_file *f)
{
    if (f == NULL) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    *f = (archive_file){.fd = -1};
}

/* Up to n bytes at an offset; 0 at the end of the file. */
static rt_status read_block(const archive_file *f, uint64_t offset, char *to, size_t n,
                            size_t *n_read, rt_error *err)
{
    ssize_t k;
    do k = pread(f->fd, to, n, (off_t)offset);
    while (k < 0 && errno == EINTR);
    if (k < 0) return rt_fail(err, RT_IO, "read %s: %s", f->path, strerror(errno));
    *n_read = (size_t)k;
    return RT_OK;
}

rt_status archive_file_scan(archive_file *f, uint64_t end, archive_line_visit visit, void *context,
                            rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf lines = {0}; /* bytes of the file from `start` on */
    uint64_t start = 0, i_line = 1;
    size_t n_searched = 0; /* of `lines`: no newline in there */
    while (f->fd >= 0 && start + lines.n < end) {
        size_t n_read = 0;
        size_t want = (size_t)RT_MIN((uint64_t)BLOCK_BYTES, end - start - lines.n);
        if ((st = rt_buf_reserve(&lines, want, err)) != RT_OK) goto out;
        st = read_block(f, start + lines.n, lines.data + lines.n, want, &n_read, err);
        if (st != RT_OK) goto out;
        if (n_read == 0) break;
        lines.n += n_read;
        size_t from = 0;
        char *newline;
        while ((newline = memchr(lines.data + n_searched, '\n', lines.n - n_searched)) != NULL) {
            size_t n_line = (size_t)(newline - lines.data) - from;
            if ((st = visit(context, lines.data + from, n_line, start + from, i_line, err)) !=
                RT_OK)
                goto out;
            i_line++;
            from += n_line + 1;
            n_searched = from;
        }
        memmove(lines.data, lines.data + from, lines.n - from);
        start += from;
        lines.n -= from;
        n_searched = lines.n;
        if (lines.n > ARCHIVE_LINE_MAX) {
            st = rt_fail(err, RT_CORRUPT, "%s:%" PRIu64 ": no line end within %u bytes", f->path,
                         i_line, ARCHIVE_LINE_MAX);
            goto out;
        }
    }
    if (end == UINT64_MAX) f->n_bytes = start;
out:
    rt_buf_free(&lines);
    return st;
}

/* The first <path>.torn-N that does not exist. */
static rt_status torn_path(const archive_file *f, char *out, size_t n_out, rt_error *err)
{
    for (unsigned i = 1; i < 1000000; i++) {
        int k = snprintf(out, n_out, "%s.torn-%u", f->path, i);
        if (k < 0 || (size_t)k >= n_out) return rt_fail(err, RT_FULL, "path too long: %s", f->path);
        if (!rt_fs_exists(out)) return RT_OK;
    }
    return rt_fail(err, RT_FULL, "%s: too many torn tails beside it; remove some", f->path);
}

rt_status archive_file_cut_tail(archive_file *f, rt_error *err)
{
    rt_status st = RT_OK;
    rt_buf tail = {0};
    struct stat info;
    char path[PATH_MAX];
    if (fstat(f->fd, &info) != 0)
        return rt_fail(err, RT_IO, "stat %s: %s", f->path, strerror(errno));
    if ((uint64_t)info.st_size <= f->n_bytes) return RT_OK;
    size_t n = (size_t)((uint64_t)info.st_size - f->n_bytes);
    if ((st = archive_file_read(f, f->n_bytes, n, &tail, err)) != RT_OK) goto out;
    if ((st = torn_path(f, path, sizeof path, err)) != RT_OK) goto out;
    if ((st = rt_fs_write_atomic(path, tail.data, tail.n, err)) != RT_OK) goto out;
    if (ftruncate(f->fd, (off_t)f->n_bytes) != 0 || fsync(f->fd) != 0) {
        st = rt_fail(err, RT_IO, "cut the torn tail off %s: %s", f->path, strerror(errno));
        goto out;
    }
    rt_log_warn("archive.torn", "file=%s bytes=%zu kept=%s", f->path, n, path);
out:
    rt_buf_free(&tail);
    return st;
}

rt_status archive_file_append(archive_file *f, const char *line, size_t n, rt_error *err)
{
    if (f->broken)
        return rt_fail(err, RT_IO, "%s: an earlier failure left its end unknown; open it anew",
                       f->path);
    rt_status st = rt_fs_write_all(f->fd, line, n, f->path, err);
    if (st == RT_OK) {
        f->n_bytes += n;
        f->dirty = true;
        return RT_OK;
    }
    if (ftruncate(f->fd, (off_t)f->n_bytes) != 0) f->broken = true;
    return st;
}

rt_status archive_file_sync(archive_file *f, rt_error *err)
{
    if (f->fd < 0 || !f->dirty) return RT_OK;
    if (f->broken)
        return rt_fail(err, RT_IO, "%s: an earlier failure left its end unknown; open it anew",
                       f->path);
    if (fsync(f->fd) != 0) {
        /* The kernel may have dropped the pages: a second fsync would lie. */
        f->broken = true;
        return rt_fail(err, RT_IO, "fsync %s: %s", f->path, strerror(errno));
    }
    f->dirty = false;
    return RT_OK;
}

rt_status archive_file_read(const archive_file *f, uint64_t offset, size_t n, rt_buf *out,
                            rt_error *err)
{
    rt_status st;
    rt_buf_clear(out);
    if ((st = rt_buf_reserve(out, n, err)) != RT_OK) return st;
    while (out->n < n) {
        size_t n_read = 0;
        st = read_block(f, offset + out->n, out->data + out->n, n - out->n, &n_read, err);
        if (st != RT_OK) return st;
        if (n_read == 0)
            return rt_fail(err, RT_CORRUPT, "%s: ends at byte %" PRIu64 ", expected %zu more",
                           f->path, offset + out->n, n - out->n);
        out->n += n_read;
    }
    out->data[out->n] = '\0';
    return RT_OK;
}

/* A block that holds the whole of most lines, then more and more. */
rt_status archive_file_read_line(const archive_file *f, uint64_t offset, rt_buf *out, rt_error *err)
{
    rt_buf_clear(out);
    for (size_t want = LINE_BYTES; out->n < ARCHIVE_LINE_MAX; want *= 4) {
        size_t n_read = 0, n_before = out->n;
        rt_status st = rt_buf_reserve(out, want, err);
        if (st == RT_OK)
            st = read_block(f, offset + n_before, out->data + n_before, want, &n_read, err);
        if (st != RT_OK) return st;
        char *newline = memchr(out->data + n_before, '\n', n_read);
        out->n = newline != NULL ? (size_t)(newline - out->data) : n_before + n_read;
        out->data[out->n] = '\0';
        if (newline != NULL) return RT_OK;
        if (n_read == 0)
            return rt_fail(err, RT_CORRUPT, "%s: no line end behind byte %" PRIu64, f->path,
                           offset);
    }
    return rt_fail(err, RT_CORRUPT, "%s: no line end within %u bytes of byte %" PRIu64, f->path,
                   ARCHIVE_LINE_MAX, offset);
}
