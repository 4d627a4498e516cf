/* How long texts are in tokens, over a sample, and whether they fit where they must. Pure but for
 * the tokenizer.
 *
 *     text_lengths l = {0};
 *     for (...) if ((st = text_lengths_add(&l, tokenizer, text, n, 1, limit, err)) != RT_OK) ...
 *     finding f = prompt_verdict(&l, limit, "prompt.max_prompt_tokens");
 */
#ifndef RT_CLI_DOCTOR_TEXT_LENGTHS_H
#define RT_CLI_DOCTOR_TEXT_LENGTHS_H

#include "cli/doctor/finding.h"
#include "common/text/tokenizer.h"

typedef struct text_lengths {
    size_t n, n_too_long;
    uint64_t first, longest, sum;
    bool is_estimate; /* no tokenizer was there: token_estimate() */
} text_lengths;

/* Tokens of text[0..n) and n_more beside it (bos, eos). tokenizer NULL: estimated. limit 0: none. */
RT_MUST_USE rt_status text_lengths_add(text_lengths *l, const tokenizer *t, const char *text,
                                       size_t n, uint64_t n_more, uint64_t limit, rt_error *err);

/* The same where somebody else has counted. */
void text_lengths_take(text_lengths *l, uint64_t n_tokens, uint64_t limit);

/* Prompts: a teacher rejects those beyond the limit as prompt_too_long. `whose` names the limit. */
finding prompt_verdict(const text_lengths *l, uint64_t limit, const char *whose);
/* Inputs of the student: those that fill the sequence leave no room for an answer, and are left out
 * of training. `limit` is student.seq_len_max. */
finding student_length_verdict(const text_lengths *l, uint64_t limit);

#endif
