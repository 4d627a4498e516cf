/* Decoding: prompts in, continuations out, batched, with a key-value cache.
 *
 * A call decodes its prompts as one fixed unit, so the same prompts in the same order give the same
 * bits. Sampling draws from counter-based numbers keyed by (seed, record id, sample, position).
 */
#ifndef RT_NN_GENERATE_H
#define RT_NN_GENERATE_H

#include "common/base/rng.h"
#include "common/nn/model.h"

typedef enum finish_reason {
    FINISH_STOP,   /* eos */
    FINISH_LENGTH, /* max_new_tokens or seq_len_max reached */
} finish_reason;

typedef struct generate_prompt {
    const uint32_t *ids;
    size_t n_ids; /* > 0 */
    rt_id record_id;
    uint32_t sample; /* number of the sample of this record: 0, 1, ... */
} generate_prompt;

#define DECODE_TOP_MAX 20 /* alternatives of a token that can be asked for */

/* A token and its log-probability at temperature 1, over the whole vocabulary, in nats. */
typedef struct token_choice {
    uint32_t id;
    float logprob;
} token_choice;

typedef struct generate_options {
    size_t max_new_tokens;
    float temperature; /* 0: greedy */
    size_t top_k;      /* 0: off */
    float top_p;       /* 1: off */
    uint64_t seed;
    size_t n_top; /* generate() tells so many of the likeliest tokens at each place; 0: off */
} generate_options;

typedef struct generated {
    uint32_t *ids; /* owns; eos not included; freed by generated_free() */
    size_t n_ids;
    double sum_logprob; /* of the ids and of eos, at temperature 1, in nats */
    finish_reason finish;
    size_t n_read; /* tokens of the prompt that the model read; 0: copied from an equal one */
    /* With n_top; NULL without. Of `ids` alone: the place of eos is not told. */
    token_choice *chosen; /* owns; [n_ids], what was written */
    token_choice *top;    /* owns; [n_ids, n_top], the likeliest, likeliest first */
    size_t n_top;         /* as asked for, or the size of a smaller vocabulary */
} generated;

/* Decode n prompts together. Equal prompts, as of the samples of one record, are read once for every 64
 * sequences, and copied. out[0..n) is filled on success and untouched on failure. A prompt
 * longer than seq_len_max - 1 is RT_INVALID: check budgets first. */
RT_MUST_USE rt_status generate(model *m, const generate_prompt *prompts, size_t n_prompts,
                               const generate_options *options, generated *out, rt_error *err);
void generated_free(generated *items, size_t n);

/* Whether a model can read this prompt; RT_INVALID says why not. */
RT_MUST_USE rt_status generate_check_prompt(const model_config *config,
                                            const generate_prompt *prompt, rt_error *err);
/* The same for all of a call, and that it asks for new tokens at all. */
RT_MUST_USE rt_status generate_check(const model_config *config, const generate_prompt *prompts,
                                     size_t n, size_t max_new_tokens, rt_error *err);
/* The random number that chooses new token `i` of a sequence whose key is generate_key(). */
rng_key generate_key(const generate_prompt *prompt, uint64_t seed);
double generate_draw(rng_key key, size_t i);

/* Sum of log-probabilities of each sequence's target given its prompt, in nats: out[n_seqs]. */
RT_MUST_USE rt_status model_score(model *m, const packed_batch *batch, double *out, rt_error *err);

#endif
