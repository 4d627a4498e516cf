#include "cli/projection.h"

#include <criterion/criterion.h>
#include <math.h>

static projection_basis toy_basis(void)
{
    return (projection_basis){.n_rows = 1000,
                              .n_texts = 1,
                              .n_choices = 1,
                              .prompt_tokens_mean = 400.5,
                              .answer_tokens_likely = 60,
                              .answer_tokens_max = 256,
                              .attempts_max = 2,
                              .price_input = 0.15,
                              .price_output = 0.6};
}

Test(projection, counts_one_attempt_as_likely_and_all_as_most)
{
    projection_basis b = toy_basis();
    projection p = project(&b);
    cr_expect_eq(p.n_prompt_likely, 400500);
    cr_expect_eq(p.n_prompt_max, 801000);
    cr_expect_eq(p.n_completion_likely, 60000);
    cr_expect_eq(p.n_completion_max, 512000);
    cr_assert(p.is_priced);
    cr_expect_float_eq(p.cost_likely, 0.4005 * 0.15 + 0.06 * 0.6, 1e-12);
    cr_expect_float_eq(p.cost_max, 0.801 * 0.15 + 0.512 * 0.6, 1e-12);
}

Test(projection, pays_a_prompt_once_for_the_choices_of_a_request)
{
    projection_basis b = toy_basis();
    b.n_texts = 5;
    b.n_choices = 2;
    projection p = project(&b);
    cr_expect_eq(p.n_prompt_likely, 3 * 400500);
    cr_expect_eq(p.n_prompt_max, 5 * 801000, "each may have to be asked for alone");
    cr_expect_eq(p.n_completion_likely, 5 * 60000);
    cr_expect_eq(p.n_completion_max, 5 * 512000);
}

Test(projection, pays_the_thought_twice_in_two_steps)
{
    projection_basis b = toy_basis();
    b.two_step = true;
    projection p = project(&b);
    cr_expect_eq(p.n_prompt_likely, 2 * 400500 + 60000);
    cr_expect_eq(p.n_prompt_max, 2 * 801000 + 512000);
    cr_expect_eq(p.n_completion_likely, 2 * 60000);
}

Test(projection, takes_the_longest_answer_when_it_knows_no_better)
{
    projection_basis b = toy_basis();
    b.answer_tokens_likely = 0;
    cr_expect_eq(project(&b).n_completion_likely, 256000);
    b.answer_tokens_likely = 1000; /* longer than may be */
    cr_expect_eq(project(&b).n_completion_likely, 256000);
}

Test(projection, has_a_price_when_either_side_has)
{
    projection_basis b = toy_basis();
    b.price_input = 0;
    cr_expect(project(&b).is_priced);
    b.price_output = 0;
    cr_expect_not(project(&b).is_priced);
    cr_expect_eq(project(&b).cost_max, 0);
}

Test(projection, may_pay_for_one_text_more_where_the_label_is_given)
{
    projection_basis b = toy_basis();
    b.label_given = true;
    projection p = project(&b);
    cr_expect_eq(p.n_prompt_likely, 400500, "most rows are right");
    cr_expect_eq(p.n_prompt_max, 801000 + 400500);
    cr_expect_eq(p.n_completion_max, 512000 + 256000);
}

Test(projection, adds_what_a_second_teacher_gets_of_the_rows)
{
    projection_basis b = toy_basis(), dear = toy_basis();
    dear.price_input = 3;
    dear.price_output = 15;
    cr_expect_eq(projection_rows(1000, 0), 0);
    cr_expect_eq(projection_rows(1000, 0.2), 200);
    cr_expect_eq(projection_rows(7, 0.2), 2, "a part of a row is one");
    cr_expect_eq(projection_rows(7, 1), 7);
    dear.n_rows = projection_rows(b.n_rows, 0.2);
    projection first = project(&b), second = project(&dear), both = projection_sum(&first, &second);
    cr_expect_eq(both.n_prompt_likely, 400500 + 80100);
    cr_expect_eq(both.n_completion_max, 512000 + 102400);
    cr_expect_float_eq(both.cost_likely, first.cost_likely + 0.0801 * 3 + 0.012 * 15, 1e-12);
    cr_expect_float_eq(both.cost_max, first.cost_max + 0.1602 * 3 + 0.1024 * 15, 1e-12);
    dear.n_rows = 0;
    second = project(&dear);
    cr_expect_eq(projection_sum(&first, &second).cost_max, first.cost_max);
}

Test(projection, has_a_price_when_one_of_two_teachers_has)
{
    projection none = {0}, priced = {.is_priced = true, .n_prompt_max = (uint64_t)9e15};
    cr_expect(projection_sum(&none, &priced).is_priced);
    cr_expect(projection_sum(&priced, &none).is_priced);
    cr_expect_not(projection_sum(&none, &none).is_priced);
    cr_expect_lt(projection_sum(&priced, &priced).n_prompt_max, (uint64_t)1 << 53, "still exact");
}

Test(projection, stays_a_number_for_any_size)
{
    projection_basis b = toy_basis();
    b.n_rows = UINT64_MAX;
    b.prompt_tokens_mean = 1e9;
    b.answer_tokens_max = UINT64_MAX;
    b.attempts_max = UINT64_MAX;
    projection p = project(&b);
    cr_expect_gt(p.n_prompt_max, 0);
    cr_expect_lt(p.n_prompt_max, (uint64_t)1 << 53);
    cr_expect(isfinite(p.cost_max));
    b.n_rows = 0;
    cr_expect_eq(project(&b).n_prompt_max, 0);
    cr_expect_eq(project(&b).cost_max, 0);
}
