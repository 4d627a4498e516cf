/* How many samples are enough: ask again only while the vote may still turn.
 *
 * Let p be how often the teacher gives the leading label rather than the next one. Seeing them
 * n_top and n_next times, p ~ Beta(1/2 + n_top, 1/2 + n_next), and the lead is real with
 *
 *     P(p > 1/2) = 1 - I_{1/2}(1/2 + n_top, 1/2 + n_next)
 *
 * I being the regularised incomplete beta function. Samples are asked for in rounds: a round is as
 * large as it must be to reach the wanted probability if all of it went to the leader.
 * Source: the stopping rule of Aggarwal et al. 2023, "Let's Sample Step by Step", arXiv:2305.11860,
 * section 3, with Jeffreys' prior in place of the uniform one.
 * Checked by: tests/unit/worker/teacher/test_vote_stop.c
 */
#ifndef RT_WORKER_TEACHER_VOTE_STOP_H
#define RT_WORKER_TEACHER_VOTE_STOP_H

#include "common/base/status.h"

/* Probability that the leader is rightly ahead. */
double vote_p_ahead(size_t n_top, size_t n_next);
/* Samples to ask for next, at most n_left; 0: the vote is decided. It is when the probability has
 * reached p_stop, or when n_left samples could not even make a tie. p_stop 1: all that are left. */
size_t vote_n_more(size_t n_top, size_t n_next, size_t n_left, double p_stop);

#endif
