#include "common/base/secret.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static size_t whole_pages(size_t n_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return n_bytes > SIZE_MAX - page ? 0 : (n_bytes + page - 1) / page * page;
}

void *rt_secret_new(size_t n_bytes)
{
    size_t n = whole_pages(n_bytes);
    if (n == 0) return NULL;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    (void)madvise(p, n, MADV_DONTDUMP);
    (void)mlock(p, n); /* RLIMIT_MEMLOCK may be small: then it can be swapped */
    return p;
}

void rt_secret_free(void *secret, size_t n_bytes)
{
    if (secret == NULL) return;
    explicit_bzero(secret, n_bytes);
    munmap(secret, whole_pages(n_bytes));
}

void rt_secret_no_core(bool peers_read_memory)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    /* A limit of 0 does not bind a collector that the kernel pipes core files to; an empty filter
     * leaves nothing to collect. */
    int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "0", 1);
        close(fd);
    }
    if (!peers_read_memory) (void)prctl(PR_SET_DUMPABLE, 0);
}
