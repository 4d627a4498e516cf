#include <criterion/criterion.h>

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
