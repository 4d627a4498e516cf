/* Which answer was taken for which: counts of (true answer, answer given).
 *
 *     confusion *c = NULL;
 *     if ((st = confusion_new(names, n_names, &c, err)) != RT_OK) goto out;
 *     st = confusion_add(c, "cat", "dog", err);      // NULL: an answer that could not be read
 *     json_t *root = confusion_to_json(c);
 *     confusion_free(c);
 *
 * A few labels make a matrix, many make a list of the pairs most often confused. Memory is bounded:
 * pairs beyond CONFUSION_PAIRS_MAX different ones are counted together.
 */
#ifndef RT_WORKER_EVALUATE_CONFUSION_H
#define RT_WORKER_EVALUATE_CONFUSION_H

#include <jansson.h>

#include "common/base/status.h"

/* So many labels still make a matrix that can be read. */
#define CONFUSION_LABELS_MAX 10
/* Different pairs of unlike labels that are told apart. */
#define CONFUSION_PAIRS_MAX 4096
/* Pairs that are shown. */
#define CONFUSION_SHOWN 20

typedef struct confusion confusion;

/* `names` are labels that have a row even when they never come; n_names may be 0. Borrows them. Returns
 * new; confusion_free(). */
RT_MUST_USE rt_status confusion_new(const char *const *names, size_t n_names, confusion **out,
                                    rt_error *err);
void confusion_free(confusion *c);
/* Hand in `gold` for both where the two mean the same. */
RT_MUST_USE rt_status confusion_add(confusion *c, const char *gold, const char *label,
                                    rt_error *err);
/* {"n", "unreadable", "labels": [..] | null, "matrix": [[..]] | null,
 *  "pairs": [{"gold","label","n"}], "pairs_more"}
 *
 * matrix[g][l] counts answers l where g is true; its last column are answers that could not be read.
 * Both are null with more than CONFUSION_LABELS_MAX labels. pairs: unlike ones, most frequent first,
 * ties by text; "pairs_more" counts answers of the pairs that are not shown. Returns new; NULL when out of memory. */
json_t *confusion_to_json(const confusion *c);

#endif
