#include "common/nn/packed_batch.h"

#include <math.h>

/* Tokens of one micro-batch; far above what memory allows, below what BLAS can index. */
#define TOKENS_MAX ((size_t)1 << 24)

static rt_status check_seq(const packed_seq *s, size_t i, size_t first, size_t n_tokens,
                           size_t seq_len_max, rt_error *err)
{
    if (s->first != first)
        return rt_fail(err, RT_CORRUPT, "batch: sequence %zu begins at token %zu, expected %zu", i,
                       s->first, first);
    if (s->n_prompt == 0)
        return rt_fail(err, RT_CORRUPT, "batch: sequence %zu has an empty prompt", i);
    size_t n_left = n_tokens - first;
    if (s->n_prompt > n_left || s->n_target > n_left - s->n_prompt)
        return rt_fail(err, RT_CORRUPT,
                       "batch: sequence %zu has %zu + %zu tokens, but only %zu are left", i,
                       s->n_prompt, s->n_target, n_left);
    if (s->n_prompt + s->n_target > seq_len_max)
        return rt_fail(err, RT_CORRUPT,
                       "batch: sequence %zu has %zu tokens, expected at most %zu (seq_len_max)", i,
                       s->n_prompt + s->n_target, seq_len_max);
    if (s->task >= LOSS_TASKS_MAX)
        return rt_fail(err, RT_CORRUPT, "batch: sequence %zu has task %u, expected below %d", i,
                       s->task, LOSS_TASKS_MAX);
    if (!(s->weight >= 0.0f && isfinite(s->weight)))
        return rt_fail(err, RT_CORRUPT, "batch: sequence %zu has weight %g, expected at least 0", i,
                       (double)s->weight);
    return RT_OK;
}

rt_status packed_batch_check(const packed_batch *batch, size_t n_vocab, size_t seq_len_max,
                             rt_error *err)
{
    if (batch->n_tokens == 0 || batch->n_tokens > TOKENS_MAX)
        return rt_fail(err, RT_CORRUPT, "batch: %zu tokens, expected 1 to %zu", batch->n_tokens,
                       TOKENS_MAX);
    size_t first = 0;
    for (size_t i = 0; i < batch->n_seqs; i++) {
        const packed_seq *s = &batch->seqs[i];
        rt_status st = check_seq(s, i, first, batch->n_tokens, seq_len_max, err);
        if (st != RT_OK) return st;
        first += s->n_prompt + s->n_target;
    }
    if (first != batch->n_tokens)
        return rt_fail(err, RT_CORRUPT, "batch: sequences hold %zu tokens, the batch %zu", first,
                       batch->n_tokens);
    for (size_t i = 0; i < batch->n_tokens; i++)
        if (batch->ids[i] >= n_vocab)
            return rt_fail(err, RT_CORRUPT, "batch: token %zu has id %u, expected below %zu", i,
                           batch->ids[i], n_vocab);
    return RT_OK;
}
