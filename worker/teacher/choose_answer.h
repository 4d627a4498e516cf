/* From the texts of one example to its label and rationale, or to the reason why there is none.
 *
 *     chosen_answer chosen = {0};
 *     if ((st = choose_answer(l, item, &chosen, err)) != RT_OK) goto out;
 *     ... chosen.label or chosen.reason ...
 *     chosen_answer_free(&chosen);
 *
 * The vote decides on the label; the rationale is the best one among the texts that agree with it:
 * one that no filter drops, of those with the fewest flags the most useful one where that was measured,
 * else the one with the highest score, of equals the likelier text. The label is written as that text writes it. Pure.
 */
#ifndef RT_WORKER_TEACHER_CHOOSE_ANSWER_H
#define RT_WORKER_TEACHER_CHOOSE_ANSWER_H

#include "worker/teacher/label_item.h"

/* Texts by what they say. Zero-initialise; answer_votes_free(). */
typedef struct answer_votes {
    vote_result result;
    vote_tally *tallies; /* [n_groups] */
    const char **labels; /* [n_groups], as first written; in the item */
    size_t *groups;      /* [n_samples], VOTE_NONE: no vote */
    size_t n_groups;
} answer_votes;
void answer_votes_free(answer_votes *votes);

RT_MUST_USE rt_status count_votes(const labeller *l, const label_item *it, answer_votes *out,
                                  rt_error *err);

/* Borrows from the item. Zero-initialise; chosen_answer_free(). */
typedef struct chosen_answer {
    const sample *sample;  /* that label or reason come from; NULL: nothing was asked */
    const char *label;     /* NULL: rejected */
    const char *reason;    /* NULL: labelled */
    const char *rationale; /* NULL: none, or dropped */
    size_t n_distinct;     /* rationales of the winning label, near duplicates as one */
    answer_votes votes;
} chosen_answer;
void chosen_answer_free(chosen_answer *chosen);

RT_MUST_USE rt_status choose_answer(const labeller *l, const label_item *it, chosen_answer *out,
                                    rt_error *err);

#endif
