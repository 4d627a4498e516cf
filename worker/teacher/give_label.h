/* Where no text gives the gold label, the teacher is asked once more with the label in the prompt, for
 * a rationale that leads there.
 *
 *     vote ──► a text has the gold label ──► that text                       (choose_answer.h)
 *          └─► none has it ──► prompt with the label ──► text with it ──────► that text
 *                                                    └─► anything else ─────► all as it was
 *
 * The text is parsed and filtered like any other, and must give the gold label and a rationale that is
 * kept. Such a record says so in meta.gold: its label is not the teacher's own. Examples whose texts did
 * not all come (budget, batch, a server that failed for good) are not asked.
 * Source: Zelikman et al. 2022, "STaR: Bootstrapping Reasoning With Reasoning", arXiv:2203.14465,
 * section 3.2 (rationalization).
 * Checked by: tests/unit/worker/teacher/test_give_label.c
 */
#ifndef RT_WORKER_TEACHER_GIVE_LABEL_H
#define RT_WORKER_TEACHER_GIVE_LABEL_H

#include "worker/teacher/choose_answer.h"

/* Whether the labeller asks in this way at all. */
bool gives_labels(const labeller *l);
/* Whether to ask about an item of which `final_label` (NULL: none) is what stands so far. */
RT_MUST_USE rt_status wants_label_given(const labeller *l, const label_item *it,
                                        const char *final_label, bool *out, rt_error *err);
/* One round over items[i] with asks[i]; what could be used replaces chosen[i]. Adds to *counts.
 * RT_CANCELLED when l->should_leave() says so before it. */
RT_MUST_USE rt_status give_labels(const labeller *l, label_item *items, chosen_answer *chosen,
                                  const bool *asks, size_t n, label_counts *counts, rt_error *err);

#endif
