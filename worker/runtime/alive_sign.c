#include "worker/runtime/alive_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/fs.h"

#define SIGN_BYTES_MAX 256
#define SIGN_FORMAT    "retort-alive 1 beat_ms=%" PRIu64 " turn_ms=%" PRIu64 " heard_ms=%" PRIu64 "\n"

rt_status alive_sign_print(const alive_sign *sign, rt_buf *out, rt_error *err)
{
    return rt_buf_printf(out, err, SIGN_FORMAT, sign->beat_ms, sign->turn_ms, sign->heard_ms);
}

/* "NAME=NUMBER" and the blank or line end behind it; *at moves on. */
static bool take_number(const char **at, const char *name, char end, uint64_t *out)
{
    char digits[24];
    size_t n_name = strlen(name);
    if (strncmp(*at, name, n_name) != 0) return false;
    const char *first = *at + n_name;
    size_t n = strspn(first, "0123456789");
    if (n == 0 || n >= sizeof digits || first[n] != end) return false;
    memcpy(digits, first, n);
    digits[n] = '\0';
    *at = first + n + 1;
    return rt_parse_u64(digits, out);
}

rt_status alive_sign_parse(const char *text, alive_sign *out, rt_error *err)
{
    static const char head[] = "retort-alive 1 ";
    alive_sign s;
    const char *at = text + sizeof head - 1;
    if (strncmp(text, head, sizeof head - 1) != 0 ||
        !take_number(&at, "beat_ms=", ' ', &s.beat_ms) ||
        !take_number(&at, "turn_ms=", ' ', &s.turn_ms) ||
        !take_number(&at, "heard_ms=", '\n', &s.heard_ms) || *at != '\0')
        return rt_fail(err, RT_CORRUPT,
                       "found '%.60s', expected one line that begins with 'retort-alive 1'", text);
    *out = s;
    return RT_OK;
}

static bool is_older(uint64_t then_ms, uint64_t now_ms, uint64_t max_ms)
{
    return then_ms > now_ms || now_ms - then_ms > max_ms;
}

static uint64_t age_of(uint64_t then_ms, uint64_t now_ms)
{
    return then_ms > now_ms ? 0 : now_ms - then_ms;
}

rt_status alive_sign_judge(const alive_sign *sign, uint64_t now_ms, const alive_limits *limits,
                           rt_error *err)
{
    if (is_older(sign->beat_ms, now_ms, limits->beat_max_ms))
        return rt_fail(err, RT_TIMEOUT,
                       "the last sign of life is %" PRIu64 " ms old, expected one every second and "
                       "none older than %" PRIu64 " ms",
                       age_of(sign->beat_ms, now_ms), limits->beat_max_ms);
    if (is_older(sign->turn_ms, now_ms, limits->work_max_ms))
        return rt_fail(err, RT_TIMEOUT,
                       "the main thread has not turned for %" PRIu64 " ms, at most %" PRIu64
                       " are allowed",
                       age_of(sign->turn_ms, now_ms), limits->work_max_ms);
    if (limits->heard_max_ms == 0) return RT_OK;
    if (sign->heard_ms == 0)
        return rt_fail(err, RT_TIMEOUT, "the coordinator has not answered yet");
    if (is_older(sign->heard_ms, now_ms, limits->heard_max_ms))
        return rt_fail(err, RT_TIMEOUT,
                       "the coordinator was last heard %" PRIu64 " ms ago, at most %" PRIu64
                       " are allowed",
                       age_of(sign->heard_ms, now_ms), limits->heard_max_ms);
    return RT_OK;
}

rt_status alive_sign_write(const char *path, const alive_sign *sign, rt_error *err)
{
    char fresh[PATH_MAX];
    rt_buf text = {0};
    int fd = -1;
    rt_status st = alive_sign_print(sign, &text, err);
    if (st != RT_OK) goto out;
    int n = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (n < 0 || (size_t)n >= sizeof fresh) {
        st = rt_fail(err, RT_INVALID, "net.alive_file: longer than %zu bytes", sizeof fresh - 5);
        goto out;
    }
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        st = rt_fail(err, RT_IO, "net.alive_file: open %s: %s", fresh, strerror(errno));
        goto out;
    }
    if ((st = rt_fs_write_all(fd, text.data, text.n, fresh, err)) != RT_OK) goto out;
    if (rename(fresh, path) != 0)
        st = rt_fail(err, RT_IO, "net.alive_file: rename to %s: %s", path, strerror(errno));
out:
    if (fd >= 0) close(fd);
    rt_buf_free(&text);
    return st;
}

rt_status alive_sign_read(const char *path, alive_sign *out, rt_error *err)
{
    rt_buf text = {0};
    rt_status st = rt_fs_read(path, SIGN_BYTES_MAX, &text, err);
    if (st == RT_OK) st = alive_sign_parse(text.data == NULL ? "" : text.data, out, err);
    if (st == RT_CORRUPT) st = rt_wrap(err, st, "%s", path);
    rt_buf_free(&text);
    return st;
}
