#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/base/id_index.h"

static rt_id nth_id(uint64_t i)
{
    return rt_id_of(&i, sizeof i);
}

Test(id_index, remembers_ten_thousand_ids_by_place)
{
    id_index index = {0};
    cr_expect_eq(id_index_find(&index, nth_id(0)), SIZE_MAX, "empty");
    for (uint64_t i = 0; i < 10000; i++) {
        size_t place = SIZE_MAX;
        bool added = false;
        cr_assert_eq(id_index_add(&index, nth_id(i), &place, &added, NULL), RT_OK);
        cr_assert(added);
        cr_assert_eq(place, i);
    }
    for (uint64_t i = 0; i < 10000; i++) {
        cr_assert_eq(id_index_find(&index, nth_id(i)), i);
        cr_assert(rt_id_equal(index.ids[i], nth_id(i)));
    }
    cr_expect_eq(id_index_find(&index, nth_id(10000)), SIZE_MAX);
    id_index_free(&index);
    cr_expect_eq(index.n, 0);
}

Test(id_index, an_id_added_twice_keeps_its_place)
{
    id_index index = {0};
    size_t place = SIZE_MAX;
    bool added = false;
    for (uint64_t i = 0; i < 5; i++)
        cr_assert_eq(id_index_add(&index, nth_id(i), &place, &added, NULL), RT_OK);
    cr_assert_eq(id_index_add(&index, nth_id(2), &place, &added, NULL), RT_OK);
    cr_expect_not(added);
    cr_expect_eq(place, 2);
    cr_expect_eq(index.n, 5);
    id_index_free(&index);
}

/* Ids that differ only in one half would fall together under a careless choice of slots. */
Test(id_index, ids_that_differ_in_one_half_are_told_apart)
{
    id_index index = {0};
    size_t place = 0;
    bool added = false;
    for (uint64_t i = 0; i < 200; i++) {
        cr_assert_eq(id_index_add(&index, (rt_id){i, 0}, &place, &added, NULL), RT_OK);
        cr_assert_eq(place, 2 * i);
        cr_assert_eq(id_index_add(&index, (rt_id){7, i + 1}, &place, &added, NULL), RT_OK);
        cr_assert(added);
    }
    cr_expect_eq(id_index_find(&index, (rt_id){199, 0}), 398);
    cr_expect_eq(id_index_find(&index, (rt_id){7, 200}), 399);
    id_index_free(&index);
}

Test(id_index, takes_no_more_than_24_bytes_an_id_beyond_a_small_table)
{
    id_index index = {0};
    size_t place = 0;
    bool added = false;
    for (uint64_t i = 0; i < 100000; i++) {
        cr_assert_eq(id_index_add(&index, nth_id(i), &place, &added, NULL), RT_OK);
        if (i >= 1000)
            cr_assert_leq(index.n * sizeof *index.ids + index.n_slots * sizeof *index.slots,
                          24 * index.n, "at %zu", index.n);
    }
    id_index_free(&index);
}

Test(id_index, sorted_it_finds_every_id_at_its_new_place)
{
    enum { N = 5000 };
    id_index index = {0};
    uint32_t *order = NULL;
    size_t place = 0;
    bool added = false;
    for (uint64_t i = 0; i < N; i++) { /* many with one half in common */
        rt_id id = nth_id(i);
        if (i % 3 == 0) id.high = 7;
        cr_assert_eq(id_index_add(&index, id, &place, &added, NULL), RT_OK);
    }
    rt_id *before = malloc(N * sizeof *before);
    cr_assert_not_null(before);
    for (size_t i = 0; i < N; i++) before[i] = index.ids[i];
    cr_assert_eq(id_index_sort(&index, &order, NULL), RT_OK);
    for (size_t i = 0; i < N; i++) {
        cr_assert(i == 0 || rt_id_compare(index.ids[i - 1], index.ids[i]) < 0);
        cr_assert(rt_id_equal(index.ids[i], before[order[i]]));
        cr_assert_eq(id_index_find(&index, index.ids[i]), i);
    }
    free(before);
    free(order);
    id_index_free(&index);
}
