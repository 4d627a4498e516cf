#include "coordinator/plan_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fault_point.h"
#include "common/base/fs.h"
#include "common/base/log.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

struct plan_journal {
    char *path;
    int fd;
    off_t n_bytes;
    plan_segment *segments;
    size_t n, capacity;
};

static rt_status keep(plan_journal *j, const plan_segment *s, rt_error *err)
{
    if (j->n == j->capacity) {
        size_t capacity = j->capacity == 0 ? 16 : j->capacity * 2;
        plan_segment *grown = realloc(j->segments, capacity * sizeof *grown);
        if (grown == NULL) return rt_fail(err, RT_NOMEM, "%s", j->path);
        j->segments = grown;
        j->capacity = capacity;
    }
    j->segments[j->n++] = *s;
    return RT_OK;
}

static rt_status load(plan_journal *j, const rt_buf *text, rt_error *err)
{
    size_t at = 0;
    while (at < text->n) {
        plan_segment s;
        const char *end = memchr(text->data + at, '\n', text->n - at);
        if (end == NULL) break; /* torn: it was not used */
        size_t n = (size_t)(end - text->data) - at;
        rt_status st = plan_segment_from_json(text->data + at, n, &s, err);
        if (st != RT_OK) return rt_wrap(err, st, "%s:%zu", j->path, j->n + 1);
        if ((st = keep(j, &s, err)) != RT_OK) return st;
        at += n + 1;
    }
    j->n_bytes = (off_t)at;
    return RT_OK;
}

static rt_status open_file(plan_journal *j, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(j->path, FILE_BYTES_MAX, &text, err);
    if (st == RT_NOTFOUND) st = RT_OK;
    if (st == RT_OK) st = load(j, &text, err);
    if (st != RT_OK) goto out;
    j->fd = open(j->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (j->fd < 0) {
        st = rt_fail(err, RT_IO, "open %s: %s", j->path, strerror(errno));
        goto out;
    }
    if (text.n == 0) st = rt_fs_sync_parent(j->path, err); /* perhaps it is new */
    if (st != RT_OK || (size_t)j->n_bytes == text.n) goto out;
    rt_log_warn("plan.torn", "file=%s bytes_cut=%zu", j->path, text.n - (size_t)j->n_bytes);
    if (ftruncate(j->fd, j->n_bytes) != 0)
        st = rt_fail(err, RT_IO, "truncate %s: %s", j->path, strerror(errno));
out:
    rt_buf_free(&text);
    return st;
}

rt_status plan_journal_open(const char *path, plan_journal **out, rt_error *err)
{
    plan_journal *j = rt_calloc(1, sizeof *j);
    if (j == NULL) return rt_fail(err, RT_NOMEM, "%s", path);
    j->fd = -1;
    j->path = rt_strndup(path, strlen(path));
    rt_status st = j->path == NULL ? rt_fail(err, RT_NOMEM, "%s", path) : open_file(j, err);
    if (st != RT_OK) {
        plan_journal_close(j);
        return st;
    }
    *out = j;
    return RT_OK;
}

void plan_journal_close(plan_journal *j)
{
    if (j == NULL) return;
    if (j->fd >= 0) close(j->fd);
    free(j->segments);
    free(j->path);
    free(j);
}

size_t plan_journal_n(const plan_journal *j)
{
    return j->n;
}

size_t plan_journal_n_covered(const plan_journal *j, uint64_t chunk_size, size_t n_examples)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < j->n; i++) {
        const plan_segment *s = &j->segments[i];
        if (s->kind == PLAN_EPOCH || s->index >= n_examples / chunk_size) return n_examples;
        covered = RT_MAX(covered, (s->index + 1) * chunk_size);
    }
    return (size_t)covered;
}

static bool is_same(const plan_segment *a, const plan_segment *b)
{
    return a->kind == b->kind && a->index == b->index && a->epoch == b->epoch &&
           a->first_step == b->first_step && a->n_steps == b->n_steps &&
           a->n_records == b->n_records && strcmp(a->sha256, b->sha256) == 0;
}

static rt_status check(const plan_journal *j, size_t i, const plan_segment *now, rt_error *err)
{
    const plan_segment *then = &j->segments[i];
    if (is_same(then, now)) return RT_OK;
    return rt_fail(err, RT_CORRUPT,
                   "%s:%zu: %s %" PRIu64 " was planned as steps %" PRIu64 "+%" PRIu64 " of %" PRIu64
                   " records with SHA-256 %.12s, the dataset now gives %s %" PRIu64
                   ", steps %" PRIu64 "+%" PRIu64 ", %" PRIu64
                   " records, %.12s: dataset or tokenizer changed after training began; restore "
                   "them, or train anew with `retort run --train-anew`",
                   j->path, i + 1, then->kind == PLAN_CHUNK ? "chunk" : "epoch", then->index,
                   then->first_step, then->n_steps, then->n_records, then->sha256,
                   now->kind == PLAN_CHUNK ? "chunk" : "epoch", now->index, now->first_step,
                   now->n_steps, now->n_records, now->sha256);
}

rt_status plan_journal_take(plan_journal *j, size_t i_segment, const plan_segment *s, rt_error *err)
{
    rt_buf line = {0};
    if (i_segment < j->n) return check(j, i_segment, s, err);
    RT_ASSERT(i_segment == j->n);
    rt_status st = plan_segment_to_json(s, &line, err);
    if (st != RT_OK) goto out;
    st = rt_fs_write_all(j->fd, line.data, line.n, j->path, err);
    if (st == RT_OK && fdatasync(j->fd) != 0)
        st = rt_fail(err, RT_IO, "sync %s: %s", j->path, strerror(errno));
    if (st != RT_OK) { /* nobody used it: take it back */
        if (ftruncate(j->fd, j->n_bytes) != 0) rt_log_warn("plan.torn", "file=%s", j->path);
        goto out;
    }
    fault_point("coordinator.planning");
    j->n_bytes += (off_t)line.n;
    st = keep(j, s, err);
out:
    rt_buf_free(&line);
    return st;
}
