#include "worker/teacher/vote.h"

#include <math.h>
#include <string.h>

#include "worker/teacher/cluster.h"

/* Scores that differ by less are a tie: sums depend on their order in the last digits. */
#define TIE_SHARE 1e-12

double vote_mean_logprob(const vote_ballot *ballot)
{
    if (!ballot->has_logprob) return 0;
    return ballot->sum_logprob / (double)RT_MAX(ballot->n_tokens, 1);
}

static double log_add(double a, double b)
{
    double high = fmax(a, b), low = fmin(a, b);
    return isinf(low) ? high : high + log1p(exp(low - high));
}

static void count_ballots(const vote_ballot *ballots, size_t n, vote_tally *tallies,
                          vote_result *out)
{
    for (size_t i = 0; i < n; i++) {
        if (ballots[i].group == VOTE_NONE) {
            out->n_unknown++;
            continue;
        }
        vote_tally *t = &tallies[ballots[i].group];
        if (t->n++ == 0) t->i_first = i;
        out->has_logprobs = (out->n_known == 0 || out->has_logprobs) && ballots[i].has_logprob;
        out->n_known++;
    }
}

static void weigh_ballots(const vote_ballot *ballots, size_t n, vote_tally *tallies,
                          size_t n_groups)
{
    double total = 0;
    for (size_t g = 0; g < n_groups; g++) tallies[g].log_mass = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (ballots[i].group == VOTE_NONE) continue;
        vote_tally *t = &tallies[ballots[i].group];
        double mean = vote_mean_logprob(&ballots[i]);
        t->log_mass = log_add(t->log_mass, ballots[i].sum_logprob);
        t->weighted_share += exp(mean);
        t->mean_logprob += mean / (double)t->n;
        total += exp(mean);
    }
    for (size_t g = 0; g < n_groups && total > 0; g++) tallies[g].weighted_share /= total;
}

static double score_of(const vote_settings *s, const vote_tally *t, bool has_logprobs)
{
    switch (s->rule) {
    case VOTE_WEIGHTED:
        if (has_logprobs) return t->weighted_share;
        break;
    case VOTE_CLUSTER:
        return cluster_score(t->n, t->mean_logprob, s->size_weight, s->logprob_weight);
    case VOTE_MAJORITY: break;
    }
    return (double)t->n;
}

/* Whether a stands before b. */
static bool is_better(const vote_settings *s, const vote_tally *a, const vote_tally *b,
                      bool has_logprobs)
{
    double x = score_of(s, a, has_logprobs), y = score_of(s, b, has_logprobs);
    if (fabs(x - y) > TIE_SHARE * fmax(fabs(x), fabs(y))) return x > y;
    if (a->n != b->n) return a->n > b->n;
    if (has_logprobs && fabs(a->log_mass - b->log_mass) > TIE_SHARE * fabs(a->log_mass))
        return a->log_mass > b->log_mass;
    return a->i_first < b->i_first;
}

static size_t best_group(const vote_settings *s, const vote_tally *tallies, size_t n_groups,
                         size_t except, bool has_logprobs)
{
    size_t best = VOTE_NONE;
    for (size_t g = 0; g < n_groups; g++) {
        if (g == except) continue;
        if (best == VOTE_NONE || is_better(s, &tallies[g], &tallies[best], has_logprobs)) best = g;
    }
    return best;
}

void vote_count(const vote_settings *settings, const vote_ballot *ballots, size_t n,
                vote_tally *tallies, size_t n_groups, vote_result *out)
{
    double next_share = 0;
    if (n_groups > 0) memset(tallies, 0, n_groups * sizeof *tallies);
    *out = (vote_result){.winner = VOTE_NONE, .runner_up = VOTE_NONE};
    count_ballots(ballots, n, tallies, out);
    if (out->n_known == 0) return;
    if (out->has_logprobs) weigh_ballots(ballots, n, tallies, n_groups);
    double n_labels = settings->n_labels > 0 ? (double)RT_MAX(settings->n_labels, n_groups)
                                             : (double)n_groups + 1;
    for (size_t g = 0; g < n_groups; g++) {
        vote_tally *t = &tallies[g];
        RT_ASSERT(t->n > 0);
        t->share = (double)t->n / (double)out->n_known;
        t->probability = ((double)t->n + 0.5) / ((double)out->n_known + n_labels / 2);
        out->entropy -= t->share * log(t->share);
    }
    if (n_groups == 1) out->entropy = 0; /* not -0 */
    out->winner = best_group(settings, tallies, n_groups, VOTE_NONE, out->has_logprobs);
    out->runner_up = best_group(settings, tallies, n_groups, out->winner, out->has_logprobs);
    out->confidence = tallies[out->winner].share;
    for (size_t g = 0; g < n_groups; g++)
        if (g != out->winner) next_share = fmax(next_share, tallies[g].share);
    out->margin = out->confidence - next_share;
}
