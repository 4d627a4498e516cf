#include "common/dataset/plan_store.h"

#include <criterion/criterion.h>

static plan_record nth_record(uint32_t i, uint32_t most)
{
    plan_record r = {.i_example = i * 3};
    for (uint32_t t = 0; t < TASK_COUNT; t++) {
        if ((i + t) % 3 == 0) continue; /* every record lacks one */
        r.n_target[t] = 1 + i % 7;
        r.n_tokens[t] = most - i;
    }
    return r;
}

static void reserve_for(plan_store *s, const plan_record *r)
{
    plan_layout layout = {0};
    plan_layout_see(&layout, r);
    cr_assert_eq(plan_store_reserve(s, &layout, 1, NULL), RT_OK);
}

static void expect_record(const plan_store *s, size_t i, const plan_record *expected)
{
    plan_record found;
    plan_store_get(s, i, &found);
    cr_expect_eq(found.i_example, expected->i_example);
    for (int t = 0; t < TASK_COUNT; t++) {
        cr_expect_eq(found.n_target[t], expected->n_target[t], "record %zu task %d", i, t);
        cr_expect_eq(found.n_tokens[t], expected->n_tokens[t], "record %zu task %d", i, t);
    }
}

Test(plan_store, records_come_back_though_later_ones_need_more_tasks_and_wider_numbers)
{
    enum { N = 300 };
    static const uint32_t most[] = {1000, UINT16_MAX, UINT16_MAX + 400, UINT32_MAX};
    plan_store s = {0};
    for (uint32_t i = 0; i < N; i++) {
        plan_record r = nth_record(i, most[i * 4 / N]);
        reserve_for(&s, &r);
        plan_store_add(&s, &r);
    }
    cr_assert_eq(s.n, N);
    for (uint32_t i = 0; i < N; i++) {
        plan_record r = nth_record(i, most[i * 4 / N]);
        expect_record(&s, i, &r);
    }
    plan_store_free(&s);
}

Test(plan_store, takes_eight_bytes_with_one_task_and_twelve_with_two)
{
    plan_store s = {0};
    plan_record one = {.i_example = 1, .n_tokens = {9}, .n_target = {2}};
    plan_record two = {.i_example = 2, .n_tokens = {9, 20}, .n_target = {2, 10}};
    reserve_for(&s, &one);
    cr_expect_eq(s.n_row_bytes, 8);
    plan_store_add(&s, &one);
    reserve_for(&s, &two);
    cr_expect_eq(s.n_row_bytes, 12);
    plan_store_add(&s, &two);
    expect_record(&s, 0, &one);
    expect_record(&s, 1, &two);
    plan_store_free(&s);
}
