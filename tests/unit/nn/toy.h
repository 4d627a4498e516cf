/* A toy world for the tests of the model library: small models, random batches, and Llama again in
 * plain double-precision loops, written from its formulas and sharing no code with the library. */
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
/* The same sizes as T5 v1.1 (gated GELU, untied), 2 encoder and 3 decoder layers, 8 buckets up to
 * distance 12. heads * 6 = 24 is not d_model. */
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

/* sqrt(sum (a - b)^2) / sqrt(sum b^2), 0 for two zero vectors. */
double toy_distance(const float *a, const float *b, size_t n);

#endif
