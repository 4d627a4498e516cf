/* A toy world for the tests of the model library: small models, random batches, and Llama (toy.c) and
 * T5 (toy_t5.c) again in plain double-precision loops, written from their formulas and sharing no code
 * with the library. */
#ifndef RT_TESTS_UNIT_NN_TOY_H
#define RT_TESTS_UNIT_NN_TOY_H

#include "common/nn/model.h"

#define TOY_SEQS_MAX   64
#define TOY_TOKENS_MAX 4096

/* A batch that owns its arrays; point at it with toy_view(). */
typedef struct toy_batch {
    uint32_t ids[TOY_TOKENS_MAX];
    packed_seq seqs[TOY_SEQS_MAX];
    size_t n_tokens;
    size_t n_seqs;
} toy_batch;

/* d_model 12, 2 layers, 4 heads over 2 key heads of 6, d_ff 10, 13 words, tied. */
model_config toy_config(void);
/* T5 v1.1 (gated GELU, untied): d_model 12, 1 encoder and 2 decoder layers, 2 heads of 5, so that
 * both together are not d_model, d_ff 10, 8 buckets up to distance 12, 13 words. */
model_config toy_t5_config(void);
/* Aborts the test when it cannot be made. */
model *toy_model(const model_config *config, uint64_t seed);
/* Make every weight matter: norms away from one, matrices large enough to bend softmax. */
void toy_stir(model *m, uint64_t seed);

/* Append a random sequence of task 0 or 1. */
void toy_add(toy_batch *b, size_t n_vocab, size_t n_prompt, size_t n_target, uint32_t task,
             uint64_t seed);
packed_batch toy_view(const toy_batch *b);
/* Weighted token counts of the batch as the denominators, and these weights. */
loss_spec toy_spec(const toy_batch *b, float weight_0, float weight_1);

/* Loss of the batch by the reference, from weights in double. */
double toy_reference_loss(const model_config *config, const param_table *table,
                          const double *weights, const packed_batch *batch, const loss_spec *spec);

/* One sequence under T5: sum of the target tokens' losses. */
double toy_t5_sequence_loss(const model_config *config, const param_table *table,
                            const double *weights, const uint32_t *ids, size_t n_prompt,
                            size_t n_target);

/* model_gradient(); aborts the test when it fails. */
loss_sums toy_gradient(model *m, const toy_batch *b, loss_spec spec);
/* model_grads(), copied; free() it. */
float *toy_copy_grads(const model *m);
/* A stirred model's loss and gradient against central differences of the reference: the largest
 * toy_distance() of a parameter, and its name; a loss that is off by 1e-5 gives INFINITY and "loss". */
double toy_gradient_error(const model_config *config, const toy_batch *b, loss_spec spec,
                          const char **name);

/* sqrt(sum (a - b)^2) / sqrt(sum b^2), 0 for two zero vectors. */
double toy_distance(const float *a, const float *b, size_t n);

#endif
