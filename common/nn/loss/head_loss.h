/* The vocabulary projection fused with its loss, in blocks of rows.
 *
 *   z = hidden head^T     losses = term(z)     d_hidden = d_z head     d_head += d_z^T hidden
 *
 * Gradients are made while a block's logits are in cache, so the backward of the tape only hands
 * d_hidden on. Checked by: tests/unit/nn/test_head_loss.c
 */
#ifndef RT_NN_HEAD_LOSS_H
#define RT_NN_HEAD_LOSS_H

#include "common/nn/loss/loss_term.h"
#include "common/nn/tape.h"

/* Rows of one block for a vocabulary: a fixed function, so that results repeat. */
size_t head_loss_block_rows(size_t n_vocab);

/**
 * @param hidden   [n, d], one row for each target token, after the final norm. NULL passes through.
 * @param head     [n_vocab, d].
 * @param targets  [n].
 * @param scales   [n] gradient factors, or NULL for values only. Read only when the tape records.
 * @param losses   out: [n].  @param exact  out: [n].
 * Runs out of memory like an operation: see tape_status().
 */
void head_loss(tape *t, tensor *hidden, tensor *head, const loss_term *term, void *state,
               const uint32_t *targets, const float *scales, float *losses, bool *exact);

#endif
