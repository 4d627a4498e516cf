/* Asking a teacher about examples until each has the votes that it needs.
 *
 *     round 0   quality.samples texts of each example, or samples_min when the vote may end early
 *     round 1   what is missing: texts without a usable label, and further votes where the vote is
 *               open (vote_stop.h)
 *     ...       until nothing is missing, or an example had attempts_max times as many texts as votes
 *
 * Texts of one example are numbered 0, 1, ... over all rounds, so no two of them are drawn alike.
 */
#ifndef RT_WORKER_TEACHER_ASK_SAMPLES_H
#define RT_WORKER_TEACHER_ASK_SAMPLES_H

#include "worker/teacher/label_item.h"

/* Fills the samples of items[0..n) that are wanted. RT_CANCELLED when l->should_leave() said so
 * between two rounds. */
RT_MUST_USE rt_status ask_samples(const labeller *l, label_item *items, size_t n, rt_error *err);

#endif
