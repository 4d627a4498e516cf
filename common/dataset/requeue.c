#include "common/dataset/requeue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/id_index.h"
#include "common/dataset/archive_file.h"

#define BLOCK_BYTES (256u << 10)

/* A file being written: whole blocks at a time, durable at its end. */
typedef struct sink {
    char path[PATH_MAX];
    int fd; /* -1: none */
    rt_buf block;
} sink;

typedef struct requeue {
    const archive *archive;
    const char *reason;
    archive_file rejected;
    id_index seen, taken; /* of rejected.jsonl */
    sink out, left;
} requeue;

static rt_status sink_open(sink *s, const char *path, rt_error *err)
{
    int n = snprintf(s->path, sizeof s->path, "%s.tmp", path);
    if (n < 0 || (size_t)n >= sizeof s->path)
        return rt_fail(err, RT_FULL, "path too long: %s", path);
    s->fd = open(s->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    return s->fd >= 0 ? RT_OK : rt_fail(err, RT_IO, "create %s: %s", s->path, strerror(errno));
}

static rt_status sink_flush(sink *s, rt_error *err)
{
    rt_status st = rt_fs_write_all(s->fd, s->block.data, s->block.n, s->path, err);
    rt_buf_clear(&s->block);
    return st;
}

static rt_status sink_add(sink *s, const char *line, size_t n, rt_error *err)
{
    rt_status st = rt_buf_add(&s->block, line, n, err);
    if (st == RT_OK) st = rt_buf_add(&s->block, "\n", 1, err);
    return st == RT_OK && s->block.n >= BLOCK_BYTES ? sink_flush(s, err) : st;
}

static rt_status sink_end(sink *s, rt_error *err)
{
    rt_status st = sink_flush(s, err);
    if (st == RT_OK && fsync(s->fd) != 0)
        st = rt_fail(err, RT_IO, "fsync %s: %s", s->path, strerror(errno));
    return st;
}

static void sink_close(sink *s)
{
    if (s->fd < 0) return;
    close(s->fd);
    unlink(s->path); /* renamed: gone already */
    rt_buf_free(&s->block);
}

/* The first record of an id is the one that counts; later lines of it go the same way. */
static rt_status take_line(void *context, const char *line, size_t n, uint64_t offset,
                           uint64_t i_line, rt_error *err)
{
    requeue *q = context;
    label_record r = {0};
    size_t i;
    bool is_first = false, added = false;
    (void)offset;
    rt_status st = label_record_from_json(line, n, &r, err);
    if (st != RT_OK) return rt_wrap(err, st, "%s:%" PRIu64, q->rejected.path, i_line);
    bool leaves = archive_find(q->archive, r.id) == ARCHIVE_REJECTED &&
                  (q->reason == NULL || strcmp(r.reason, q->reason) == 0);
    if ((st = id_index_add(&q->seen, r.id, &i, &is_first, err)) != RT_OK) goto out;
    if (!is_first) leaves = id_index_find(&q->taken, r.id) != SIZE_MAX;
    if (leaves && is_first) st = id_index_add(&q->taken, r.id, &i, &added, err);
    if (st == RT_OK) st = sink_add(leaves ? &q->out : &q->left, line, n, err);
out:
    label_record_free(&r);
    return st;
}

/* The first <path>.requeued-N that does not exist. */
static rt_status free_name(const char *path, char *out, size_t n_out, rt_error *err)
{
    for (unsigned i = 1; i < 1000000; i++) {
        int n = snprintf(out, n_out, "%s.requeued-%u", path, i);
        if (n < 0 || (size_t)n >= n_out) return rt_fail(err, RT_FULL, "path too long: %s", path);
        if (!rt_fs_exists(out)) return RT_OK;
    }
    return rt_fail(err, RT_FULL, "%s: too many requeued files beside it; remove some", path);
}

static rt_status rename_durably(const char *folder, const char *from, const char *to, rt_error *err)
{
    if (rename(from, to) != 0)
        return rt_fail(err, RT_IO, "rename %s to %s: %s", from, to, strerror(errno));
    return rt_fs_sync_dir(folder, err);
}

static rt_status split(requeue *q, const char *folder, requeue_result *result, rt_error *err)
{
    rt_status st = archive_file_open(&q->rejected, folder, "rejected.jsonl", false, err);
    if (st != RT_OK) return st;
    st = free_name(q->rejected.path, result->kept_in, sizeof result->kept_in, err);
    if (st == RT_OK) st = sink_open(&q->out, result->kept_in, err);
    if (st == RT_OK) st = sink_open(&q->left, q->rejected.path, err);
    if (st == RT_OK) st = archive_file_scan(&q->rejected, UINT64_MAX, take_line, q, err);
    if (st != RT_OK) return st;
    result->n_requeued = q->taken.n;
    result->n_kept = archive_n_rejected(q->archive) - q->taken.n;
    if (q->taken.n == 0) {
        result->kept_in[0] = '\0';
        return RT_OK;
    }
    if ((st = sink_end(&q->out, err)) != RT_OK) return st;
    if ((st = sink_end(&q->left, err)) != RT_OK) return st;
    if ((st = rename_durably(folder, q->out.path, result->kept_in, err)) != RT_OK) return st;
    return rename_durably(folder, q->left.path, q->rejected.path, err);
}

rt_status archive_requeue(const char *folder, const char *reason, requeue_result *out,
                          rt_error *err)
{
    archive *a = NULL;
    requeue_result result = {0};
    requeue q = {.reason = reason, .rejected.fd = -1, .out.fd = -1, .left.fd = -1};
    rt_status st = RT_OK;
    if (!rt_fs_exists(folder))
        return rt_fail(err, RT_NOTFOUND, "dataset folder %s does not exist", folder);
    if ((st = archive_open(folder, &a, err)) != RT_OK) goto out;
    q.archive = a;
    if ((st = split(&q, folder, &result, err)) != RT_OK) goto out;
    *out = result;
out:
    sink_close(&q.out);
    sink_close(&q.left);
    archive_file_close(&q.rejected);
    id_index_free(&q.seen);
    id_index_free(&q.taken);
    archive_close(a);
    return st;
}
