#include <criterion/criterion.h>
#include <math.h>

#include "common/base/rng.h"
#include "worker/teacher/cluster.h"
#include "worker/teacher/vote.h"

static const answer_rules equation = {.kind = RULE_EQUATION};
static const answer_rules text = {.kind = RULE_TEXT};

Test(cluster, merges_equations_of_one_value)
{
    const char *labels[] = {"(84 / 2)", "40 + 2", NULL, "(84 * 2)", "42", "84/2"};
    size_t groups[6], n_groups = 0;
    cr_assert_eq(
        cluster_labels(&equation, CLUSTER_BY_SIGNATURE, labels, 6, groups, &n_groups, NULL), RT_OK);
    static const size_t expected[] = {0, 0, CLUSTER_NONE, 1, 0, 0};
    cr_expect_eq(n_groups, 2);
    cr_expect_arr_eq(groups, expected, sizeof expected);
}

Test(cluster, merges_texts_that_differ_in_case_blanks_and_punctuation)
{
    const char *labels[] = {"The Tower of London", "the tower, of london.", "the towers of london"};
    size_t groups[3], n_groups = 0;
    cr_assert_eq(cluster_labels(&text, CLUSTER_BY_SIGNATURE, labels, 3, groups, &n_groups, NULL),
                 RT_OK);
    cr_expect_eq(n_groups, 2);
    cr_expect_eq(groups[1], 0);
    cr_expect_eq(groups[2], 1);
    cr_assert_eq(cluster_labels(&text, CLUSTER_BY_LABEL, labels, 3, groups, &n_groups, NULL),
                 RT_OK);
    cr_expect_eq(n_groups, 3, "as labels they are three");
}

Test(cluster, a_signature_says_what_a_label_amounts_to)
{
    rt_buf s = {0};
    cr_assert_eq(cluster_signature(&equation, "(1 + 2) * 3", &s, NULL), RT_OK);
    cr_expect_str_eq(s.data, "9");
    cr_assert_eq(cluster_signature(&equation, "(3 - 3) * -1", &s, NULL), RT_OK);
    cr_expect_str_eq(s.data, "0", "not -0");
    cr_assert_eq(cluster_signature(&text, "  Hello,\tWorld! ", &s, NULL), RT_OK);
    cr_expect_str_eq(s.data, "hello world");
    cr_assert_eq(cluster_signature(&text, "?!", &s, NULL), RT_OK);
    cr_expect_str_eq(s.data, "?!", "punctuation alone stands for itself");
    rt_buf_free(&s);
}

/* With the answer itself as the signature, the scheme is the majority vote. */
Test(cluster, is_the_majority_vote_for_classes)
{
    static const char *const classes[] = {"yes", "no", "maybe"};
    answer_rules rules = {.kind = RULE_CLASS, .classes = classes, .n_classes = 3};
    rng_key key = rng_key_make(2, "cluster", (rt_id){0}, 0);
    vote_settings by_size = {.rule = VOTE_CLUSTER, .size_weight = 0.7};
    vote_settings majority = {.rule = VOTE_MAJORITY};
    for (uint64_t run = 0; run < 500; run++) {
        const char *labels[9];
        vote_ballot ballots[2][9];
        vote_tally tallies[3];
        vote_result results[2];
        for (size_t i = 0; i < 9; i++) {
            uint64_t k = rng_below(key, run * 9 + i, 4);
            labels[i] = k < 3 ? classes[k] : NULL;
        }
        for (int by = 0; by < 2; by++) {
            size_t groups[9], n_groups = 0;
            cr_assert_eq(cluster_labels(&rules, by == 0 ? CLUSTER_BY_LABEL : CLUSTER_BY_SIGNATURE,
                                        labels, 9, groups, &n_groups, NULL),
                         RT_OK);
            for (size_t i = 0; i < 9; i++)
                ballots[by][i] = (vote_ballot){.group = groups[i],
                                               .has_logprob = true,
                                               .sum_logprob = -5.0 * rng_uniform(key, 77777 + i),
                                               .n_tokens = 2};
            vote_count(by == 0 ? &majority : &by_size, ballots[by], 9, tallies, n_groups,
                       &results[by]);
        }
        cr_assert_eq(results[0].winner, results[1].winner, "run %zu", (size_t)run);
        cr_assert_eq(results[0].runner_up, results[1].runner_up, "run %zu", (size_t)run);
    }
}

Test(cluster, scores_size_and_likelihood)
{
    cr_expect_float_eq(cluster_score(4, -0.5, 2, 3), 2 * log(4) - 1.5, 1e-12);
    cr_expect_eq(cluster_score(1, -7, 1, 0), 0);
}
