/* Does a rationale help to find its label? A scoring model is asked how likely the label is with it and
 * without it.
 *
 *     usefulness = log q(y | x, r) - log q(y | x)          [nats, of the whole label]
 *
 *     x r    prompt of the input, then the rationale and what stands before a label (label_format)
 *     x      the same without the rationale
 *     q      a model that can score: the teacher itself, or another in a folder
 *
 * Above 0 the label is likelier with the rationale. It is measured after the vote, for the texts that
 * agree with the label that is taken; of near duplicates (sim_hash.h) the first is measured and counts for the
 * others, so that ten equal texts cost as much as one. Each score is of one sequence alone: it does not
 * depend on what else is scored.
 * Source: the idea of a rationale's worth as the information that it adds about the label is that of Chen
 * et al. 2022, "REV: Information-Theoretic Evaluation of Free-Text Rationales", arXiv:2210.04982; here
 * with one model, not with two trained for it.
 * Checked by: tests/unit/worker/teacher/test_usefulness.c, tests/e2e/rationales.bats
 */
#ifndef RT_WORKER_TEACHER_USEFULNESS_H
#define RT_WORKER_TEACHER_USEFULNESS_H

#include "worker/teacher/label_item.h"

/* Fill `usefulness` of the samples of items[0..n) that agree with their item's vote, and flag those
 * below policy.useful_min. Nothing without a scorer; a sequence too long for the model has none. */
RT_MUST_USE rt_status usefulness_measure(const labeller *l, label_item *items, size_t n,
                                         rt_error *err);

#endif
