/* Arena: many allocations, one release. Sized once at start, reused every step.
 *
 *     arena *a = NULL;
 *     if ((st = arena_new(1 << 20, &a, err)) != RT_OK) goto out;
 *     float *x = arena_alloc(a, n * sizeof *x);
 *     arena_reset(a);                 // everything allocated from it is gone, memory is kept
 *
 * Blocks are chained when the first one is full; after a reset the arena merges them into one, so
 * a repeated step settles into a single block and allocates nothing.
 */
#ifndef RT_BASE_ARENA_H
#define RT_BASE_ARENA_H

#include "common/base/status.h"

typedef struct arena arena;

/* Returns new; freed with arena_free(). */
RT_MUST_USE rt_status arena_new(size_t n_bytes, arena **out, rt_error *err);
void arena_free(arena *a);

/* n bytes aligned to 64, not cleared; valid until arena_reset() or arena_free(). NULL when out of
 * memory. */
void *arena_alloc(arena *a, size_t n_bytes);
/* Array of n elements of `size` bytes; NULL also when the product overflows. */
void *arena_array(arena *a, size_t n, size_t size);
void arena_reset(arena *a);
/* Bytes handed out since the last reset, and the most there ever were. */
size_t arena_used(const arena *a);
size_t arena_peak(const arena *a);

#endif
