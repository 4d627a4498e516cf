#include <criterion/criterion.h>

#include "common/base/rng.h"
#include "worker/teacher/openai/due_queue.h"

Test(due_queue, gives_the_earliest_first_and_of_equals_the_smaller)
{
    enum { N = 500 };
    due_queue q = {0};
    rng_key key = rng_key_make(1, "q", (rt_id){0}, 0);
    uint64_t due_ms, last_ms = 0;
    size_t i, last = 0, n = 0;
    cr_assert_eq(due_queue_init(&q, N, NULL), RT_OK);
    cr_expect_not(due_queue_first(&q, &i, &due_ms));
    for (size_t k = 0; k < N; k++) due_queue_add(&q, k, rng_below(key, k, 40));
    for (; due_queue_first(&q, &i, &due_ms); due_queue_drop_first(&q), n++) {
        cr_expect(due_ms > last_ms || (due_ms == last_ms && (n == 0 || i > last)));
        last_ms = due_ms;
        last = i;
    }
    cr_expect_eq(n, N);
    for (size_t k = 0; k < N; k++) due_queue_add(&q, k, rng_below(key, k, 40));
    due_queue_hasten(&q, 7);
    for (last_ms = 0; due_queue_first(&q, &i, &due_ms); due_queue_drop_first(&q)) {
        cr_expect(due_ms >= last_ms && due_ms <= 7);
        last_ms = due_ms;
    }
    due_queue_free(&q);
}
