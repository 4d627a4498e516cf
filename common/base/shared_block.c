#include "common/base/shared_block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/bytes.h"
#include "common/base/hash.h"

#define BLOCK_NAME   "retort-block"
#define HEADER_BYTES 4096
#define SEALS        (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct shared_block {
    int fd;
    char *map; /* [HEADER_BYTES + n_bytes] */
    size_t n_bytes;
    uint64_t host, token;
};

/* 0 when the kernel does not say: then nothing is shared. */
static uint64_t this_host(void)
{
    char text[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    return n <= 0 ? 0 : rt_hash64(text, (size_t)n, 0);
}

rt_status shared_block_new(size_t n_bytes, shared_block **out, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_all = HEADER_BYTES + n_bytes;
    shared_block *b = rt_calloc(1, sizeof *b);
    if (b == NULL) return rt_fail(err, RT_NOMEM, "shared memory");
    b->fd = memfd_create(BLOCK_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    b->host = this_host();
    b->n_bytes = n_bytes;
    if (b->fd < 0 || b->host == 0 || getrandom(&b->token, sizeof b->token, 0) != sizeof b->token) {
        st = rt_fail(err, RT_UNSUPPORTED, "shared memory: %s", strerror(errno));
        goto out;
    }
    if (posix_fallocate(b->fd, 0, (off_t)n_all) != 0 || fcntl(b->fd, F_ADD_SEALS, SEALS) != 0) {
        st = rt_fail(err, RT_NOMEM, "shared memory of %zu bytes", n_all);
        goto out;
    }
    void *map = mmap(NULL, n_all, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (map == MAP_FAILED) {
        st = rt_fail(err, RT_NOMEM, "shared memory of %zu bytes: %s", n_all, strerror(errno));
        goto out;
    }
    b->map = map;
    memcpy(b->map, &b->token, sizeof b->token);
    *out = b;
    b = NULL;
out:
    shared_block_free(b);
    return st;
}

void shared_block_free(shared_block *b)
{
    if (b == NULL) return;
    if (b->map != NULL) munmap(b->map, HEADER_BYTES + b->n_bytes);
    if (b->fd >= 0) close(b->fd);
    free(b);
}

void *shared_block_bytes(shared_block *b)
{
    return b->map + HEADER_BYTES;
}

shared_block_ref shared_block_refer(const shared_block *b, size_t offset, size_t n_bytes)
{
    RT_ASSERT(offset <= b->n_bytes && n_bytes <= b->n_bytes - offset);
    return (shared_block_ref){.host = b->host,
                              .pid = (uint64_t)getpid(),
                              .fd = (uint64_t)b->fd,
                              .token = b->token,
                              .offset = offset,
                              .n_bytes = n_bytes,
                              .checksum = rt_hash64(b->map + HEADER_BYTES + offset, n_bytes, 0)};
}

/* The numbers may be anybody's: the link is read before it is opened, for opening a device or a pipe
 * can have effects. */
static int open_block(const shared_block_ref *ref)
{
    static const char begins[] = "/memfd:" BLOCK_NAME;
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%" PRIu64 "/fd/%" PRIu64, ref->pid, ref->fd);
    ssize_t n = readlink(path, target, sizeof target);
    if (n < (ssize_t)sizeof begins - 1 || memcmp(target, begins, sizeof begins - 1) != 0) return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static bool read_all(int fd, void *out, size_t n, uint64_t at)
{
    char *to = out;
    while (n > 0) {
        ssize_t k = pread(fd, to, n, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        to += k;
        at += (uint64_t)k;
        n -= (size_t)k;
    }
    return true;
}

/* A file descriptor of the block, checked; the range lies within it. */
static rt_status open_range(const shared_block_ref *ref, int *out, rt_error *err)
{
    rt_status st = RT_OK;
    struct stat s;
    uint64_t token = 0, n_file = 0;
    if (ref->host == 0 || ref->host != this_host())
        return rt_fail(err, RT_UNAVAILABLE, "shared memory of another machine");
    int fd = open_block(ref);
    if (fd < 0 || fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) ||
        (fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || !read_all(fd, &token, sizeof token, 0) ||
        token != ref->token) {
        st = rt_fail(err, RT_UNAVAILABLE,
                     "shared memory of process %" PRIu64 " cannot be seen from here", ref->pid);
        goto out;
    }
    n_file = (uint64_t)s.st_size - HEADER_BYTES;
    if (ref->offset > n_file || ref->n_bytes > n_file - ref->offset) {
        st = rt_fail(err, RT_CORRUPT,
                     "shared memory of process %" PRIu64 ": found %" PRIu64
                     " bytes, expected %" PRIu64 " at %" PRIu64,
                     ref->pid, n_file, ref->n_bytes, ref->offset);
        goto out;
    }
    *out = fd;
    fd = -1;
out:
    if (fd >= 0) close(fd);
    return st;
}

static rt_status other_bytes(const shared_block_ref *ref, rt_error *err)
{
    return rt_fail(err, RT_CORRUPT,
                   "shared memory of process %" PRIu64 ": found other bytes than were announced",
                   ref->pid);
}

rt_status shared_block_read(const shared_block_ref *ref, void *out, rt_error *err)
{
    int fd = -1;
    rt_status st = open_range(ref, &fd, err);
    if (st != RT_OK) return st;
    if (!read_all(fd, out, ref->n_bytes, HEADER_BYTES + ref->offset) ||
        rt_hash64(out, ref->n_bytes, 0) != ref->checksum)
        st = other_bytes(ref, err);
    close(fd);
    return st;
}

rt_status shared_block_read_parts(const shared_block_ref *ref,
                                  void (*hear)(void *context, size_t at, const void *bytes,
                                               size_t n),
                                  void *context, rt_error *err)
{
    int fd = -1;
    rt_status st = open_range(ref, &fd, err);
    if (st != RT_OK) return st;
    char *part = rt_calloc(1, SHARED_BLOCK_PART);
    rt_hash64_parts *hash = rt_hash64_begin(0);
    bool good = part != NULL && hash != NULL;
    if (!good) st = rt_fail(err, RT_NOMEM, "a part of shared memory");
    for (uint64_t at = 0; good && at < ref->n_bytes;) {
        size_t n = RT_MIN(ref->n_bytes - at, (uint64_t)SHARED_BLOCK_PART);
        good = read_all(fd, part, n, HEADER_BYTES + ref->offset + at);
        if (!good) break;
        rt_hash64_add(hash, part, n);
        hear(context, at, part, n);
        at += n;
    }
    if (hash != NULL && rt_hash64_end(hash) != ref->checksum) good = false;
    if (st == RT_OK && !good) st = other_bytes(ref, err);
    free(part);
    close(fd);
    return st;
}
