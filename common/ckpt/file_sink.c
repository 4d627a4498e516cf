#include "common/ckpt/file_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

rt_status file_sink_open(file_sink *s, const char *path, rt_error *err)
{
    *s = (file_sink){.fd = -1, .path = path};
    int n = snprintf(s->temporary, sizeof s->temporary, "%s.tmp-%d", path, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof s->temporary)
        return rt_fail(err, RT_INVALID, "%.200s...: the path is too long", path);
    s->fd = open(s->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (s->fd < 0) return rt_fail(err, RT_IO, "create %s: %s", s->temporary, strerror(errno));
    rt_sha256_begin(&s->hash);
    return RT_OK;
}

rt_status file_sink_put(file_sink *s, const void *bytes, size_t n, rt_error *err)
{
    rt_sha256_add(&s->hash, bytes, n);
    s->n_bytes += n;
    return rt_fs_write_all(s->fd, bytes, n, s->temporary, err);
}

rt_status file_sink_pad(file_sink *s, size_t n, rt_error *err)
{
    static const char zeros[256];
    rt_status st = RT_OK;
    for (; st == RT_OK && n > 0; n -= RT_MIN(n, sizeof zeros))
        st = file_sink_put(s, zeros, RT_MIN(n, sizeof zeros), err);
    return st;
}

rt_status file_sink_commit(file_sink *s, char sha256[RT_SHA256_HEX_SIZE], rt_error *err)
{
    if (fsync(s->fd) != 0)
        return rt_fail(err, RT_IO, "fsync %s: %s", s->temporary, strerror(errno));
    if (rename(s->temporary, s->path) != 0)
        return rt_fail(err, RT_IO, "rename %s to %s: %s", s->temporary, s->path, strerror(errno));
    s->committed = true;
    rt_status st = rt_fs_sync_parent(s->path, err);
    if (st == RT_OK && sha256 != NULL) rt_sha256_end(&s->hash, sha256);
    return st;
}

void file_sink_close(file_sink *s)
{
    if (s->fd < 0) return;
    close(s->fd);
    if (!s->committed) unlink(s->temporary);
    s->fd = -1;
}
