/* How much of a text is said in many others: document frequencies of its runs of six words.
 *
 *     gram_counts_add(counts, &units, err);           // every text once, in any order
 *     gram_counts_score(counts, &units, &score, err); // of a text that was added
 *
 *     df(g)    texts that have the run g, each counted once
 *     score    mean over the distinct runs of the text of (df(g) - 1) / (n - 1)
 *
 * So the score is 0 for a text that shares no run with another and 1 for one that all others contain.
 * Memory is fixed: 16 MiB, whatever the number of texts. Runs are counted in a count-min sketch of 4
 * rows of 2^20 counters, so a frequency is never too small, and too large by at most e / 2^20 of all
 * runs counted (except once in 54 runs): with 25 runs a text that is 0.007 % of the texts.
 * Source of the sketch: Cormode & Muthukrishnan 2005, "An improved data stream summary: the count-min
 * sketch and its applications", section 4.1 (point query).
 * Checked by: tests/unit/text/test_gram_counts.c
 */
#ifndef RT_TEXT_GRAM_COUNTS_H
#define RT_TEXT_GRAM_COUNTS_H

#include "common/text/text_units.h"

#define GRAM_WORDS 6

typedef struct gram_counts gram_counts;
/* Returns new; gram_counts_free(). */
RT_MUST_USE rt_status gram_counts_new(gram_counts **out, rt_error *err);
void gram_counts_free(gram_counts *c);
/* A text without six words counts as a text and has no runs. */
RT_MUST_USE rt_status gram_counts_add(gram_counts *c, const text_units *units, rt_error *err);
/* 0 to 1; 0 for a text without runs and for the only text. */
RT_MUST_USE rt_status gram_counts_score(const gram_counts *c, const text_units *units, double *out,
                                        rt_error *err);

#endif
