#include "coordinator/smoke_gate.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

typedef struct size_case {
    uint64_t n_wanted, shard_size, n_examples, n_rows; /* n_rows 0: no smoke phase */
} size_case;

ParameterizedTestParameters(smoke_gate, holds_back_all_but_the_first_whole_shards)
{
    static size_case cases[] = {
        {16, 50, 1000, 50}, {16, 16, 1000, 16},  {16, 5, 1000, 20},
        {50, 50, 51, 50},   {51, 50, 1000, 100}, {1, 1, 2, 1},
        {0, 50, 1000, 0}, /* off */
        {16, 50, 50, 0},  /* there is no rest */
        {16, 50, 16, 0},    {16, 50, 10, 0},     {51, 50, 70, 0},
        {1, 1, 1, 0},       {16, 50, 0, 0},      {UINT64_MAX, 50, 1000, 0},
    };
    return cr_make_param_array(size_case, cases, sizeof cases / sizeof *cases);
}
ParameterizedTest(size_case *c, smoke_gate, holds_back_all_but_the_first_whole_shards)
{
    smoke_gate g = smoke_gate_new(c->n_wanted, c->shard_size, c->n_examples, 0.5);
    cr_expect_eq(g.n_rows, c->n_rows);
    cr_expect_eq(g.state, c->n_rows == 0 ? SMOKE_PASSED : SMOKE_WAITING);
    uint64_t n_shards = c->n_rows == 0 ? UINT64_MAX : c->n_rows / c->shard_size;
    cr_expect_eq(smoke_gate_n_shards(&g), n_shards);
}

Test(smoke_gate, opens_when_all_first_rows_are_there_and_well)
{
    smoke_gate g = smoke_gate_new(10, 10, 100, 0.5);
    cr_expect_not(smoke_gate_see(&g, 0, 0));
    cr_expect_not(smoke_gate_see(&g, 4, 5));
    cr_expect_eq(g.state, SMOKE_WAITING);
    cr_expect_eq(smoke_gate_n_shards(&g), 1);
    cr_expect(smoke_gate_see(&g, 5, 5));
    cr_expect_eq(g.state, SMOKE_PASSED);
    cr_expect_eq(smoke_gate_n_shards(&g), UINT64_MAX);
    cr_expect_not(smoke_gate_see(&g, 0, 10), "decided once");
    cr_expect_eq(g.state, SMOKE_PASSED);
}

Test(smoke_gate, closes_as_soon_as_too_many_are_rejected)
{
    smoke_gate g = smoke_gate_new(10, 10, 100, 0.5);
    cr_expect(smoke_gate_see(&g, 0, 6)); /* four are still out */
    cr_expect_eq(g.state, SMOKE_FAILED);
    cr_expect_eq(smoke_gate_n_shards(&g), 1);
    cr_expect_not(smoke_gate_see(&g, 4, 6));
    cr_expect_eq(g.state, SMOKE_FAILED);
}

Test(smoke_gate, keeps_to_the_extremes_of_the_share)
{
    smoke_gate never = smoke_gate_new(10, 10, 100, 1);
    cr_expect(smoke_gate_see(&never, 0, 10));
    cr_expect_eq(never.state, SMOKE_PASSED);
    smoke_gate strict = smoke_gate_new(10, 10, 100, 0);
    cr_expect_not(smoke_gate_see(&strict, 9, 0));
    cr_expect(smoke_gate_see(&strict, 9, 1));
    cr_expect_eq(strict.state, SMOKE_FAILED);
}

Test(smoke_gate, is_not_repeated_once_it_was_passed)
{
    smoke_gate g = smoke_gate_new(10, 10, 100, 0.5);
    smoke_gate_skip(&g);
    cr_expect_eq(g.state, SMOKE_PASSED);
    cr_expect_eq(smoke_gate_n_shards(&g), UINT64_MAX);
    cr_expect_not(smoke_gate_see(&g, 0, 10));
}
