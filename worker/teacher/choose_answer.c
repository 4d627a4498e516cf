#include "worker/teacher/choose_answer.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/sim_hash.h"
#include "worker/teacher/cluster.h"
#include "worker/teacher/give_label.h"

void answer_votes_free(answer_votes *votes)
{
    free(votes->tallies);
    free(votes->labels);
    free(votes->groups);
    memset(votes, 0, sizeof *votes);
}

void chosen_answer_free(chosen_answer *chosen)
{
    answer_votes_free(&chosen->votes);
    memset(chosen, 0, sizeof *chosen);
}

/* A request without a text is no ballot, not even an unknown one. */
static size_t fill_ballots(const label_item *it, const size_t *groups, vote_ballot *ballots)
{
    size_t n = 0;
    for (size_t i = 0; i < it->n_samples; i++) {
        const sample *s = &it->samples[i];
        if (s->answer.reason != NULL) continue;
        ballots[n++] = (vote_ballot){.group = groups[i],
                                     .has_logprob = s->answer.has_logprob,
                                     .sum_logprob = s->answer.sum_logprob,
                                     .n_tokens = s->answer.n_completion_tokens};
    }
    return n;
}

rt_status count_votes(const labeller *l, const label_item *it, answer_votes *out, rt_error *err)
{
    rt_status st = RT_OK;
    answer_votes v = {0};
    size_t n = it->n_samples;
    vote_settings settings = l->policy.vote;
    cluster_by by = settings.rule == VOTE_CLUSTER ? CLUSTER_BY_SIGNATURE : CLUSTER_BY_LABEL;
    const char **labels = rt_calloc(n, sizeof *labels);
    vote_ballot *ballots = rt_calloc(n, sizeof *ballots);
    v.groups = rt_calloc(n, sizeof *v.groups);
    v.tallies = rt_calloc(n, sizeof *v.tallies);
    v.labels = rt_calloc(n, sizeof *v.labels);
    if (labels == NULL || ballots == NULL || v.groups == NULL || v.tallies == NULL ||
        v.labels == NULL) {
        st = rt_fail(err, RT_NOMEM, "votes of %zu texts", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        labels[i] = it->samples[i].usable ? it->samples[i].parsed.label : NULL;
    st = cluster_labels(&l->rules, by, labels, n, v.groups, &v.n_groups, err);
    if (st != RT_OK) goto out;
    for (size_t i = n; i-- > 0;)
        if (v.groups[i] != VOTE_NONE) v.labels[v.groups[i]] = labels[i];
    settings.n_labels = answer_n_labels(&l->rules, it->example->input);
    size_t n_ballots = fill_ballots(it, v.groups, ballots);
    vote_count(&settings, ballots, n_ballots, v.tallies, v.n_groups, &v.result);
    *out = v;
    memset(&v, 0, sizeof v);
out:
    answer_votes_free(&v);
    free(labels);
    free(ballots);
    return st;
}

/* Things wrong with a rationale; the label is the same for all that are compared. */
static int n_flags(const sample *s)
{
    return __builtin_popcount(s->verdict.flags & ~(unsigned)RATIONALE_WRONG);
}

/* Whether a's rationale is to be preferred to b's. */
static bool is_better(const answer_policy *policy, const sample *a, const sample *b)
{
    bool drops_a = (a->verdict.flags & policy->drop_rationale) != 0;
    bool drops_b = (b->verdict.flags & policy->drop_rationale) != 0;
    vote_ballot x = {.has_logprob = a->answer.has_logprob,
                     .sum_logprob = a->answer.sum_logprob,
                     .n_tokens = a->answer.n_completion_tokens};
    vote_ballot y = {.has_logprob = b->answer.has_logprob,
                     .sum_logprob = b->answer.sum_logprob,
                     .n_tokens = b->answer.n_completion_tokens};
    if (drops_a != drops_b) return drops_b;
    if (n_flags(a) != n_flags(b)) return n_flags(a) < n_flags(b);
    if (a->has_usefulness && b->has_usefulness && a->usefulness != b->usefulness)
        return a->usefulness > b->usefulness;
    if (a->verdict.score != b->verdict.score) return a->verdict.score > b->verdict.score;
    return vote_mean_logprob(&x) > vote_mean_logprob(&y);
}

static const sample *best_sample(const labeller *l, const label_item *it, const answer_votes *votes,
                                 size_t group)
{
    const sample *best = NULL;
    for (size_t i = 0; i < it->n_samples; i++) {
        if (votes->groups[i] != group) continue;
        if (best == NULL || is_better(&l->policy, &it->samples[i], best)) best = &it->samples[i];
    }
    return best;
}

/* Whether a sample before i of the same label says nearly the same. */
static bool is_said_before(const label_item *it, const answer_votes *votes, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (votes->groups[k] == votes->groups[i] && it->samples[k].verdict.n_words > 0 &&
            sim_hash_distance(it->samples[k].verdict.sim_hash, it->samples[i].verdict.sim_hash) <=
                SIM_NEAR)
            return true;
    return false;
}

static size_t count_distinct(const label_item *it, const answer_votes *votes, size_t group)
{
    size_t n = 0;
    for (size_t i = 0; i < it->n_samples; i++)
        if (votes->groups[i] == group && it->samples[i].verdict.n_words > 0)
            n += !is_said_before(it, votes, i);
    return n;
}

/* The last one that has a text, else the last. */
static const sample *last_sample(const label_item *it)
{
    for (size_t i = it->n_samples; i-- > 0;)
        if (it->samples[i].answer.reason == NULL) return &it->samples[i];
    return it->n_samples > 0 ? &it->samples[it->n_samples - 1] : NULL;
}

const char *filter_name(unsigned flags)
{
    for (unsigned i = 0; i < RATIONALE_FLAGS; i++)
        if ((flags & 1u << i) != 0) return rationale_flag_name(1u << i);
    return NULL;
}

/* Why a text without a vote has none. */
static const char *reason_of(const answer_policy *policy, const sample *s)
{
    if (s->answer.reason != NULL) return s->answer.reason;
    if (s->parsed.status != PARSE_OK) return parse_status_name(s->parsed.status);
    return filter_name(s->verdict.flags & policy->reject);
}

rt_status chosen_group(const labeller *l, const label_item *it, const answer_votes *votes,
                       size_t *out, rt_error *err)
{
    char *gold = NULL;
    *out = votes->result.winner;
    if (!gives_labels(l)) return RT_OK;
    rt_status st = gold_label(&l->rules, it->example, &gold, err);
    for (size_t g = 0; st == RT_OK && gold != NULL && g < votes->n_groups; g++)
        if (answer_equal(&l->rules, votes->labels[g], gold)) *out = g;
    free(gold);
    return st;
}

/* The label of a group of texts, unless it is rejected after all. */
static void choose_of_group(const labeller *l, const label_item *it, size_t group, chosen_answer *c)
{
    const answer_policy *policy = &l->policy;
    const vote_result *result = &c->votes.result;
    c->sample = best_sample(l, it, &c->votes, group);
    c->n_distinct = count_distinct(it, &c->votes, group);
    unsigned rejects = c->sample->verdict.flags & policy->reject;
    bool by_gold = group != result->winner;
    if ((rejects & RATIONALE_WRONG) != 0)
        c->reason = rationale_flag_name(RATIONALE_WRONG);
    else if ((rejects & RATIONALE_USELESS) != 0)
        c->reason = rationale_flag_name(RATIONALE_USELESS);
    else if (!by_gold && answer_policy_votes(policy) && result->confidence < policy->confidence_min)
        c->reason = REASON_LOW_CONFIDENCE;
    else
        c->label = c->sample->parsed.label;
    if (!by_gold || c->label == NULL) return;
    c->gold_by = GOLD_BY_TEXT;
    c->said = c->votes.labels[result->winner];
}

rt_status choose_answer(const labeller *l, const label_item *it, chosen_answer *out, rt_error *err)
{
    const answer_policy *policy = &l->policy;
    chosen_answer c = {0};
    size_t group = VOTE_NONE;
    rt_status st = count_votes(l, it, &c.votes, err);
    if (st == RT_OK) st = chosen_group(l, it, &c.votes, &group, err);
    if (st != RT_OK) {
        chosen_answer_free(&c);
        return st;
    }
    if (group == VOTE_NONE) {
        c.sample = last_sample(it);
        if (c.sample != NULL) c.reason = reason_of(policy, c.sample);
    } else {
        choose_of_group(l, it, group, &c);
    }
    if (c.sample != NULL && (c.sample->verdict.flags & policy->drop_rationale) == 0)
        c.rationale = c.sample->rationale;
    *out = c;
    return RT_OK;
}
