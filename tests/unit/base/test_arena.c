#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/bytes.h"
#include "common/base/heap.h"

static arena *arena_of(size_t n_bytes)
{
    arena *a = NULL;
    cr_assert_eq(arena_new(n_bytes, &a, NULL), RT_OK);
    return a;
}

Test(arena, hands_out_aligned_memory_that_does_not_overlap)
{
    arena *a = arena_of(256);
    unsigned char *blocks[100];
    for (size_t i = 0; i < RT_COUNT(blocks); i++) {
        blocks[i] = arena_alloc(a, i + 1);
        cr_assert_not_null(blocks[i]);
        cr_expect_eq((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], (int)i, i + 1);
    }
    for (size_t i = 0; i < RT_COUNT(blocks); i++)
        for (size_t k = 0; k <= i; k++) cr_assert_eq(blocks[i][k], i);
    arena_free(a);
}

Test(arena, a_repeated_step_settles_into_one_block)
{
    arena *a = arena_of(64);
    for (int i = 0; i < 50; i++) cr_assert_not_null(arena_alloc(a, 1000));
    size_t used = arena_used(a);
    cr_expect_geq(used, 50000);
    cr_expect_eq(arena_peak(a), used);
    arena_reset(a);
    cr_expect_eq(arena_used(a), 0);
    cr_expect_eq(arena_peak(a), used, "the peak is remembered");
    char *first = arena_alloc(a, 1000), *last = NULL;
    for (int i = 1; i < 50; i++) last = arena_alloc(a, 1000);
    cr_expect_eq(last - first, 49 * 1024, "one block holds the whole step");
    arena_reset(a);
    cr_expect_eq((char *)arena_alloc(a, 1), first, "and is used again");
    arena_free(a);
}

Test(arena, sizes_that_do_not_fit_give_null_and_keep_the_arena_whole)
{
    arena *a = arena_of(64);
    char *kept = arena_alloc(a, 16);
    strcpy(kept, "kept");
    cr_expect_null(arena_alloc(a, SIZE_MAX));
    cr_expect_null(arena_array(a, SIZE_MAX / 2, 4));
    cr_expect_str_eq(kept, "kept");
    cr_expect_not_null(arena_alloc(a, 0));
    cr_expect_not_null(arena_array(a, 10, 10));
    arena_free(a);
    arena_free(NULL);
}

Test(heap, blocks_for_tensors_start_at_a_line)
{
    static const size_t sizes[] = {0, 1, 64, 4097, (size_t)4 << 20, ((size_t)9 << 20) + 1};
    for (size_t i = 0; i < RT_COUNT(sizes); i++) {
        char *p = rt_heap_tensors(sizes[i]);
        if (sizes[i] > 0) {
            cr_assert_not_null(p);
            p[0] = p[sizes[i] - 1] = 1;
        }
        cr_expect_eq((uintptr_t)p % 64, 0, "%zu bytes", sizes[i]);
        free(p);
    }
    cr_expect_null(rt_heap_tensors(SIZE_MAX), "no overflow in rounding up");
}
