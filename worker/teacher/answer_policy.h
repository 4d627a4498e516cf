/* How far a teacher's texts are trusted: settings `quality`, as numbers and flags. */
#ifndef RT_WORKER_TEACHER_ANSWER_POLICY_H
#define RT_WORKER_TEACHER_ANSWER_POLICY_H

#include "common/conf/config.h"
#include "common/text/rationale_filter.h"
#include "worker/teacher/vote.h"

/* A vote that is less sure than answer_policy.confidence_min. */
#define REASON_LOW_CONFIDENCE "low_confidence"

/* Zeros: one text, no filters. */
typedef struct answer_policy {
    uint64_t samples;        /* 0 or 1: no vote */
    uint64_t samples_min;    /* of the first round, when stop_probability is below 1 */
    double stop_probability; /* 0 or 1: all samples */
    double temperature;      /* of several samples */
    vote_settings vote;
    double confidence_min;
    unsigned note, drop_rationale, reject; /* of RATIONALE_... */
    rationale_limits limits;
    bool scores; /* usefulness is measured */
    double useful_min;
    bool keeps_others; /* texts with another label are kept */
} answer_policy;

answer_policy answer_policy_of(const config *c);
bool answer_policy_votes(const answer_policy *policy);
/* Whether rationales are judged at all. */
bool answer_policy_judges(const answer_policy *policy);
/* Flags that go into a record's meta. */
unsigned answer_policy_noted(const answer_policy *policy);

#endif
