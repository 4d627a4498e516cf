#include "common/base/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define LINE      ((size_t)64)
#define HUGE_PAGE ((size_t)2 << 20)

void rt_heap_trim(void)
{
    (void)malloc_trim(0);
}

void rt_heap_return_large(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10); /* a fixed one is no longer adjusted */
}

static void *aligned(size_t n_bytes, size_t to)
{
    if (n_bytes > SIZE_MAX - to) return NULL;
    return aligned_alloc(to, (n_bytes + to - 1) / to * to);
}

void *rt_heap_tensors(size_t n_bytes)
{
    if (n_bytes < 2 * HUGE_PAGE) return aligned(n_bytes, LINE);
    void *p = aligned(n_bytes, HUGE_PAGE);
    if (p != NULL) (void)madvise(p, n_bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish */
    return p;
}
