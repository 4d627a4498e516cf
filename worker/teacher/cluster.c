#include "worker/teacher/cluster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/arithmetic.h"
#include "common/text/text_units.h"

rt_status cluster_signature(const answer_rules *rules, const char *label, rt_buf *out,
                            rt_error *err)
{
    double value;
    rt_buf_clear(out);
    switch (rules->kind) {
    case RULE_NUMBER:
    case RULE_EQUATION:
        if (arithmetic_evaluate(label, strlen(label), &value, NULL) == RT_OK)
            /* + 0: there is one zero. */
            return rt_buf_printf(out, err, "%.9g", value + 0.0);
        break;
    case RULE_TEXT:
    case RULE_CHOICE:
    case RULE_CLASS: break;
    }
    rt_status st = text_units_normalise(label, strlen(label), out, err);
    if (st != RT_OK || out->n > 0) return st;
    return rt_buf_add_text(out, label, err); /* nothing but punctuation: as it stands */
}

/* answer_equal() of values allows for rounding, which digits at the edge of it would not show. */
static bool is_same(const answer_rules *rules, cluster_by by, const char *a, const rt_buf *sign_a,
                    const char *b, const rt_buf *sign_b)
{
    bool has_value = rules->kind == RULE_NUMBER || rules->kind == RULE_EQUATION;
    if (by == CLUSTER_BY_LABEL || has_value) return answer_equal(rules, a, b);
    if (sign_a->n != sign_b->n) return false;
    return sign_a->n == 0 || memcmp(sign_a->data, sign_b->data, sign_a->n) == 0;
}

rt_status cluster_labels(const answer_rules *rules, cluster_by by, const char *const *labels,
                         size_t n, size_t *groups, size_t *n_groups, rt_error *err)
{
    rt_status st = RT_OK;
    size_t n_found = 0;
    rt_buf *signatures = rt_calloc(n, sizeof *signatures); /* of each label */
    size_t *first = rt_calloc(n, sizeof *first);           /* label that opened each group */
    if (signatures == NULL || first == NULL) {
        st = rt_fail(err, RT_NOMEM, "clusters of %zu labels", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        groups[i] = CLUSTER_NONE;
        if (labels[i] == NULL) continue;
        if (by == CLUSTER_BY_SIGNATURE) {
            st = cluster_signature(rules, labels[i], &signatures[i], err);
            if (st != RT_OK) goto out;
        }
        size_t g = 0;
        while (g < n_found && !is_same(rules, by, labels[first[g]], &signatures[first[g]],
                                       labels[i], &signatures[i]))
            g++;
        if (g == n_found) first[n_found++] = i;
        groups[i] = g;
    }
    *n_groups = n_found;
out:
    for (size_t i = 0; signatures != NULL && i < n; i++) rt_buf_free(&signatures[i]);
    free(signatures);
    free(first);
    return st;
}

double cluster_score(size_t n_members, double mean_logprob, double size_weight,
                     double logprob_weight)
{
    return size_weight * log((double)n_members) + logprob_weight * mean_logprob;
}
