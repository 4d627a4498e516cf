/* What part of the tokens that a request may use it will use, from those before it. Pure.
 *
 *     token_estimate_add(&e, n_most, n_used);            // one was answered
 *     n = token_estimate_of(&e, n_most, n_open);         // for one more beside n_open others
 *
 * A running mean m and deviation s of used / most, and for a request beside n - 1 others
 *
 *     most * min(1, m + 4 s / sqrt(n) + 0.3 s)
 *
 * so that n of them together take more than their estimates about once in 30,000 times if they are
 * like those before; 0.3 s is what the means themselves may be off. The larger of two means counts,
 * one over some 30 answers and one over some 250: answers that become longer are noticed soon,
 * shorter ones are believed late. Until TOKEN_ESTIMATE_MIN answers were seen it is the most.
 */
#ifndef RT_WORKER_TEACHER_TOKEN_ESTIMATE_H
#define RT_WORKER_TEACHER_TOKEN_ESTIMATE_H

#include "common/base/status.h"

#define TOKEN_ESTIMATE_MIN 32

/* Zero-initialise. */
typedef struct token_estimate {
    uint64_t n;
    double mean, mean_fast, variance;
} token_estimate;

void token_estimate_add(token_estimate *e, uint64_t n_most, uint64_t n_used);
/* n_open: with this one. */
uint64_t token_estimate_of(const token_estimate *e, uint64_t n_most, uint64_t n_open);

#endif
