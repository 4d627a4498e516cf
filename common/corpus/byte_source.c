#include "common/corpus/byte_source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/bytes.h"

#define INPUT_BYTES (64u << 10)

typedef enum source_kind { SOURCE_PLAIN, SOURCE_GZIP, SOURCE_ZSTD } source_kind;

struct byte_source {
    char *path;
    int fd;
    source_kind kind;
    uint64_t n_read;
    bool at_end;    /* of the file */
    bool in_member; /* within a gzip member or a zstd frame: the end would be torn */
    bool padding;   /* zeros behind the last gzip member */
    z_stream gzip;
    bool gzip_ready;
    ZSTD_DStream *zstd;
    size_t at, n; /* unread part of input */
    unsigned char input[INPUT_BYTES];
};

/* Read more of the file behind what is unread. */
static rt_status fill(byte_source *s, rt_error *err)
{
    memmove(s->input, s->input + s->at, s->n - s->at);
    s->n -= s->at;
    s->at = 0;
    ssize_t k;
    do k = read(s->fd, s->input + s->n, sizeof s->input - s->n);
    while (k < 0 && errno == EINTR);
    if (k < 0) return rt_fail(err, RT_IO, "read %s: %s", s->path, strerror(errno));
    if (k == 0) s->at_end = true;
    s->n += (size_t)k;
    s->n_read += (uint64_t)k;
    return RT_OK;
}

/* A pipe may hand over the magic one byte at a time. */
static rt_status find_kind(byte_source *s, rt_error *err)
{
    static const unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    while (s->n < sizeof zstd_magic && !s->at_end) {
        rt_status st = fill(s, err);
        if (st != RT_OK) return st;
    }
    if (s->n >= 2 && s->input[0] == 0x1f && s->input[1] == 0x8b) {
        s->kind = SOURCE_GZIP;
        s->gzip_ready = inflateInit2(&s->gzip, 16 + MAX_WBITS) == Z_OK;
        if (!s->gzip_ready) return rt_fail(err, RT_NOMEM, "inflate %s", s->path);
        s->in_member = true;
    } else if (s->n >= sizeof zstd_magic && memcmp(s->input, zstd_magic, sizeof zstd_magic) == 0) {
        s->kind = SOURCE_ZSTD;
        s->zstd = ZSTD_createDStream();
        if (s->zstd == NULL) return rt_fail(err, RT_NOMEM, "decompress %s", s->path);
    }
    return RT_OK;
}

rt_status byte_source_open(const char *path, byte_source **out, rt_error *err)
{
    rt_status st = RT_OK;
    byte_source *s = rt_calloc(1, sizeof *s);
    if (s == NULL) return rt_fail(err, RT_NOMEM, "open %s", path);
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        st = rt_fail(err, errno == ENOENT ? RT_NOTFOUND : RT_IO, "open %s: %s", path,
                     strerror(errno));
        goto out;
    }
    s->path = rt_strndup(path, strlen(path));
    if (s->path == NULL) {
        st = rt_fail(err, RT_NOMEM, "open %s", path);
        goto out;
    }
    if ((st = find_kind(s, err)) != RT_OK) goto out;
    *out = s;
    s = NULL;
out:
    byte_source_close(s);
    return st;
}

void byte_source_close(byte_source *s)
{
    if (s == NULL) return;
    if (s->gzip_ready) inflateEnd(&s->gzip);
    ZSTD_freeDStream(s->zstd);
    if (s->fd >= 0) close(s->fd);
    free(s->path);
    free(s);
}

bool byte_source_is_packed(const byte_source *s)
{
    return s->kind != SOURCE_PLAIN;
}

static rt_status torn(const byte_source *s, const char *what, rt_error *err)
{
    return rt_fail(err, RT_CORRUPT,
                   "%s: the %s stream ends early, after %" PRIu64 " bytes; the file is torn",
                   s->path, what, s->n_read);
}

/* One turn of inflate(). A file may hold several members one behind the other, and zeros (from
 * tapes and block devices) behind the last. */
static rt_status read_gzip(byte_source *s, char *to, size_t n, size_t *n_read, rt_error *err)
{
    if (!s->in_member) {
        while (s->at < s->n && s->input[s->at] == 0) {
            s->at++;
            s->padding = true;
        }
        if (s->at == s->n) return RT_OK;
        if (s->padding || inflateReset(&s->gzip) != Z_OK)
            return rt_fail(err, RT_CORRUPT, "%s: bytes behind the end of the gzip stream", s->path);
        s->in_member = true;
    }
    s->gzip.next_in = s->input + s->at;
    s->gzip.avail_in = (uInt)(s->n - s->at);
    s->gzip.next_out = (Bytef *)to;
    s->gzip.avail_out = (uInt)RT_MIN(n, (size_t)INT32_MAX);
    uInt room = s->gzip.avail_out;
    int why = inflate(&s->gzip, Z_NO_FLUSH);
    s->at = s->n - s->gzip.avail_in;
    *n_read = room - s->gzip.avail_out;
    if (why == Z_STREAM_END) {
        s->in_member = false;
        return RT_OK;
    }
    if (why == Z_OK || why == Z_BUF_ERROR) return RT_OK;
    if (why == Z_MEM_ERROR) return rt_fail(err, RT_NOMEM, "inflate %s", s->path);
    return rt_fail(err, RT_CORRUPT, "%s: broken gzip data: %s", s->path,
                   s->gzip.msg == NULL ? "a dictionary is needed" : s->gzip.msg);
}

static rt_status read_zstd(byte_source *s, char *to, size_t n, size_t *n_read, rt_error *err)
{
    ZSTD_inBuffer in = {s->input + s->at, s->n - s->at, 0};
    ZSTD_outBuffer out = {to, n, 0};
    size_t left = ZSTD_decompressStream(s->zstd, &out, &in);
    s->at += in.pos;
    *n_read = out.pos;
    if (ZSTD_isError(left))
        return rt_fail(err, RT_CORRUPT, "%s: broken zstd data: %s", s->path,
                       ZSTD_getErrorName(left));
    if (in.pos > 0 || out.pos > 0) s->in_member = left != 0;
    return RT_OK;
}

static void read_plain(byte_source *s, char *to, size_t n, size_t *n_read)
{
    *n_read = RT_MIN(n, s->n - s->at);
    memcpy(to, s->input + s->at, *n_read);
    s->at += *n_read;
}

rt_status byte_source_read(byte_source *s, char *to, size_t n, size_t *n_read, rt_error *err)
{
    rt_status st;
    for (;;) {
        /* The decompressors may still hold output when all input is taken: ask them first. */
        *n_read = 0;
        if (s->kind == SOURCE_PLAIN) {
            read_plain(s, to, n, n_read);
        } else {
            st = s->kind == SOURCE_GZIP ? read_gzip(s, to, n, n_read, err)
                                        : read_zstd(s, to, n, n_read, err);
            if (st != RT_OK) return st;
        }
        if (*n_read > 0) return RT_OK;
        if (s->at_end) {
            if (s->at < s->n && s->kind == SOURCE_GZIP && !s->in_member) continue;
            if (s->in_member) return torn(s, s->kind == SOURCE_GZIP ? "gzip" : "zstd", err);
            return RT_END;
        }
        if ((st = fill(s, err)) != RT_OK) return st;
    }
}

uint64_t byte_source_n_read(const byte_source *s)
{
    return s->n_read;
}
