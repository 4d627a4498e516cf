#include "worker/teacher/answer_policy.h"

_Static_assert((int)VOTE_MAJORITY == (int)QUALITY_MAJORITY &&
                   (int)VOTE_WEIGHTED == (int)QUALITY_WEIGHTED &&
                   (int)VOTE_CLUSTER == (int)QUALITY_CLUSTER,
               "vote rules are numbered as in the config");

static unsigned flags_of(const text_list *names)
{
    unsigned flags = 0;
    for (unsigned i = 0; i < names->n; i++) flags |= rationale_flag_of(names->items[i]);
    return flags;
}

answer_policy answer_policy_of(const config *c)
{
    const quality_config *q = &c->quality;
    return (answer_policy){
        .samples = q->samples,
        .samples_min = q->samples_min,
        .stop_probability = q->stop_probability,
        .temperature = q->temperature,
        .vote = {.rule = (vote_rule)q->vote,
                 .size_weight = q->size_weight,
                 .logprob_weight = q->logprob_weight},
        .confidence_min = q->confidence_min,
        .note = flags_of(&q->note_if),
        .drop_rationale = flags_of(&q->drop_rationale_if),
        .reject = flags_of(&q->reject_if),
        .limits = {.words_min = (double)q->words_min,
                   .words_max = (double)q->words_max,
                   .copied_max = q->copied_max,
                   .leaked_max = q->leaked_max,
                   .repeated_max = q->repeated_max},
        .scores = q->scorer[0] != '\0',
        .useful_min = q->useful_min,
        .keeps_others = q->keep_others,
    };
}

bool answer_policy_votes(const answer_policy *policy)
{
    return policy->samples > 1;
}

unsigned answer_policy_noted(const answer_policy *policy)
{
    return policy->note | policy->drop_rationale | policy->reject;
}

bool answer_policy_judges(const answer_policy *policy)
{
    return answer_policy_votes(policy) || answer_policy_noted(policy) != 0 || policy->scores;
}
