/* How good the labels of a dataset are, as far as the meta of its records tells.
 *
 *     audit_quality q = {0};
 *     ... audit_quality_add(&q, record, err) for each record ...
 *     json_t *root = audit_quality_json(&q);
 *     audit_quality_free(&q);
 *
 * Memory does not grow with the records: sums, and a count for each of at most AUDIT_NAMES_MAX
 * names of a kind; further names count as "other".
 */
#ifndef RT_CLI_AUDIT_QUALITY_H
#define RT_CLI_AUDIT_QUALITY_H

#include <jansson.h>

#include "common/dataset/label_record.h"

#define AUDIT_NAMES_MAX 64

typedef struct audit_name {
    char *name;
    uint64_t n;
} audit_name;

typedef struct audit_names {
    audit_name *items;
    size_t n;
} audit_names;

/* What one teacher did: records are of the one that answered, tokens and cost of each that was
 * asked. */
typedef struct audit_teacher {
    char *name;
    uint64_t n_labelled, n_rejected;
    uint64_t n_prompt_tokens, n_cached_tokens, n_completion_tokens, n_reasoning_tokens;
    uint64_t n_cached; /* texts out of the answer cache */
    double cost;
} audit_teacher;

/* Zero-initialise; audit_quality_free(). */
typedef struct audit_quality {
    uint64_t n_records;
    uint64_t n_escalated;
    uint64_t n_votes; /* labelled records with a confidence */
    double sum_confidence, sum_margin;
    uint64_t n_topk, n_topk_tokens; /* records with probabilities of tokens, and those tokens */
    uint64_t n_topk_damaged;
    double sum_tail; /* of the probability beside the tokens that are named */
    uint64_t n_gold_text, n_label_given, n_given_failed; /* where the true answer had a hand */
    uint64_t n_useful; /* labelled records whose rationale's usefulness was measured */
    double sum_usefulness;
    audit_names reasons; /* of rejected records */
    audit_names filters;
    audit_names parse_flags;
    audit_teacher *teachers;
    size_t n_teachers;
} audit_quality;

void audit_quality_free(audit_quality *q);
/* A record without meta counts as a record and nowhere else. */
RT_MUST_USE rt_status audit_quality_add(audit_quality *q, const label_record *r, rt_error *err);
/* Returns new; NULL when out of memory. */
json_t *audit_quality_json(const audit_quality *q);
/* Lines for a person; nothing when there is nothing to tell. */
RT_MUST_USE rt_status audit_quality_text(const audit_quality *q, rt_buf *out, rt_error *err);

#endif
