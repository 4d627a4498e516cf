/* The tape's memory: what is given back serves again, whole, in parts, and joined. */
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/rng.h"
#include "common/nn/tape.h"

static tape *new_tape(void)
{
    tape *t = NULL;
    cr_assert_eq(tape_new(&t, NULL), RT_OK);
    tape_begin(t, false);
    return t;
}

Test(tape, of_equal_buffers_the_last_given_is_taken)
{
    tape *t = new_tape();
    char *a = tape_take(t, 640), *apart = tape_take(t, 64), *b = tape_take(t, 600);
    cr_assert(a != NULL && apart != NULL && b != NULL);
    tape_give(t, a, 640);
    tape_give(t, b, 600);
    cr_expect_eq(tape_take(t, 620), b, "600 bytes take ten lines");
    cr_expect_eq(tape_take(t, 640), a);
    tape_free(t);
}

Test(tape, a_large_buffer_serves_small_ones_and_grows_together_again)
{
    tape *t = new_tape();
    char *whole = tape_take(t, 4096), *parts[4];
    tape_give(t, whole, 4096);
    for (size_t i = 0; i < 4; i++) {
        parts[i] = tape_take(t, 1024);
        cr_expect_eq(parts[i], whole + 1024 * i);
    }
    const size_t order[] = {2, 0, 3, 1};
    for (size_t i = 0; i < 4; i++) tape_give(t, parts[order[i]], 1024);
    cr_expect_eq(tape_take(t, 4096), whole);
    tape_free(t);
}

/* Thousands of buffers of chance sizes: none overlaps another that is in use. */
Test(tape, buffers_in_use_never_overlap)
{
    enum { N = 40, ROUNDS = 20000 };
    struct {
        unsigned char *data;
        size_t n;
    } used[N] = {0};
    tape *t = new_tape();
    rng_key key = rng_key_make(3, "tape", (rt_id){0}, 0);
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t i = rng_below(key, 2 * round, N);
        if (used[i].data != NULL) {
            for (size_t k = 0; k < used[i].n; k++)
                cr_assert_eq(used[i].data[k], i, "round %zu", round);
            tape_give(t, used[i].data, used[i].n);
            used[i].data = NULL;
            continue;
        }
        used[i].n = 1 + rng_below(key, 2 * round + 1, 700);
        used[i].data = tape_take(t, used[i].n);
        cr_assert_not_null(used[i].data);
        memset(used[i].data, (int)i, used[i].n);
    }
    tape_free(t);
}

Test(tape, what_no_memory_holds_is_refused)
{
    tape *t = new_tape();
    cr_expect_null(tape_take(t, SIZE_MAX));
    cr_expect_eq(tape_status(t, NULL), RT_NOMEM);
    tape_free(t);
}
