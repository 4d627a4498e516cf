/* What a decoding step does to its rows, one for each live sequence: no tape, nothing runs back. */
#ifndef RT_NN_MODEL_DECODE_ROWS_H
#define RT_NN_MODEL_DECODE_ROWS_H

#include "common/nn/model/model_state.h"

/* A matrix or vector of the table. Valid until model_free(). */
const float *rows_weight(const model *m, size_t i_param);
/* y[n, d_out] = x[n, d_in] w^T with w the entries [i, i + n_params) of the table, which lie side by
 * side. They are packed at the first product after the weights changed (packed_matrix.h); without
 * memory for that, the product is made by BLAS. Always ask for the same n_params with an i. */
void rows_linear(model *m, size_t i, size_t n_params, size_t n, const float *x, float *y);
/* out[n, d_model] = rms_norm(x) * gain. */
void rows_norm(const model *m, size_t n, const float *x, const float *gain, float *out);
/* x[n, its width] = rows of the embedding, entry 0 of the table. */
void rows_embed(const model *m, size_t n, const uint32_t *ids, float *x);
/* The token axis of n prompts for one forward pass, in the memory of the model's tape.
 * @param last_rows  out: [n], where each prompt's last token stands; NULL when not wanted. */
RT_MUST_USE rt_status rows_of_prompts(model *m, size_t n, const generate_prompt *prompts,
                                      model_input *in, uint32_t **last_rows, rt_error *err);
/* Read n prompts into sequences i_seqs[n] of a decoder, a bounded number of tokens in one forward
 * pass; a single prompt may be longer. hidden[n, width of the head] as of arch->prefill. */
RT_MUST_USE rt_status rows_read_prompts(model *m, decoder *d, size_t n, const uint32_t *i_seqs,
                                        const generate_prompt *prompts, float *hidden,
                                        rt_error *err);

#endif
