/* Inside of op_attention_over(): what a call holds, and the work on one head in either number format.
 *
 * A job of the forward is one head of one span; of the backward one key head of one span, with all
 * query heads that read it: it alone writes the gradient of its keys and values. Blocks of
 * ATTENTION_ROWS query rows are taken one after another.
 *
 *   fused row     | q head 0 .. q head H-1 | k head 0 .. k head G-1 | v head 0 .. v head G-1 |
 */
#ifndef RT_NN_OPS_ATTENTION_HEAD_H
#define RT_NN_OPS_ATTENTION_HEAD_H

#include "common/nn/ops/ops.h"
#include "common/nn/ops/rel_bias.h"

/* Query rows whose probabilities exist at one time. */
#define ATTENTION_ROWS ((size_t)64)

typedef struct attention_args {
    tensor *q, *kv; /* one and the same in self-attention */
    attention_spec spec;
    rel_bias rel;     /* what spec.bias points to */
    rel_offsets bias; /* empty without one */
    float *d_bias;    /* [n_spans, n_heads, n_buckets], each job's part of the table's gradient */
    float *log_sums;  /* [n_heads, n_tokens], log-sum-exp of each row's scores */
    size_t n_keys;    /* of the longest span */
} attention_args;

typedef struct attention_kernel {
    /* Floats of work space that a job needs. */
    size_t (*work)(const attention_args *a);
    void (*forward)(const attention_args *a, const tensor *out, size_t i_span, size_t head,
                    float *work);
    void (*backward)(const attention_args *a, const tensor *out, size_t i_span, size_t kv_head,
                     float *work);
} attention_kernel;

/* For float32 tensors, and for activations held as bfloat16. */
extern const attention_kernel attention_f32, attention_half;

/* Query heads that read one key head. */
size_t attention_group(const attention_args *a);
/* Keys that a block of queries ending before row `end` of a span reaches. */
size_t attention_keys_until(const attention_args *a, size_t i_span, size_t end);
/* row[n_seen] += the bias of query i for each key. */
void attention_add_bias(const attention_args *a, size_t head, size_t i, float *row, size_t n_seen);
/* Keep a head's gradient of the bias, [bias.n] by offset, as that of its buckets. */
void attention_fold_bias(const attention_args *a, size_t i_span, size_t head,
                         const float *d_offsets);

#endif
