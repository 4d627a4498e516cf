#include "cli/stdin_lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/stop.h"

#define READ_BYTES ((size_t)64 << 10)

struct stdin_lines {
    int fd;
    rt_buf bytes; /* read and not handed out: bytes.data[first .. bytes.n) */
    size_t first;
    bool skipping; /* inside a line that is too long */
    bool ended;
};

rt_status stdin_lines_open(int fd, stdin_lines **out, rt_error *err)
{
    stdin_lines *in = rt_calloc(1, sizeof *in);
    if (in == NULL) return rt_fail(err, RT_NOMEM, "standard input");
    in->fd = fd;
    *out = in;
    return RT_OK;
}

void stdin_lines_close(stdin_lines *in)
{
    if (in == NULL) return;
    rt_buf_free(&in->bytes);
    free(in);
}

static const char *find_end(const stdin_lines *in)
{
    return in->bytes.n > in->first
               ? memchr(in->bytes.data + in->first, '\n', in->bytes.n - in->first)
               : NULL;
}

static rt_status read_more(stdin_lines *in, rt_error *err)
{
    if (in->first > 0) {
        memmove(in->bytes.data, in->bytes.data + in->first, in->bytes.n - in->first);
        in->bytes.n -= in->first;
        in->first = 0;
    }
    rt_status st = rt_buf_reserve(&in->bytes, READ_BYTES, err);
    if (st != RT_OK) return st;
    for (;;) {
        if (rt_stop_requested() != RT_STOP_NONE)
            return rt_fail(err, RT_CANCELLED, "stopped while reading standard input");
        ssize_t n = read(in->fd, in->bytes.data + in->bytes.n, READ_BYTES);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return rt_fail(err, RT_IO, "standard input: %s", strerror(errno));
        in->ended = n == 0;
        in->bytes.n += (size_t)n;
        return RT_OK;
    }
}

static rt_status hand_out(stdin_lines *in, size_t n, size_t n_end, const char **line,
                          size_t *n_line, rt_error *err)
{
    bool too_long = in->skipping || n > STDIN_LINE_MAX;
    *line = in->bytes.data + in->first;
    in->first += n + n_end;
    in->skipping = false;
    if (too_long) return rt_fail(err, RT_FULL, "longer than %zu bytes", (size_t)STDIN_LINE_MAX);
    *n_line = n > 0 && (*line)[n - 1] == '\r' ? n - 1 : n;
    return RT_OK;
}

rt_status stdin_lines_next(stdin_lines *in, const char **line, size_t *n, rt_error *err)
{
    for (;;) {
        const char *end = find_end(in);
        if (end != NULL)
            return hand_out(in, (size_t)(end - in->bytes.data) - in->first, 1, line, n, err);
        if (in->ended) {
            if (in->first == in->bytes.n && !in->skipping) return RT_END;
            return hand_out(in, in->bytes.n - in->first, 0, line, n, err);
        }
        if (in->bytes.n - in->first > STDIN_LINE_MAX) {
            in->skipping = true; /* keep nothing of it */
            in->first = in->bytes.n;
        }
        rt_status st = read_more(in, err);
        if (st != RT_OK) return st;
    }
}

bool stdin_lines_ready(stdin_lines *in)
{
    struct pollfd p = {.fd = in->fd, .events = POLLIN};
    return in->ended || find_end(in) != NULL || poll(&p, 1, 0) > 0;
}
