#include <criterion/criterion.h>
#include <math.h>

#include "common/base/rng.h"
#include "worker/teacher/vote.h"

#define UNKNOWN VOTE_NONE

static const vote_settings majority = {.rule = VOTE_MAJORITY};

static vote_result count(const vote_settings *settings, const vote_ballot *ballots, size_t n,
                         vote_tally *tallies, size_t n_groups)
{
    vote_result r;
    vote_count(settings, ballots, n, tallies, n_groups, &r);
    return r;
}

Test(vote, counts_shares_margin_and_entropy_of_the_known_ballots)
{
    vote_ballot b[] = {{.group = 0}, {.group = 1}, {.group = UNKNOWN},
                       {.group = 1}, {.group = 2}, {.group = 1}};
    vote_tally t[3];
    vote_settings settings = {.rule = VOTE_MAJORITY, .n_labels = 5};
    vote_result r = count(&settings, b, 6, t, 3);
    cr_expect_eq(r.n_known, 5);
    cr_expect_eq(r.n_unknown, 1);
    cr_expect_eq(r.winner, 1);
    cr_expect_eq(r.runner_up, 0, "of equals the first seen");
    cr_expect_float_eq(r.confidence, 0.6, 1e-12);
    cr_expect_float_eq(r.margin, 0.4, 1e-12);
    cr_expect_float_eq(r.entropy, -(0.6 * log(0.6) + 2 * 0.2 * log(0.2)), 1e-12);
    cr_expect_float_eq(t[1].probability, 3.5 / 7.5, 1e-12, "(3 + 1/2) / (5 + 5/2)");
    cr_expect_eq(t[1].i_first, 1);
    r = count(&majority, b, 6, t, 3);
    cr_expect_float_eq(t[1].probability, 3.5 / 7, 1e-12, "three were seen, a fourth may come");
    cr_expect_not(r.has_logprobs);
}

Test(vote, of_nothing_known_has_no_winner)
{
    vote_ballot b[] = {{.group = UNKNOWN}, {.group = UNKNOWN}};
    vote_result r = count(&majority, b, 2, NULL, 0);
    cr_expect_eq(r.winner, VOTE_NONE);
    cr_expect_eq(r.runner_up, VOTE_NONE);
    cr_expect_eq(r.n_unknown, 2);
    cr_expect_eq(r.confidence, 0);
}

Test(vote, of_one_is_that_one)
{
    vote_ballot b = {.group = 0, .has_logprob = true, .sum_logprob = -3, .n_tokens = 3};
    vote_tally t[1];
    vote_result r = count(&majority, &b, 1, t, 1);
    cr_expect_eq(r.winner, 0);
    cr_expect_eq(r.runner_up, VOTE_NONE);
    cr_expect_eq(r.confidence, 1);
    cr_expect_eq(r.margin, 1);
    cr_expect_eq(r.entropy, 0);
    cr_expect_float_eq(t[0].weighted_share, 1, 1e-12);
    cr_expect_float_eq(t[0].log_mass, -3, 1e-12);
    cr_expect_float_eq(t[0].mean_logprob, -1, 1e-12);
}

Test(vote, breaks_ties_by_probability_mass_and_then_by_who_came_first)
{
    vote_ballot b[] = {{.group = 0, .has_logprob = true, .sum_logprob = -9, .n_tokens = 1},
                       {.group = 1, .has_logprob = true, .sum_logprob = -2, .n_tokens = 1},
                       {.group = 0, .has_logprob = true, .sum_logprob = -1, .n_tokens = 1},
                       {.group = 1, .has_logprob = true, .sum_logprob = -1, .n_tokens = 1}};
    vote_tally t[2];
    vote_result r = count(&majority, b, 4, t, 2);
    cr_expect_eq(r.winner, 1, "exp -2 + exp -1 > exp -9 + exp -1");
    cr_expect_float_eq(t[1].log_mass, log(exp(-2) + exp(-1)), 1e-12);
    b[2].has_logprob = false;
    r = count(&majority, b, 4, t, 2);
    cr_expect_eq(r.winner, 0, "one log-probability is missing: no mass to compare");
    cr_expect_not(r.has_logprobs);
}

Test(vote, weighs_ballots_by_their_mean_log_probability)
{
    vote_ballot b[] = {{.group = 0, .has_logprob = true, .sum_logprob = -40, .n_tokens = 10},
                       {.group = 0, .has_logprob = true, .sum_logprob = -40, .n_tokens = 10},
                       {.group = 1, .has_logprob = true, .sum_logprob = -60, .n_tokens = 60}};
    vote_settings weighted = {.rule = VOTE_WEIGHTED};
    vote_tally t[2];
    vote_result r = count(&weighted, b, 3, t, 2);
    cr_expect_eq(r.winner, 1);
    cr_expect_float_eq(t[1].weighted_share, exp(-1) / (exp(-1) + 2 * exp(-4)), 1e-12);
    cr_expect_float_eq(r.confidence, 1.0 / 3, 1e-12, "the share stays a share of ballots");
    cr_expect_float_eq(r.margin, -1.0 / 3, 1e-12);
    b[0].has_logprob = false;
    cr_expect_eq(count(&weighted, b, 3, t, 2).winner, 0, "the majority without log-probabilities");
}

Test(vote, ranks_clusters_by_size_and_likelihood)
{
    vote_ballot b[] = {{.group = 0, .has_logprob = true, .sum_logprob = -3, .n_tokens = 1},
                       {.group = 0, .has_logprob = true, .sum_logprob = -3, .n_tokens = 1},
                       {.group = 1, .has_logprob = true, .sum_logprob = -1, .n_tokens = 1}};
    vote_tally t[2];
    vote_settings s = {.rule = VOTE_CLUSTER, .size_weight = 1, .logprob_weight = 1};
    cr_expect_eq(count(&s, b, 3, t, 2).winner, 1, "log 1 - 1 > log 2 - 3");
    s.logprob_weight = 0.1;
    cr_expect_eq(count(&s, b, 3, t, 2).winner, 0, "log 2 - 0.3 > log 1 - 0.1");
    s.size_weight = s.logprob_weight = 0;
    cr_expect_eq(count(&s, b, 3, t, 2).winner, 0, "all equal: the larger, though less likely");
}

/* A teacher that is right with probability p and else says one of two other labels. */
static size_t draw(rng_key key, uint64_t i, double p)
{
    double u = rng_uniform(key, i);
    return u < p ? 0 : u < p + (1 - p) / 2 ? 1 : 2;
}

/* Ballots of random labels; groups are numbered as they appear, `right` is the right one's. */
static size_t draw_ballots(rng_key key, uint64_t first, double p, size_t n, vote_ballot *b,
                           size_t *right)
{
    size_t of_label[3] = {UNKNOWN, UNKNOWN, UNKNOWN}, n_groups = 0;
    for (size_t i = 0; i < n; i++) {
        size_t label = draw(key, first + i, p);
        if (of_label[label] == UNKNOWN) of_label[label] = n_groups++;
        b[i] = (vote_ballot){.group = of_label[label]};
    }
    *right = of_label[0];
    return n_groups;
}

static double choose(int n, int k)
{
    return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1));
}

/* P(the right label wins) exactly, ties going to whichever was seen first: by symmetry of the
 * order, one of j tied labels is first with probability 1/j. */
static double p_right_exact(int n, double p)
{
    double total = 0, q = (1 - p) / 2;
    for (int a = 0; a <= n; a++)
        for (int b = 0; a + b <= n; b++) {
            int c = n - a - b, most = a > b ? a : b;
            if (c > most) most = c;
            if (a < most) continue;
            int n_tied = 1 + (b == most) + (c == most);
            total += choose(n, a) * choose(n - a, b) * pow(p, a) * pow(q, b + c) / n_tied;
        }
    return total;
}

Test(vote, is_right_as_often_as_the_multinomial_says)
{
    enum { RUNS = 20000 };
    rng_key key = rng_key_make(11, "vote", (rt_id){0}, 0);
    double before = 0;
    for (int n = 1; n <= 9; n += 2) {
        size_t n_right = 0;
        for (uint64_t run = 0; run < RUNS; run++) {
            vote_ballot b[9];
            vote_tally t[3];
            size_t right;
            size_t n_groups =
                draw_ballots(key, run * 100 + (uint64_t)n * 3000000, 0.5, (size_t)n, b, &right);
            vote_result r = count(&majority, b, (size_t)n, t, n_groups);
            n_right += r.winner == right;
        }
        double expected = p_right_exact(n, 0.5), found = (double)n_right / RUNS;
        double sd = sqrt(expected * (1 - expected) / RUNS);
        cr_expect(fabs(found - expected) < 4 * sd, "n=%d: %g, expected %g", n, found, expected);
        cr_expect(found > before, "more samples are right more often");
        before = found;
    }
}

Test(vote, shares_are_unbiased_with_binomial_variance)
{
    enum { RUNS = 20000, N = 10 };
    rng_key key = rng_key_make(5, "share", (rt_id){0}, 0);
    double sum = 0, squares = 0, p = 0.7;
    for (uint64_t run = 0; run < RUNS; run++) {
        vote_ballot b[N];
        vote_tally t[3];
        size_t right;
        size_t n_groups = draw_ballots(key, run * N, p, N, b, &right);
        count(&majority, b, N, t, n_groups);
        double share = right == UNKNOWN ? 0 : t[right].share;
        sum += share;
        squares += share * share;
    }
    double mean = sum / RUNS, variance = squares / RUNS - mean * mean;
    cr_expect(fabs(mean - p) < 4 * sqrt(p * (1 - p) / N / RUNS), "mean %g", mean);
    cr_expect(fabs(variance - p * (1 - p) / N) < 0.03 * p * (1 - p) / N, "variance %g", variance);
}

Test(vote, does_not_depend_on_the_order_but_for_ties)
{
    rng_key key = rng_key_make(8, "order", (rt_id){0}, 0);
    for (uint64_t run = 0; run < 500; run++) {
        vote_ballot a[7], b[7];
        vote_tally t[3], u[3];
        size_t right, again[3] = {UNKNOWN, UNKNOWN, UNKNOWN}, n_again = 0;
        uint32_t order[7] = {0, 1, 2, 3, 4, 5, 6};
        size_t n_groups = draw_ballots(key, run * 7, 0.4, 7, a, &right);
        for (size_t i = 0; i < 7; i++) {
            a[i].has_logprob = true;
            a[i].sum_logprob = -10.0 * rng_uniform(key, 900000 + run * 7 + i);
            a[i].n_tokens = 4;
        }
        rng_permute(rng_key_make(run, "permute", (rt_id){0}, 0), order, 7);
        for (size_t i = 0; i < 7; i++) {
            b[i] = a[order[i]];
            if (again[b[i].group] == UNKNOWN) again[b[i].group] = n_again++;
            b[i].group = again[b[i].group];
        }
        for (int rule = VOTE_MAJORITY; rule <= VOTE_CLUSTER; rule++) {
            vote_settings s = {.rule = (vote_rule)rule, .size_weight = 1, .logprob_weight = 0.3};
            vote_result r = count(&s, a, 7, t, n_groups), q = count(&s, b, 7, u, n_groups);
            cr_assert_eq(again[r.winner], q.winner, "run %zu rule %d", (size_t)run, rule);
            cr_assert_float_eq(r.entropy, q.entropy, 1e-12);
            cr_assert_float_eq(r.confidence, q.confidence, 1e-12);
        }
    }
}
