#include "common/base/heap.h"

#include <malloc.h>

void rt_heap_return_large(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 << 10); /* a fixed one is no longer adjusted */
}
