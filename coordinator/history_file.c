#include "coordinator/history_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"
#include "common/base/log.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

struct history_file {
    char *path;
    int fd;
    bool fails; /* and the log says so */
};

/* A torn end, too, is a line that cannot be taken. */
static void take_lines(history *h, const rt_buf *text, const char *path)
{
    size_t n_bad = 0;
    for (size_t at = 0; at < text->n;) {
        const char *line = text->data + at, *end = memchr(line, '\n', text->n - at);
        size_t n = end != NULL ? (size_t)(end - line) : text->n - at;
        if (!history_take_line(h, line, n)) n_bad++;
        at += n + 1;
    }
    if (n_bad > 0) rt_log_warn("history.lines", "file=%s left_out=%zu", path, n_bad);
}

static rt_status load(const char *path, history *h, rt_error *err)
{
    rt_buf text = {0}, lines = {0};
    rt_status st = rt_fs_read(path, FILE_BYTES_MAX, &text, err);
    if (st == RT_OK) take_lines(h, &text, path);
    if (st == RT_FULL) rt_log_warn("history.read", "%s", err->text);
    if (st == RT_NOTFOUND || st == RT_FULL) st = RT_OK;
    if (st == RT_OK) st = history_to_lines(h, &lines, err);
    if (st == RT_OK) st = rt_fs_write_atomic(path, lines.data, lines.n, err);
    rt_buf_free(&text);
    rt_buf_free(&lines);
    return st;
}

history_file *history_file_open(const char *path, history *h)
{
    rt_error why = {0};
    rt_status st = RT_OK;
    history_file *f = rt_calloc(1, sizeof *f);
    if (f == NULL || (f->path = rt_strndup(path, strlen(path))) == NULL)
        st = rt_fail(&why, RT_NOMEM, "%s", path);
    if (st == RT_OK) st = load(path, h, &why);
    if (st == RT_OK && (f->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)) < 0)
        st = rt_fail(&why, RT_IO, "open %s: %s", path, strerror(errno));
    if (st == RT_OK) return f;
    rt_log_warn("history.open", "%s", why.text);
    if (f != NULL) free(f->path);
    free(f);
    return NULL;
}

void history_file_add(history_file *f, const rt_buf *lines)
{
    rt_error why = {0};
    if (f == NULL || lines->n == 0) return;
    rt_status st = rt_fs_write_all(f->fd, lines->data, lines->n, f->path, &why);
    if (st != RT_OK && !f->fails) rt_log_warn("history.write", "%s", why.text);
    f->fails = st != RT_OK;
}

void history_file_close(history_file *f)
{
    if (f == NULL) return;
    close(f->fd);
    free(f->path);
    free(f);
}
