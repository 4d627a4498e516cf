/* Decoding without batches: sequences come and go while the others run.
 *
 *     decode_slots *s = NULL;
 *     if ((st = decode_slots_new(m, 16, &s, err)) != RT_OK) goto out;
 *     decode_slots_add(s, &prompt, &options, 0, &i_slot, err);      // whenever a slot is free
 *     decode_slots_step(s, tokens, &n, err);                        // one token for each slot
 *
 * A slot is room for one sequence of the model's full length. A step reads the prompts that were
 * added since the last one, a bounded number of tokens of them, and gives every other live slot its
 * next token, all in the same products. A slot whose sequence has ended is free at once.
 *
 *     free --add--> waiting --step--> live --step, last token or release--> free
 *
 * A prompt that a slot has read before, and still holds, is not read again: its keys and values are
 * copied. So the samples of one prompt read it once. What a slot holds outlives its sequence, until
 * the slot gets another prompt; hence the weights must not change while the slots live.
 *
 * A sequence gets the tokens that generate() gives to its prompt alone: the same random numbers, and
 * up to the rounding of products of other sizes, the same probabilities.
 * One decode_slots and its model serve one thread.
 */
#ifndef RT_NN_DECODE_SLOTS_H
#define RT_NN_DECODE_SLOTS_H

#include "common/nn/sample.h"

#define DECODE_SLOTS_MAX 1024

typedef struct decode_slots decode_slots;

/* What a step says of one slot. */
typedef struct decoded_token {
    uint32_t i_slot;
    uint32_t id;          /* eos too, when the sequence ends with it */
    double logprob;       /* at temperature 1, in nats */
    bool ends;            /* the slot is free again */
    finish_reason finish; /* when it ends */
    size_t n_top;         /* alternatives, as many as were asked for */
    token_choice top[DECODE_TOP_MAX];
} decoded_token;

/* Keeps the model. RT_INVALID for no slot or too many. Returns new; decode_slots_free(). */
RT_MUST_USE rt_status decode_slots_new(model *m, size_t n_slots, decode_slots **out, rt_error *err);
void decode_slots_free(decode_slots *s);

/* Put a prompt into a free slot; its ids are copied. n_top is the number of alternatives reported
 * with each token. RT_FULL when no slot is free, RT_INVALID as generate(). */
RT_MUST_USE rt_status decode_slots_add(decode_slots *s, const generate_prompt *prompt,
                                       const generate_options *options, size_t n_top,
                                       uint32_t *i_slot, rt_error *err);
/* End a sequence early; its slot is free. */
void decode_slots_release(decode_slots *s, uint32_t i_slot);
size_t decode_slots_n_free(const decode_slots *s);
size_t decode_slots_n_used(const decode_slots *s);

/* Tokens of prompts that went through the model so far; copied ones did not. */
uint64_t decode_slots_n_tokens_read(const decode_slots *s);

/* One token for each slot that is not waiting for its prompt to be read: out[*n_out], room for all
 * slots. On failure (no memory for a prompt) every sequence is lost and every slot free. */
RT_MUST_USE rt_status decode_slots_step(decode_slots *s, decoded_token *out, size_t *n_out,
                                        rt_error *err);

#endif
