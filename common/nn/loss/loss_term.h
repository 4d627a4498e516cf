/* Loss terms: what turns logits into sums and gradients.
 *
 * The head computes the logits of a block of target rows, hands them to the term, and takes back
 * the gradient of the logits in the same buffer; logits of a whole batch never exist. A term
 * returns sums and counts, never means: scale[i] already holds weight_k / C_k * w_i of the step, so
 * that any split of a step over workers adds up to the same gradient.
 *
 * Cross-entropy is the one term today. A term with state of its own (an annealed mixture, a moving
 * threshold) keeps it in the blob and moves it in on_global_step(), once per step of the whole run.
 */
#ifndef RT_NN_LOSS_TERM_H
#define RT_NN_LOSS_TERM_H

#include "common/base/status.h"
#include "common/nn/gemm_bf16.h"

/* What a term reads besides logits and targets. */
typedef enum loss_needs {
    LOSS_NEEDS_TARGETS = 1u << 0,       /* ids of the target tokens */
    LOSS_NEEDS_TEACHER_TOPK = 1u << 1,  /* teacher's scores of each target position */
    LOSS_NEEDS_LAYER_OUTPUTS = 1u << 2, /* the trace of every layer */
} loss_needs;

/* A block of target rows. */
typedef struct loss_rows {
    size_t n_rows;
    size_t n_vocab;
    const uint32_t *targets; /* [n_rows], each below n_vocab */
    const float *scales;     /* [n_rows], factor of the gradient; NULL: values only */
    float *losses;           /* out [n_rows], in nats, unweighted */
    bool *exact;             /* out [n_rows]: the target is the first arg max */
    bf16 *
        half; /* out [n_rows, n_vocab], d_logits rounded, while a row is in cache; NULL: not wanted */
} loss_rows;

typedef struct loss_term {
    const char *name;
    uint32_t needs;    /* bits of loss_needs */
    size_t state_size; /* bytes of the blob saved in checkpoints; 0 when there is none */
    /* logits [n_rows, n_vocab] in; overwritten, with d_logits when rows->scales is given; then also
     * rounded into rows->half, if there is one. */
    void (*rows)(void *state, const loss_rows *rows, float *logits);
    /* Called once per global step with sums over the whole step; NULL when not wanted. */
    void (*on_global_step)(void *state, double loss_sum, double count, uint64_t step,
                           uint64_t n_steps);
} loss_term;

/**
 *   loss_i = log sum_j exp(z_ij) - z_i,target      d_z_ij = scale_i (softmax(z_i)_j - [j = target])
 */
extern const loss_term loss_cross_entropy;

#endif
