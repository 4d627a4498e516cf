/* Labels that amount to the same: sample, cluster, rerank.
 *
 *     if ((st = cluster_labels(&rules, CLUSTER_BY_SIGNATURE, labels, n, groups, &n_groups, err)))
 *
 * Voting on strings fails where one answer has many spellings. A signature says what a label amounts
 * to: its value for numbers and equations, the letters and words of a text without case, blanks and
 * punctuation. Labels of equal signature are one cluster, ranked by
 *
 *     score = a * log(size) + b * mean log-probability of its members
 *
 * With a > 0 and b = 0, and for every kind of label but free text, this is the majority vote.
 * Source: the sample, cluster and rerank scheme of Li et al. 2022 (AlphaCode), arXiv:2203.07814,
 * section 4, with the answer itself in the place of a program's outputs.
 * Checked by: tests/unit/worker/teacher/test_cluster.c
 */
#ifndef RT_WORKER_TEACHER_CLUSTER_H
#define RT_WORKER_TEACHER_CLUSTER_H

#include "common/text/answer.h"

#define CLUSTER_NONE SIZE_MAX

typedef enum cluster_by {
    CLUSTER_BY_LABEL,     /* answer_equal() */
    CLUSTER_BY_SIGNATURE, /* as above */
} cluster_by;

/* Replace *out by the signature of a canonical label. */
RT_MUST_USE rt_status cluster_signature(const answer_rules *rules, const char *label, rt_buf *out,
                                        rt_error *err);
/* groups[i] is the number of labels[i]'s cluster, from 0 in order of first appearance, and
 * CLUSTER_NONE where labels[i] is NULL. */
RT_MUST_USE rt_status cluster_labels(const answer_rules *rules, cluster_by by,
                                     const char *const *labels, size_t n, size_t *groups,
                                     size_t *n_groups, rt_error *err);
double cluster_score(size_t n_members, double mean_logprob, double size_weight,
                     double logprob_weight);

#endif
