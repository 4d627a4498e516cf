#include <criterion/criterion.h>

#include "common/base/rng.h"
#include "coordinator/eval_board.h"

static eval_board *b;

static void close_board(void)
{
    eval_board_free(b);
    b = NULL;
}

TestSuite(eval_board, .fini = close_board);

static void open_board(bool by_exact)
{
    eval_settings s = {.by_exact = by_exact,
                       .answer_task = TASK_PREDICT,
                       .task_weight = {[TASK_PREDICT] = 0.5, [TASK_EXPLAIN] = 0.5}};
    cr_assert_eq(eval_board_new(&s, &b, NULL), RT_OK);
}

static wire_sums sums(double predict, double explain, uint64_t n_exact)
{
    wire_sums s = {0};
    s.loss[TASK_PREDICT] = predict;
    s.count[TASK_PREDICT] = 2;
    s.loss[TASK_EXPLAIN] = explain;
    s.count[TASK_EXPLAIN] = 4;
    s.n_seqs[TASK_PREDICT] = 10;
    s.n_exact[TASK_PREDICT] = n_exact;
    return s;
}

static void add(uint64_t version, uint64_t n_records, double loss, uint64_t n_exact)
{
    wire_sums s = sums(loss * 2, loss * 4, n_exact);
    cr_assert_eq(eval_board_add(b, version, n_records, &s, NULL), RT_OK);
}

Test(eval_board, weighs_each_task_by_its_own_count)
{
    open_board(false);
    wire_sums s = sums(3, 2, 4);
    cr_assert_eq(eval_board_add(b, 5, 7, &s, NULL), RT_OK);
    const eval_score *score = eval_board_find(b, 5);
    cr_assert_not_null(score);
    cr_expect_float_eq(score->loss, 0.5 * 1.5 + 0.5 * 0.5, 1e-12);
    cr_expect_float_eq(score->exact, 0.4, 1e-12);
}

Test(eval_board, takes_each_result_once_and_only_of_its_version)
{
    eval_score score;
    open_board(false);
    wire_sums s = sums(1, 1, 1);
    cr_assert_eq(eval_board_start(b, 5, 2, 20, NULL), RT_OK);
    cr_expect_not(eval_board_result(b, 4, 0, &s));
    cr_expect_not(eval_board_result(b, 5, 2, &s));
    cr_expect(eval_board_result(b, 5, 1, &s));
    cr_expect_not(eval_board_result(b, 5, 1, &s));
    cr_expect(eval_board_is_missing(b, 0));
    cr_assert_eq(eval_board_start(b, 5, 2, 20, NULL), RT_OK);
    cr_expect_eq(eval_board_n_missing(b), 1);
    cr_expect(eval_board_result(b, 5, 0, &s));
    cr_assert(eval_board_is_complete(b));
    cr_assert_eq(eval_board_finish(b, &score, NULL), RT_OK);
    cr_expect_float_eq(score.sums.loss[TASK_PREDICT], 2, 1e-12);
    cr_expect_not(eval_board_result(b, 5, 0, &s));
}

Test(eval_board, is_complete_at_once_when_nothing_is_held_out)
{
    eval_score score;
    open_board(false);
    cr_assert_eq(eval_board_start(b, 5, 0, 0, NULL), RT_OK);
    cr_assert(eval_board_is_complete(b));
    cr_assert_eq(eval_board_finish(b, &score, NULL), RT_OK);
    cr_expect_null(eval_board_best(b));
}

Test(eval_board, chooses_the_lowest_loss_and_the_earlier_of_equals)
{
    open_board(false);
    add(10, 100, 2.0, 9);
    add(20, 100, 1.5, 3);
    add(30, 100, 1.5, 8);
    cr_expect_eq(eval_board_best(b)->version, 20);
    cr_expect_str_eq(eval_board_metric_name(b), "loss");
}

Test(eval_board, chooses_the_most_exact_answers_when_told_to)
{
    open_board(true);
    add(10, 100, 2.0, 9);
    add(20, 100, 1.5, 3);
    cr_expect_eq(eval_board_best(b)->version, 10);
}

Test(eval_board, compares_only_versions_scored_on_the_largest_set)
{
    open_board(false);
    add(10, 50, 0.1, 9);
    add(20, 100, 1.5, 3);
    add(30, 100, 1.2, 3);
    cr_expect_eq(eval_board_best(b)->version, 30);
}

Test(eval_board, gives_the_same_bits_in_any_order_of_results)
{
    wire_sums parts[16];
    for (unsigned i = 0; i < 16; i++) parts[i] = sums(1.0 / (3 + i), 0.1 * i, i);
    double first = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint32_t order[16];
        eval_score score;
        for (uint32_t i = 0; i < 16; i++) order[i] = i;
        rng_permute(rng_key_make(seed, "results", (rt_id){0}, 0), order, 16);
        open_board(false);
        cr_assert_eq(eval_board_start(b, 1, 16, 16, NULL), RT_OK);
        for (unsigned i = 0; i < 16; i++)
            cr_assert(eval_board_result(b, 1, order[i], &parts[order[i]]));
        cr_assert_eq(eval_board_finish(b, &score, NULL), RT_OK);
        if (seed == 0) first = score.loss;
        cr_expect(score.loss == first);
        close_board();
    }
}
