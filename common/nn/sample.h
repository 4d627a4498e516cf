/* Choosing the next token from one row of logits.
 *
 * Greedy at temperature 0, the lowest id on a tie. Otherwise temperature, then top-k, then top-p
 * over what top-k left, then one draw.
 */
#ifndef RT_NN_SAMPLE_H
#define RT_NN_SAMPLE_H

#include "common/nn/generate.h"

typedef struct sampler sampler;

/* Returns new; freed with sampler_free(). Keeps work space for n_vocab logits. */
RT_MUST_USE rt_status sampler_new(size_t n_vocab, const generate_options *options, sampler **out,
                                  rt_error *err);
void sampler_free(sampler *s);
/* Choose by other options from now on. RT_INVALID names the one that is wrong. */
RT_MUST_USE rt_status sampler_set(sampler *s, const generate_options *options, rt_error *err);

/* @param u        uniform in [0, 1); not read when greedy.
 * @param logprob  out: log-probability of the choice at temperature 1, over the whole vocabulary. */
uint32_t sampler_choose(sampler *s, const float *logits, double u, double *logprob);

/* log(sum of exp(logit)) of the logits that sampler_choose() has just read. */
double sampler_log_sum(const sampler *s);

/* The n likeliest tokens, likeliest first, of the logits that sampler_choose() has just read; equal
 * ones by id. Returns how many there are: n, or fewer for a smaller vocabulary. */
size_t sampler_top(sampler *s, const float *logits, size_t n, token_choice *out);

#endif
