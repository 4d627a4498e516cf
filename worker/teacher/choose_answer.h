/* From the texts of one example to its label and rationale, or to the reason why there is none.
 *
 *     chosen_answer chosen = {0};
 *     if ((st = choose_answer(l, item, &chosen, err)) != RT_OK) goto out;
 *     ... chosen.label or chosen.reason ...
 *     chosen_answer_free(&chosen);
 *
 * The vote decides on the label; the rationale is the best one among the texts that agree with it:
 * one that no filter drops, of those with the fewest flags the most useful one where that was measured,
 * else the one with the highest score, of equals the likelier text. Where the gold label may be given
 * (give_label.h) a text that has it goes before the winner of the vote. The label is written as that text writes it. Pure.
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

/* The group whose texts count: the gold label's where that may be given and one has it, else the
 * winner's. */
RT_MUST_USE rt_status chosen_group(const labeller *l, const label_item *it,
                                   const answer_votes *votes, size_t *out, rt_error *err);

/* How the gold answer had a hand in a label; stands in meta. */
#define GOLD_BY_TEXT        "text"        /* one of the texts had it, not the vote's winner */
#define GOLD_BY_LABEL_GIVEN "label_given" /* it was in the prompt */

/* Borrows from the item. Zero-initialise; chosen_answer_free(). */
typedef struct chosen_answer {
    const sample *sample;           /* that label or reason come from; NULL: nothing was asked */
    const char *label;              /* NULL: rejected */
    const char *reason;             /* NULL: labelled */
    const char *rationale;          /* NULL: none, or dropped */
    size_t n_distinct;              /* rationales of the winning label, near duplicates as one */
    const char *gold_by;            /* GOLD_BY_...; NULL: the label is the teacher's own */
    const char *said, *said_reason; /* with gold_by: the label without it, or why there was none */
    const char *given_failed;       /* why the text with the label given was of no use */
    answer_votes votes;
} chosen_answer;
void chosen_answer_free(chosen_answer *chosen);
/* Name of the first filter among the flags; NULL for none. */
const char *filter_name(unsigned flags);

RT_MUST_USE rt_status choose_answer(const labeller *l, const label_item *it, chosen_answer *out,
                                    rt_error *err);

#endif
