/* Counting the labels of several samples of one example: self-consistency.
 *
 *     vote_settings settings = {.rule = VOTE_MAJORITY};
 *     vote_count(&settings, ballots, n, tallies, n_groups, &result);
 *     ... tallies[result.winner].share is how sure the teacher is ...
 *
 * A ballot is one text: the group of its label (numbered from 0, labels that mean the same share
 * one) and how likely the text was. With counts v_c over N known ballots:
 *
 *     share_c       = v_c / N                 confidence = share of the winner
 *     log_mass_c    = log sum_j exp(sum log-probability of j)
 *     weighted_c    = sum_j exp(mean log-probability of j) / the same over all ballots
 *     probability_c = (v_c + 1/2) / (N + K/2) with K labels that there could be
 *     entropy       = -sum share_c log share_c                                   [nats]
 *
 * Unknown ballots (texts without a usable label) are counted and take no part. Numbers only.
 * Source: Wang et al. 2022, "Self-Consistency Improves Chain of Thought Reasoning in Language
 * Models", arXiv:2203.11171, section 2 and table 1. The shrinkage is Jeffreys' prior.
 * Checked by: tests/unit/worker/teacher/test_vote.c
 */
#ifndef RT_WORKER_TEACHER_VOTE_H
#define RT_WORKER_TEACHER_VOTE_H

#include "common/base/status.h"

#define VOTE_NONE SIZE_MAX

typedef enum vote_rule {
    VOTE_MAJORITY, /* most ballots; ties by log_mass where known, then the first seen */
    VOTE_WEIGHTED, /* largest weighted share; without log-probabilities the majority */
    VOTE_CLUSTER,  /* largest cluster_score() */
} vote_rule;

typedef struct vote_settings {
    vote_rule rule;
    double size_weight, logprob_weight; /* VOTE_CLUSTER: a and b */
    size_t n_labels;                    /* K; 0: not limited, taken as one more than were seen */
} vote_settings;

typedef struct vote_ballot {
    size_t group; /* VOTE_NONE: unknown */
    bool has_logprob;
    double sum_logprob; /* of the text, in nats */
    uint64_t n_tokens;
} vote_ballot;

typedef struct vote_tally {
    size_t n;
    size_t i_first; /* ballot that named it first */
    double share;
    double probability;
    /* Zero unless every known ballot has a log-probability. */
    double log_mass, weighted_share;
    double mean_logprob; /* of the members' mean log-probabilities a token */
} vote_tally;

typedef struct vote_result {
    size_t winner, runner_up; /* groups; VOTE_NONE: there is none */
    size_t n_known, n_unknown;
    bool has_logprobs;
    double confidence, margin, entropy; /* margin: share of the winner less the largest other */
} vote_result;

/* Mean log-probability a token; 0 where it is not known. */
double vote_mean_logprob(const vote_ballot *ballot);
/* Fills tallies[0..n_groups) and *out. Every group below n_groups must have a ballot. */
void vote_count(const vote_settings *settings, const vote_ballot *ballots, size_t n,
                vote_tally *tallies, size_t n_groups, vote_result *out);

#endif
