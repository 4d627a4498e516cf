/* The operations of the models: each appends its output to the tape and knows its own backward.
 *
 * One file per operation: forward, backward, and the plain reference loop the tests compare with.
 * Rows are the tokens of a packed batch; a span is one sequence on that axis. Every operation
 * returns NULL when given NULL or when memory runs out (see tape.h). Inputs must outlive the tape's
 * step. Inputs and results are float32 but for activations, which some take or give as said. Checked by: tests/unit/nn/test_ops.c (values, gradients), test_attention.c.
 */
#ifndef RT_NN_OPS_H
#define RT_NN_OPS_H

#include "common/base/rng.h"
#include "common/nn/tape.h"

/* Rows [first, first + n) belong to one sequence. */
typedef struct row_span {
    size_t first;
    size_t n;
} row_span;

/* Shape of one attention layer over a fused [q | k | v] matrix. */
typedef struct head_shape {
    size_t n_heads;
    size_t n_kv_heads; /* divides n_heads; query head h reads key head h / (n_heads / n_kv_heads) */
    size_t d_head;
} head_shape;

/* Columns of the fused matrix. */
size_t head_shape_cols(head_shape shape);

/**
 *   y[i, :] = table[ids[i], :]            d_table[ids[i], :] += d_y[i, :]
 * @param ids  [n], each below table->n_rows.
 */
tensor *op_embed(tape *t, tensor *table, const uint32_t *ids, size_t n);

/**
 *   y = x / sqrt(mean_j(x_j^2) + eps) * gain, row by row
 * @param gain  [1, d] tensor.
 * Source: Zhang & Sennrich 2019, arXiv:1910.07467.
 */
tensor *op_rms_norm(tape *t, tensor *x, tensor *gain, float eps);
/* The same with an activation (tape.h) as its result, which can be made again. */
tensor *op_rms_norm_activation(tape *t, tensor *x, tensor *gain, float eps);
/* *sum = x + branch, and its norm as above, in one pass both ways. *sum is NULL like the result when
 * memory ran out. */
tensor *op_add_rms_norm(tape *t, tensor *x, tensor *branch, tensor *gain, float eps, tensor **sum);
/* One row, for decoding; also the forward of the above. Returns 1 / rms. */
float rms_norm_row(const float *x, const float *gain, float eps, size_t d, float *y);
void rms_norm_reference(const float *x, const float *gain, float eps, size_t n, size_t d, float *y);

/* y = x w^T. w is [d_out, d_in], as in the files of Hugging Face. */
tensor *op_linear(tape *t, tensor *x, tensor *w);
tensor *op_linear_activation(tape *t, tensor *x, tensor *w);

/**
 * Rotary positions, in place, on the q and k columns of a fused matrix (halves layout):
 *   (a, b) = (x[c], x[c + d/2])    (a, b) -> (a cos - b sin, b cos + a sin)
 * In place is sound because no operation needs the unrotated values again.
 * @param angles     [n_positions, d_head] from rope_angles().
 * @param positions  [x->n_rows].
 * Source: Su et al. 2021, arXiv:2104.09864, in the layout of Hugging Face's Llama.
 */
tensor *op_rope(tape *t, tensor *x, head_shape shape, const float *angles,
                const uint32_t *positions);
/* Row p: d_head / 2 cosines, then as many sines, of p * theta^(-2c / d_head). */
void rope_angles(size_t n_positions, size_t d_head, float theta, float *out);
/* Rotate n_heads heads of one row; sign -1 rotates back. */
void rope_row(float *row, size_t n_heads, size_t d_head, const float *angles, float sign);

/* A learnt bias for relative positions; see rel_bias.h. */
typedef struct rel_bias {
    tensor *table;       /* [n_buckets, n_heads] */
    bool bidirectional;  /* half of the buckets for keys behind the query */
    size_t distance_max; /* distances from here on share the last bucket */
} rel_bias;

/* Which queries read which keys, and where they lie. Spans are kept until the tape's step ends. */
typedef struct attention_spec {
    head_shape shape;
    size_t q_first;                     /* first column of q in its matrix */
    size_t k_first, v_first;            /* of k and v in theirs */
    const row_span *q_spans, *kv_spans; /* [n_spans]: span i reads span i; none is empty */
    size_t n_spans;
    bool causal; /* query i of a span reads keys 0 to i; both spans are equally long */
    float scale;
    const rel_bias *bias; /* NULL: none; else scale is 1 */
} attention_spec;
/* Self-attention over a fused [q | k | v] matrix: not causal, scale 1, no bias. */
attention_spec attention_spec_fused(head_shape shape, const row_span *spans, size_t n_spans);

/**
 * Attention of each span of queries over its span of keys, with grouped queries:
 *   s[i, j] = scale q_i . k_j + table[bucket(j - i)]
 *   p[i, :] = softmax_j(s[i, :])           y_i = sum_j p[i, j] v_j
 * Only one block of query rows of p exists at a time; the backward computes it again from the
 * saved log-sum-exp of each row. The gradient of the table is summed span by span.
 * @param q   [n_queries, ...].  @param kv  [n_keys, ...], which may be q itself. Both are read by
 *            this operation alone, and may be activations.
 * @return [n_queries, n_heads * d_head], an activation if they are.
 */
tensor *op_attention_over(tape *t, tensor *q, tensor *kv, const attention_spec *spec);
/* Llama's: causal, over [q | k | v], with scale d_head^-1/2. */
tensor *op_attention(tape *t, tensor *qkv, head_shape shape, const row_span *spans, size_t n_spans);
/* The plain loop for both, in double precision; d_head at most 1024. */
void attention_reference(const tensor *q, const tensor *kv, const attention_spec *spec, float *y);

/* y = silu(gate) * up, where x = [gate | up]. */
tensor *op_swiglu(tape *t, tensor *x);
void swiglu_reference(const float *x, size_t n, size_t d_ff, float *y);

/**
 * y = gelu_new(gate) * up, where x = [gate | up] and
 *   gelu_new(g) = g / 2 (1 + tanh(sqrt(2 / pi) (g + 0.044715 g^3)))
 * Source: Hendrycks & Gimpel 2016, arXiv:1606.08415; gated: Shazeer 2020, arXiv:2002.05202.
 */
tensor *op_gated_gelu(tape *t, tensor *x);
void gated_gelu_reference(const float *x, size_t n, size_t d_ff, float *y);

/* x = max(0, x), in place. */
tensor *op_relu(tape *t, tensor *x);
/* x = a x, in place; the operation that made x must not need its values again. */
tensor *op_scale(tape *t, tensor *x, float a);

/* y = a + b, where b may be an activation. */
tensor *op_add(tape *t, tensor *a, tensor *b);
/* The same without its values, for an operation that fills them in and is the first to read them. */
tensor *op_sum_begin(tape *t, tensor *a, tensor *b);

/* y[i, :] = x[rows[i], :]. Rows must be distinct. */
tensor *op_gather_rows(tape *t, tensor *x, const uint32_t *rows, size_t n);

/**
 * Inverted dropout, in place: x = keep ? x / (1 - p) : 0, with p rounded to 1/65536.
 * The decision for column c of the i-th row of a span depends on (key of the span, site, i, c)
 * alone, so it is the same however sequences are packed and whichever worker runs.
 * @param keys  [n_spans].
 * @param site  number of the place in the model, below 65536.
 */
tensor *op_dropout(tape *t, tensor *x, float p, uint32_t site, const row_span *spans,
                   const rng_key *keys, size_t n_spans);

#endif
