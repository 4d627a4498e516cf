#include "worker/model_shape/large_blocks.h"

#include <malloc.h>

#define KEEP_BYTES      (32 << 20)  /* the most that glibc allows */
#define KEEP_BYTES_FREE (512 << 20) /* of unused memory at the end of the heap */

void large_blocks_keep(void)
{
    /* Only a preference: where it is not heard, everything works, slower. */
    (void)mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, KEEP_BYTES_FREE);
}
