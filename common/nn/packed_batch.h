/* Packed sequences: a micro-batch is one long token axis with offsets. No padding, no work for it.
 *
 *     ids      | a0 a1 a2 a3 | b0 b1 b2 | c0 c1 ...      n_tokens
 *     seq        0             1          2              n_seqs
 *
 * Each sequence is prompt then target. A decoder-only model reads prompt + target and predicts
 * target token j from position j - 1; an encoder-decoder reads the prompt in its encoder and the
 * target in its decoder. Both find the border in n_prompt.
 */
#ifndef RT_NN_PACKED_BATCH_H
#define RT_NN_PACKED_BATCH_H

#include "common/base/hash.h"

#define LOSS_TASKS_MAX 4

typedef struct packed_seq {
    size_t first;    /* offset of its first token */
    size_t n_prompt; /* tokens that are given; > 0 */
    size_t n_target; /* tokens that are learnt, eos included; > 0 for training */
    uint32_t task;   /* index into loss_spec.tasks */
    float weight;    /* weight of the example, normally 1 */
    rt_id record_id; /* keys the random numbers of this sequence */
} packed_seq;

typedef struct packed_batch {
    const uint32_t *ids; /* [n_tokens] */
    size_t n_tokens;
    const packed_seq *seqs; /* [n_seqs], in order of `first`, without gaps */
    size_t n_seqs;
    uint64_t seed; /* of the run: keys dropout together with record_id and epoch */
    uint64_t epoch;
} packed_batch;

/* RT_CORRUPT for an id >= n_vocab, a gap, an empty prompt or a sequence beyond seq_len_max. */
RT_MUST_USE rt_status packed_batch_check(const packed_batch *batch, size_t n_vocab,
                                         size_t seq_len_max, rt_error *err);

#endif
