#include "worker/teacher/batch/batch_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

#define BLOCK_BYTES (256u << 10)

const batch_limits batch_limits_default = {.lines_max = 50000, .bytes_max = 200000000};

struct batch_writer {
    batch_limits limits;
    char folder[PATH_MAX];
    char temporary[PATH_MAX]; /* "" once it is committed */
    char path[PATH_MAX];      /* of the file being written */
    int fd;                   /* -1: none */
    uint64_t n_files, n_lines, n_bytes;
    rt_buf block; /* not written yet */
};

rt_status batch_writer_open(const char *folder, const batch_limits *limits, batch_writer **out,
                            rt_error *err)
{
    rt_status st = RT_OK;
    if (rt_fs_exists(folder))
        return rt_fail(err, RT_EXISTS,
                       "%s is there already: choose a new folder for what is to be asked now",
                       folder);
    batch_writer *w = rt_calloc(1, sizeof *w);
    if (w == NULL) return rt_fail(err, RT_NOMEM, "batch files");
    w->fd = -1;
    w->limits = *limits;
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/') n--;
    int k = snprintf(w->folder, sizeof w->folder, "%.*s", (int)RT_MIN(n, PATH_MAX), folder);
    if (k <= 0 || (size_t)k + 64 >= sizeof w->folder) {
        st = rt_fail(err, RT_INVALID, "folder name '%.100s'", folder);
        goto out;
    }
    snprintf(w->temporary, sizeof w->temporary, "%.*s.tmp-%ld", k, w->folder, (long)getpid());
    if ((st = rt_fs_remove_tree(w->temporary, err)) != RT_OK) goto out;
    if ((st = rt_fs_mkdirs(w->temporary, err)) != RT_OK) goto out;
    *out = w;
    w = NULL;
out:
    batch_writer_close(w);
    return st;
}

void batch_writer_close(batch_writer *w)
{
    if (w == NULL) return;
    if (w->fd >= 0) close(w->fd);
    if (w->temporary[0] != '\0') (void)!rt_fs_remove_tree(w->temporary, NULL);
    rt_buf_free(&w->block);
    free(w);
}

static rt_status flush(batch_writer *w, rt_error *err)
{
    rt_status st = rt_fs_write_all(w->fd, w->block.data, w->block.n, w->path, err);
    rt_buf_clear(&w->block);
    return st;
}

static rt_status end_file(batch_writer *w, rt_error *err)
{
    if (w->fd < 0) return RT_OK;
    rt_status st = flush(w, err);
    if (st == RT_OK && fsync(w->fd) != 0)
        st = rt_fail(err, RT_IO, "fsync %s: %s", w->path, strerror(errno));
    if (close(w->fd) != 0 && st == RT_OK)
        st = rt_fail(err, RT_IO, "close %s: %s", w->path, strerror(errno));
    w->fd = -1;
    return st;
}

static rt_status begin_file(batch_writer *w, rt_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "batch-%04" PRIu64 ".jsonl", ++w->n_files);
    rt_status st = rt_fs_join(w->path, sizeof w->path, w->temporary, name, err);
    if (st != RT_OK) return st;
    w->fd = open(w->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (w->fd < 0) return rt_fail(err, RT_IO, "create %s: %s", w->path, strerror(errno));
    w->n_lines = w->n_bytes = 0;
    return RT_OK;
}

rt_status batch_writer_add(batch_writer *w, const char *line, size_t n, rt_error *err)
{
    rt_status st = RT_OK;
    if (n > w->limits.bytes_max)
        return rt_fail(err, RT_FULL, "a request of %zu bytes, a batch file takes %" PRIu64, n,
                       w->limits.bytes_max);
    bool is_full = w->n_lines == w->limits.lines_max || w->n_bytes + n > w->limits.bytes_max;
    if (w->fd >= 0 && is_full) st = end_file(w, err);
    if (st == RT_OK && w->fd < 0) st = begin_file(w, err);
    if (st == RT_OK) st = rt_buf_add(&w->block, line, n, err);
    if (st != RT_OK) return st;
    w->n_lines++;
    w->n_bytes += n;
    return w->block.n >= BLOCK_BYTES ? flush(w, err) : RT_OK;
}

rt_status batch_writer_commit(batch_writer *w, uint64_t *n_files, rt_error *err)
{
    char parent[PATH_MAX];
    rt_status st = end_file(w, err);
    *n_files = w->n_files;
    if (st != RT_OK || w->n_files == 0) return st;
    if ((st = rt_fs_sync_dir(w->temporary, err)) != RT_OK) return st;
    if (rename(w->temporary, w->folder) != 0)
        return rt_fail(err, errno == ENOTEMPTY || errno == EEXIST ? RT_EXISTS : RT_IO,
                       "rename %s to %s: %s", w->temporary, w->folder, strerror(errno));
    w->temporary[0] = '\0';
    snprintf(parent, sizeof parent, "%s", w->folder);
    return rt_fs_sync_dir(dirname(parent), err);
}
