/* Beam search: the likeliest continuation, as far as n_beams sequences side by side can tell.
 *
 *     beam_options how = {.n_beams = 4, .max_new_tokens = 64, .length_penalty = 1};
 *     if ((st = beam_search(m, prompts, n, &how, out, err)) != RT_OK) goto out;
 *     generated_free(out, n);
 *
 * A step extends every beam of a prompt by every token and orders what comes out by its sum of
 * log-probabilities; equal ones by token id, then by the rank of the beam they extend. The best
 * n_beams of them that do not end become the next beams; those among the best n_beams that end with
 * eos are finished. Beams that reach max_new_tokens or the model's length are finished too.
 *
 *     score = (sum of log-probabilities) / n_tokens ^ length_penalty       the best one is the answer
 *
 * with n_tokens the new tokens, eos among them. This is the simple form that Hugging Face's
 * generate() has, not ((5 + n) / 6) ^ alpha of Wu et al. 2016, arXiv:1609.08144, equation 14. 0 asks
 * for the likeliest text; 1 for the best mean of a token, so that long texts are not at a
 * disadvantage.
 *
 * A prompt is done early
 *   - when length_penalty is 0: as soon as a finished sequence is as likely as the best beam. More
 *     tokens only make a beam less likely, so nothing is lost;
 *   - else, as Hugging Face has it: when n_beams are finished and none of the best n_beams of them
 *     scores below the best beam at its present length. A beam that became better later is missed.
 *
 * One thing is not as elsewhere: the sequence that greedy decoding writes is always among the beams, in
 * the last place when it is not among the best. So with length_penalty 0 the answer is never less
 * likely than greedy's.
 *
 * Deterministic; draws no random numbers. A beam whose parent lies elsewhere gets a copy of that one's
 * keys and values, of those alone in which the two differ.
 */
#ifndef RT_NN_BEAM_H
#define RT_NN_BEAM_H

#include "common/nn/generate.h"

#define BEAMS_MAX          64
#define LENGTH_PENALTY_MAX 10

typedef struct beam_options {
    size_t n_beams; /* 1: greedy, by generate() */
    size_t max_new_tokens;
    double length_penalty; /* 0 to LENGTH_PENALTY_MAX */
} beam_options;

/* Decode n prompts, some of them together. out[0..n) is filled on success and untouched on failure;
 * its sum_logprob is the plain sum. RT_INVALID names an option or a prompt that cannot be used, as
 * generate() does; RT_NOMEM when n_beams sequences of the longest prompt find no room. */
RT_MUST_USE rt_status beam_search(model *m, const generate_prompt *prompts, size_t n_prompts,
                                  const beam_options *options, generated *out, rt_error *err);

#endif
