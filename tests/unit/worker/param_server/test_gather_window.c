#include <criterion/criterion.h>
#include <math.h>

#include "worker/param_server/gather_window.h"

static wire_push header(uint64_t step, uint32_t index)
{
    return (wire_push){.step = step, .index = index, .n_micro_batches = 2, .n_floats = 3};
}

static wire_push_status add(gather_window *w, uint64_t step, uint32_t index)
{
    rt_error err = {0};
    wire_push_status status = PUSH_STALE;
    wire_push push = header(step, index);
    gather *g = gather_window_at(w, step);
    float *grad = gather_take_buffer(g);
    for (int i = 0; i < 3; i++) grad[i] = 1;
    slice_rows all = slice_rows_all(3);
    cr_assert_eq(gather_add(g, &push, &all, &grad, &status, &err), RT_OK, "%s", err.text);
    gather_give_back(g, grad);
    return status;
}

Test(gather_window, keeps_what_came_early_when_it_moves)
{
    gather_window *w = NULL;
    cr_assert_eq(gather_window_new(3, 1, 2, 2, &w, NULL), RT_OK);
    gather_window_begin(w, 5, false);
    cr_expect_null(gather_window_at(w, 4));
    cr_expect_null(gather_window_at(w, 8));
    cr_expect_eq(add(w, 7, 1), PUSH_ACCEPTED);
    cr_expect_eq(add(w, 5, 0), PUSH_ACCEPTED);
    gather_window_record(w, 7)->staleness[1] = 9;
    gather_window_begin(w, 6, true);
    cr_expect_null(gather_window_at(w, 5));
    cr_expect_eq(add(w, 7, 1), PUSH_DUPLICATE);
    cr_expect_eq(gather_window_record(w, 7)->staleness[1], 9);
    cr_expect_eq(add(w, 8, 1), PUSH_ACCEPTED, "a slot is used again");
    cr_expect_eq(gather_n_added(gather_window_at(w, 7)), 0, "index 0 is missing");
    gather_window_free(w);
}

Test(gather_window, forgets_everything_when_a_version_is_restored)
{
    gather_window *w = NULL;
    cr_assert_eq(gather_window_new(3, 1, 2, 2, &w, NULL), RT_OK);
    gather_window_begin(w, 5, false);
    cr_expect_eq(add(w, 6, 0), PUSH_ACCEPTED);
    gather_window_record(w, 6)->sum_squares[0] = 4;
    gather_window_begin(w, 5, false);
    cr_expect_eq(add(w, 6, 0), PUSH_ACCEPTED);
    cr_expect_eq(gather_window_record(w, 6)->sum_squares[0], 0);
    gather_window_free(w);
}

Test(gather_window, a_gradient_that_is_used_at_once_is_counted_and_not_kept)
{
    rt_error err = {0};
    gather_window *w = NULL;
    wire_push_status status = PUSH_STALE;
    float grad[3] = {1, 2, 3};
    cr_assert_eq(gather_window_new(3, 1, 2, 0, &w, NULL), RT_OK);
    gather_window_begin(w, 0, false);
    gather *g = gather_window_at(w, 0);
    for (uint32_t i = 2; i-- > 0;) {
        wire_push push = header(0, i);
        cr_assert_eq(gather_note(g, &push, grad, &status, &err), RT_OK);
        cr_expect_eq(status, PUSH_ACCEPTED);
        cr_assert_eq(gather_note(g, &push, grad, &status, &err), RT_OK);
        cr_expect_eq(status, PUSH_DUPLICATE);
    }
    cr_expect(gather_is_complete(g));
    grad[1] = (float)INFINITY;
    gather_window_begin(w, 1, true);
    wire_push push = header(1, 0);
    cr_expect_eq(gather_note(gather_window_at(w, 1), &push, grad, &status, &err), RT_INVALID);
    gather_window_free(w);
}
